"""`parley bench`: what forwarding costs, and what one core and several carry."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from server.cli.bench import kit
from server.cli.options import fail

if TYPE_CHECKING:
    from bench.figures import Figures
    from bench.wanted import Wanted


def bench_load(
    *,
    publishers: kit.Publishers = 1,
    subscribers: kit.Subscribers = None,
    mesh: kit.Mesh = 0,
    rooms: kit.Rooms = 1,
    seconds: kit.Seconds = 10.0,
    runs: kit.Runs = 1,
    profile: kit.Profile = kit.GCM,
    workers: Annotated[int, typer.Option(help="Media threads of the server", min=1, max=64)] = 1,
    churn: Annotated[float, typer.Option(help="Subscribers a second that leave and come", min=0)] = 0.0,
    loss: Annotated[
        float, typer.Option(help="Percent of packets that subscribers lose and ask for again", min=0, max=50)
    ] = 0.0,
    feedback: Annotated[
        Literal["remb", "transport-cc"],
        typer.Option(help="transport-cc: with RTX; subscribers tell of every packet when it came"),
    ] = "remb",
    pin: Annotated[bool, typer.Option("--pin", help="Media on core 0, all else on core 1")] = False,
    engine_only: Annotated[
        bool, typer.Option("--engine-only", help="The bare engine: no signalling, no handshakes")
    ] = False,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """Load a real server with native peers: CPU per packet, latency, loss, join times, memory."""
    kit.ready()
    if engine_only and feedback != "remb":
        fail("--feedback transport-cc is for a whole server: leave --engine-only out")
    from bench import charts, figures, forward, load

    found: list[tuple[Wanted, list[Figures]]] = []
    for chosen in kit.profiles(profile):
        for count in subscribers or [50]:
            wanted = kit.wanted(
                publishers=publishers,
                subscribers=count,
                mesh=mesh,
                rooms=rooms,
                seconds=seconds,
                profile=chosen,
                workers=workers,
                churn=churn,
                loss=loss / 100,
                with_twcc=feedback == "transport-cc",
                is_pinned=pin,
            )
            made = []
            for _ in range(runs):
                run = kit.run(forward.measure(wanted) if engine_only else load.measure("parley", wanted))
                made.append(run)
                kit.note(figures.line(f"{wanted.shape()} {chosen}", run))
            found.append((wanted, made))
            print(figures.line(f"{wanted.shape()} {chosen}", figures.middle(made)))
            if mesh:
                break
    result = {
        "runs": [
            {
                "shape": wanted.shape(),
                "profile": wanted.profile,
                "figures": [figures.plain(run) for run in made],
            }
            for wanted, made in found
        ],
    }
    kit.write(
        "load",
        result,
        charts.costs([(wanted, figures.middle(made)) for wanted, made in found]) if plot else None,
        as_json=as_json,
        keep=keep,
    )


def bench_limit(
    *,
    publishers: kit.Publishers = 3,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=1)] = 500,
    seconds: kit.Seconds = 5.0,
    profile: kit.Profile = kit.BOTH,
    runs: kit.Runs = 1,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """The machine's bare limit: one thread that receives, encrypts for everybody and sends, no more."""
    kit.ready()
    from bench import figures, forward

    rows = []
    for chosen in kit.profiles(profile):
        wanted = kit.wanted(
            publishers=publishers, subscribers=subscribers, seconds=seconds, profile=chosen, is_pinned=True
        )
        made = [kit.run(forward.measure(wanted, "limit_server")) for _ in range(runs)]
        rows.append({"profile": chosen, "figures": [figures.plain(run) for run in made]})
        print(figures.line(f"bare limit {wanted.shape()} {chosen}", figures.middle(made)))
    kit.write("limit", {"runs": rows}, as_json=as_json, keep=keep)


def bench_saturate(
    *,
    seconds: kit.Seconds = 4.0,
    runs: kit.Runs = 1,
    profile: kit.Profile = kit.BOTH,
    served: Annotated[bool, typer.Option("--served", help="A whole server in place of the engine")] = False,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """What one full core carries with a p99 latency of at most 20 ms, beside the machine's bare limit."""
    kit.ready()
    from bench import charts, figures, forward, load, saturation

    async def ours(wanted: "Wanted") -> "figures.Figures":
        measure = partial(load.measure, "parley") if served else forward.measure
        return figures.middle([await measure(wanted) for _ in range(runs)])

    async def limit(wanted: "Wanted") -> "figures.Figures":
        return figures.middle([await forward.measure(wanted, "limit_server") for _ in range(runs)])

    def told(name: str, step: saturation.Step) -> None:
        kit.note(figures.line(f"{name} {step.streams} streams", step.figures))

    rows: list[dict[str, Any]] = []
    curves: list[tuple[str, list[saturation.Step]]] = []
    for chosen in kit.profiles(profile):
        wanted = kit.wanted(seconds=seconds, profile=chosen)
        best = {}
        for name, measure in (("parley", ours), ("bare limit", limit)):
            steps = kit.run(
                saturation.climb(
                    measure,
                    wanted,
                    note=partial(told, name),
                )
            )
            curves.append(
                (f"{name} {chosen.removeprefix('AEAD_AES_128_').removeprefix('AES128_CM_')}", steps)
            )
            best[name] = saturation.carried(steps)
            rows.append(
                {
                    "name": name,
                    "profile": chosen,
                    "steps": [{"streams": step.streams, **figures.plain(step.figures)} for step in steps],
                }
            )
        mine, bare = best["parley"], best["bare limit"]
        if mine is None or bare is None:
            print(f"{chosen}: no rung was carried: the machine is too busy")
            continue
        print(
            f"{chosen}: one core carries {mine.figures.packets_per_s:.0f} packets/s "
            f"({mine.streams} streams) at {mine.figures.cost_us:.2f} us, "
            f"p99 {mine.figures.latency_p99_ms:.1f} ms; bare limit {bare.figures.cost_us:.2f} us: "
            f"{mine.figures.cost_us / bare.figures.cost_us:.2f} of it"
        )
    svg = charts.saturation(curves) if plot else None
    kit.write("saturation", {"runs": rows}, svg, as_json=as_json, keep=keep)


def bench_latency(
    *,
    publishers: kit.Publishers = 4,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=1)] = 225,
    seconds: kit.Seconds = 4.0,
    runs: kit.Runs = 3,
    profile: kit.Profile = kit.GCM,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """The latency that the engine adds to the bare relay's at half of what a core carries, turn by turn."""
    kit.ready()
    from bench import charts, compare, figures, forward

    pairs = []
    for chosen in kit.profiles(profile):
        wanted = kit.wanted(
            publishers=publishers, subscribers=subscribers, seconds=seconds, profile=chosen, is_pinned=True
        )
        pair = kit.run(
            compare.in_turn(
                forward.measure,
                lambda shape: forward.measure(shape, "limit_server"),
                wanted,
                runs,
                lambda name, run: kit.note(figures.line(name, run)),
            )
        )
        ours, bare = figures.middle(pair.ours), figures.middle(pair.theirs)
        pairs.append(pair)
        print(
            f"{pair.shape} {chosen}, {ours.packets_per_s:.0f} packets/s: "
            f"p50 {ours.latency_p50_ms:.1f} and {bare.latency_p50_ms:.1f} ms (bare relay), "
            f"p99 {figures.median_p99_ms(pair.ours):.1f} and {figures.median_p99_ms(pair.theirs):.1f} ms: "
            f"{pair.added_p99_ms:+.1f} ms" + (" VOID" if ours.is_void or bare.is_void else "")
        )
    rows = [{**pair.plain(), "added_p99_ms": round(pair.added_p99_ms, 2)} for pair in pairs]
    svg = charts.latencies(pairs) if plot else None
    kit.write("latency", {"pairs": rows}, svg, as_json=as_json, keep=keep)


def bench_workers(
    *,
    publishers: kit.Publishers = 1,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=70)] = 300,
    seconds: kit.Seconds = 8.0,
    runs: kit.Runs = 3,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """One room on two media threads against the same load on one, turn by turn."""
    kit.ready()
    from dataclasses import replace

    from bench import calibration, charts, compare, figures, load

    wanted = kit.wanted(publishers=publishers, subscribers=subscribers, seconds=seconds)
    alone_us, crowded_us = calibration.datagram_us(), calibration.crowded_us()
    pair = kit.run(
        compare.in_turn(
            lambda shape: load.measure("parley", replace(shape, workers=2)),
            lambda shape: load.measure("parley", shape),
            wanted,
            runs,
        )
    )
    two, one = figures.middle(pair.ours), figures.middle(pair.theirs)
    print(figures.line("one worker", one))
    print(figures.line("two workers", two))
    print(
        f"two workers cost {pair.ratio:.2f} of one a packet; shares {', '.join(map(str, two.worker_shares))}"
    )
    crowd = crowded_us / alone_us
    print(
        f"control: a bare datagram costs {alone_us:.2f} us on one core, {crowded_us:.2f} us while every core "
        f"passes some, {crowd:.2f} of it; measured against that two workers cost {pair.ratio / crowd:.2f}"
    )
    result = {
        "crowded_datagram": round(crowd, 3),
        "two": pair.plain()["ours"],
        "one": pair.plain()["theirs"],
        "ratio": round(pair.ratio, 3),
    }
    kit.write("workers", result, charts.workers(pair) if plot else None, as_json=as_json, keep=keep)
