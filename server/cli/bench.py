"""`parley bench`: what this machine carries. Needs no running server: each command starts its own."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import uvloop

from server.cli.options import err, fail

if TYPE_CHECKING:
    from bench.figures import Figures
    from bench.wanted import Wanted

app = typer.Typer(no_args_is_help=True, help="Measure what forwarding costs on this machine.")
compare_app = typer.Typer(no_args_is_help=True, help="The same load on another server, side by side.")
app.add_typer(compare_app, name="compare")

_GCM: Final = "AEAD_AES_128_GCM"
_BOTH: Final = "both"
_PROFILES: Final = (_GCM, "AES128_CM_SHA1_80")

Publishers = Annotated[int, typer.Option(help="People who publish a camera with sound", min=1, max=64)]
Subscribers = Annotated[
    list[int] | None, typer.Option(help="People who receive every publisher; repeat for several runs")
]
Mesh = Annotated[int, typer.Option(help="Instead: so many people who each see all others", min=0, max=40)]
Rooms = Annotated[int, typer.Option(help="So many rooms of that shape", min=1, max=200)]
Seconds = Annotated[float, typer.Option(help="How long each run is measured", min=0.5, max=3600)]
Runs = Annotated[int, typer.Option(help="Runs of each; the median counts", min=1, max=50)]
Profile = Annotated[str, typer.Option(help=f"SRTP profile: {', '.join(_PROFILES)} or both")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON too")]
Plot = Annotated[bool, typer.Option("--plot", help="Draw the costs as SVG beside the JSON")]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="Write the results to this folder; default bench/out of a checkout, else ./parley-bench"
    ),
]


@app.command("load")
def bench_load(
    *,
    publishers: Publishers = 1,
    subscribers: Subscribers = None,
    mesh: Mesh = 0,
    rooms: Rooms = 1,
    seconds: Seconds = 10.0,
    runs: Runs = 1,
    profile: Profile = _GCM,
    workers: Annotated[int, typer.Option(help="Media threads of the server", min=1, max=64)] = 1,
    churn: Annotated[float, typer.Option(help="Subscribers a second that leave and come", min=0)] = 0.0,
    loss: Annotated[
        float, typer.Option(help="Percent of packets that subscribers lose and ask for again", min=0, max=50)
    ] = 0.0,
    pin: Annotated[bool, typer.Option("--pin", help="Media on core 0, all else on core 1")] = False,
    engine_only: Annotated[
        bool, typer.Option("--engine-only", help="The bare engine: no signalling, no handshakes")
    ] = False,
    as_json: AsJson = False,
    plot: Plot = False,
    keep: Keep = None,
) -> None:
    """Load a real server with native peers: CPU per packet, latency, loss, join times, memory."""
    _ready()
    from bench import charts, figures, forward, load

    found: list[tuple[Wanted, list[Figures]]] = []
    for chosen in _profiles(profile):
        for count in subscribers or [50]:
            wanted = _wanted(
                publishers=publishers,
                subscribers=count,
                mesh=mesh,
                rooms=rooms,
                seconds=seconds,
                profile=chosen,
                workers=workers,
                churn=churn,
                loss=loss / 100,
                is_pinned=pin,
            )
            made = []
            for _ in range(runs):
                run = _run(forward.measure(wanted) if engine_only else load.measure("parley", wanted))
                made.append(run)
                _note(figures.line(f"{wanted.shape()} {chosen}", run))
            found.append((wanted, made))
            print(figures.line(f"{wanted.shape()} {chosen}", figures.middle(made)))
            if mesh:
                break
    result = {
        "command": _command(),
        "runs": [
            {
                "shape": wanted.shape(),
                "profile": wanted.profile,
                "figures": [figures.plain(run) for run in made],
            }
            for wanted, made in found
        ],
    }
    _write(
        "load",
        result,
        charts.costs([(wanted, figures.middle(made)) for wanted, made in found]) if plot else None,
        as_json=as_json,
        keep=keep,
    )


@app.command("limit")
def bench_limit(
    *,
    publishers: Publishers = 3,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=1)] = 500,
    seconds: Seconds = 5.0,
    profile: Profile = _BOTH,
    runs: Runs = 1,
    as_json: AsJson = False,
    keep: Keep = None,
) -> None:
    """The machine's bare limit: one thread that receives, encrypts for everybody and sends, no more."""
    _ready()
    from bench import figures, forward

    rows = []
    for chosen in _profiles(profile):
        wanted = _wanted(
            publishers=publishers, subscribers=subscribers, seconds=seconds, profile=chosen, is_pinned=True
        )
        made = [_run(forward.measure(wanted, "limit_server")) for _ in range(runs)]
        rows.append({"profile": chosen, "figures": [figures.plain(run) for run in made]})
        print(figures.line(f"bare limit {wanted.shape()} {chosen}", figures.middle(made)))
    _write("limit", {"command": _command(), "runs": rows}, None, as_json=as_json, keep=keep)


@app.command("saturate")
def bench_saturate(
    *,
    seconds: Seconds = 4.0,
    profile: Profile = _BOTH,
    served: Annotated[bool, typer.Option("--served", help="A whole server in place of the engine")] = False,
    as_json: AsJson = False,
    plot: Plot = False,
    keep: Keep = None,
) -> None:
    """What one full core carries with a p99 latency of at most 20 ms, beside the machine's bare limit."""
    _ready()
    from bench import charts, figures, forward, load, saturation

    def ours(wanted: "Wanted") -> Any:
        return load.measure("parley", wanted) if served else forward.measure(wanted)

    def limit(wanted: "Wanted") -> Any:
        return forward.measure(wanted, "limit_server")

    def told(name: str, step: saturation.Step) -> None:
        _note(figures.line(f"{name} {step.streams} streams", step.figures))

    rows: list[dict[str, Any]] = []
    curves: list[tuple[str, list[saturation.Step]]] = []
    for chosen in _profiles(profile):
        wanted = _wanted(seconds=seconds, profile=chosen)
        best = {}
        for name, measure in (("parley", ours), ("bare limit", limit)):
            steps = _run(
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
    _write("saturation", {"command": _command(), "runs": rows}, svg, as_json=as_json, keep=keep)


@app.command("latency")
def bench_latency(
    *,
    publishers: Publishers = 4,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=1)] = 225,
    seconds: Seconds = 4.0,
    runs: Runs = 3,
    profile: Profile = _GCM,
    as_json: AsJson = False,
    keep: Keep = None,
) -> None:
    """The latency that the engine adds to the bare relay's at half of what a core carries, turn by turn."""
    _ready()
    from bench import compare, figures, forward

    rows = []
    for chosen in _profiles(profile):
        wanted = _wanted(
            publishers=publishers, subscribers=subscribers, seconds=seconds, profile=chosen, is_pinned=True
        )
        pair = _run(
            compare.in_turn(
                forward.measure,
                lambda shape: forward.measure(shape, "limit_server"),
                wanted,
                runs,
                lambda name, run: _note(figures.line(name, run)),
            )
        )
        ours, bare = figures.middle(pair.ours), figures.middle(pair.theirs)
        rows.append({**pair.plain(), "added_p99_ms": round(pair.added_p99_ms, 2)})
        print(
            f"{pair.shape} {chosen}, {ours.packets_per_s:.0f} packets/s: "
            f"p50 {ours.latency_p50_ms:.1f} and {bare.latency_p50_ms:.1f} ms (bare relay), "
            f"p99 {figures.median_p99_ms(pair.ours):.1f} and {figures.median_p99_ms(pair.theirs):.1f} ms: "
            f"{pair.added_p99_ms:+.1f} ms" + (" VOID" if ours.is_void or bare.is_void else "")
        )
    _write("latency", {"command": _command(), "pairs": rows}, None, as_json=as_json, keep=keep)


@app.command("workers")
def bench_workers(
    *,
    publishers: Publishers = 1,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=70)] = 300,
    seconds: Seconds = 8.0,
    runs: Runs = 3,
    as_json: AsJson = False,
    keep: Keep = None,
) -> None:
    """One room on two media threads against the same load on one, turn by turn."""
    _ready()
    from dataclasses import replace

    from bench import calibration, compare, figures, load

    wanted = _wanted(publishers=publishers, subscribers=subscribers, seconds=seconds)
    alone_us, crowded_us = calibration.datagram_us(), calibration.crowded_us()
    pair = _run(
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
        "command": _command(),
        "crowded_datagram": round(crowd, 3),
        "two": pair.plain()["ours"],
        "one": pair.plain()["theirs"],
    }
    _write("workers", {**result, "ratio": round(pair.ratio, 3)}, None, as_json=as_json, keep=keep)


@compare_app.command("janus")
def bench_compare_janus(
    *,
    subscribers: Subscribers = None,
    mesh: Annotated[int, typer.Option(help="Also so many who each see all others; 0: none", max=20)] = 6,
    seconds: Seconds = 6.0,
    runs: Runs = 3,
    profile: Profile = _BOTH,
    frames: Annotated[float, typer.Option(help="Frames a second of each camera", min=1, max=31)] = 31.0,
    add: Annotated[
        bool, typer.Option("--add", help="Keep what the folder has of other shapes: a table in pieces")
    ] = False,
    as_json: AsJson = False,
    plot: Plot = False,
    keep: Keep = None,
) -> None:
    """Debian's Janus (videoroom, two event loops) under the same load, turn by turn, and the ratio."""
    _ready()
    from bench import charts, compare, figures, load

    def told(shape: str, name: str, run: "Figures") -> None:
        _note(figures.line(f"{name} {shape}", run))

    pairs: list[compare.Pair] = []
    for chosen in _profiles(profile):
        shapes = [{"subscribers": count} for count in subscribers or (10, 50, 100, 200)]
        for shape in [*shapes, *([{"mesh": mesh}] if mesh else [])]:
            wanted = _wanted(seconds=seconds, profile=chosen, frames_per_s=frames, **shape)
            pair = _run(
                compare.in_turn(
                    lambda shape: load.measure("parley", shape),
                    lambda shape: load.measure("janus", shape),
                    wanted,
                    runs,
                    partial(told, wanted.shape()),
                )
            )
            pairs.append(pair)
            print(pair.line("janus"))
    if add:
        known = figures.kept("compare-janus", folder=keep or figures.OUT).get("pairs", [])
        pairs = compare.merged([compare.Pair.from_plain(pair) for pair in known], pairs)
    # A mesh, or a slower camera, has its own cost for as many streams: it is in the table, not on the line.
    drawn = [pair for pair in pairs if pair.shape.startswith("1 x") and "," not in pair.shape]
    svg = charts.comparison(drawn, "janus") if plot and drawn else None
    result = {"command": _command(), "pairs": [pair.plain() for pair in pairs]}
    _write("compare-janus", result, svg, as_json=as_json, keep=keep)


@app.command("storm")
def bench_storm(
    *,
    joins: Annotated[int, typer.Option(help="People who come", min=1, max=5_000)] = 300,
    seconds: Annotated[float, typer.Option(help="Within so long", min=0.1)] = 10.0,
    publishers: Publishers = 1,
    workers: Annotated[int, typer.Option(help="Media threads of the server", min=1, max=64)] = 1,
    as_json: AsJson = False,
    keep: Keep = None,
) -> None:
    """Very many people join one room at once: who is in when, keyframe requests, loop lag, memory."""
    _ready()
    from dataclasses import asdict

    from bench.storm import storm

    found = _run(storm(joins=joins, seconds=seconds, publishers=publishers, workers=workers))
    print(found.line())
    _write("storm", {"command": _command(), **asdict(found)}, None, as_json=as_json, keep=keep)
    if found.connected < joins:
        fail(*found.failures[:5], code=1)


@app.command("soak")
def bench_soak(
    *,
    minutes: Annotated[float, typer.Option(help="How long", min=0.1)] = 60.0,
    as_json: AsJson = False,
    plot: Plot = False,
    keep: Keep = None,
) -> None:
    """People come and go for long; then memory must be flat, and nothing may be left behind."""
    _ready()
    from bench import charts
    from bench.soak import soak
    from bench.soak_figures import judge

    found = _run(soak(minutes * 60, _note))
    print(found.line())
    svg = charts.memory(found) if plot else None
    problems = judge(found)
    result = {"command": _command(), **found.plain(), "problems": problems}
    _write("soak", result, svg, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)


def _note(words: str) -> None:
    """Say something beside the result."""
    err.print(words, style="dim", highlight=False, soft_wrap=True)


def _ready() -> None:
    """Say in one line what is missing where the bench cannot run."""
    if not sys.platform.startswith("linux"):
        fail("The bench measures with Linux's own means: run it on Linux.")


def _profiles(name: str) -> tuple[str, ...]:
    if name == _BOTH:
        return _PROFILES
    if name not in _PROFILES:
        fail(f"--profile {name}: choose {', '.join(_PROFILES)} or both")
    return (name,)


def _wanted(**fields: Any) -> "Wanted":
    from bench.wanted import Wanted

    return Wanted(**fields)


def _run(work: Any) -> Any:
    """Run one measurement on a loop of its own, telling what people can mend in one line."""
    from bench.caller import CallRefused
    from bench.janus import JanusRefused
    from bench.line import LineLost
    from bench.target import TargetFailed

    try:
        return uvloop.run(work)
    except (TargetFailed, LineLost, CallRefused, JanusRefused) as error:
        fail(str(error), code=1)


def _command() -> str:
    return " ".join(["parley", *sys.argv[1:]])


def _write(name: str, result: dict[str, Any], svg: str | None, *, as_json: bool, keep: Path | None) -> None:
    import json

    from bench import figures

    path = figures.keep(name, result, svg=svg, folder=keep or figures.OUT)
    if as_json:
        print(json.dumps(result, indent=2))
    _note(f"written to {path}")
