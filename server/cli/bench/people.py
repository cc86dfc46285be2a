"""`parley bench`: people who come all at once, who come and go, take consent back, flash and beep."""

from typing import Annotated

import typer

from server.cli.bench import kit
from server.cli.options import fail


def bench_storm(
    *,
    joins: Annotated[int, typer.Option(help="People who come", min=1, max=5_000)] = 300,
    seconds: Annotated[float, typer.Option(help="Within so long", min=0.1)] = 10.0,
    publishers: kit.Publishers = 1,
    workers: Annotated[int, typer.Option(help="Media threads of the server", min=1, max=64)] = 1,
    simulcast: Annotated[
        bool, typer.Option("--simulcast", help="Three encodings of each camera; people ask for each by turns")
    ] = False,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """Very many people join one room at once: who is in when, keyframe requests, loop lag, memory."""
    kit.ready()
    from dataclasses import asdict

    from bench import charts
    from bench.storm import storm

    found = kit.run(
        storm(
            joins=joins,
            seconds=seconds,
            publishers=publishers,
            workers=workers,
            is_simulcast=simulcast,
        )
    )
    print(found.line())
    svg = charts.storm(found) if plot and found.parts else None
    problems = found.problems()
    name = "storm-simulcast" if simulcast else "storm"
    kit.write(name, {**asdict(found), "problems": problems}, svg, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)


def bench_soak(
    *,
    minutes: Annotated[float, typer.Option(help="How long", min=0.1)] = 60.0,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """People come and go for long; then memory must be flat, and nothing may be left behind."""
    kit.ready()
    from bench import charts
    from bench.soak import soak
    from bench.soak_figures import judge

    found = kit.run(soak(minutes * 60, kit.note))
    print(found.line())
    svg = charts.memory(found) if plot else None
    problems = judge(found)
    result = {**found.plain(), "problems": problems}
    kit.write("soak", result, svg, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)


def bench_revocation(
    *,
    times: Annotated[int, typer.Option(help="Revocations", min=1, max=10_000)] = 200,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """From a revocation's call to the last of the person at RTMP, SRT, WHIP, HLS, WHEP and the recording."""
    kit.ready()
    from bench import charts
    from bench.revocation import revocations

    found = kit.run(revocations(times, kit.note))
    print("\n".join(found.lines()))
    late = found.late()
    svg = charts.revocations(found) if plot else None
    kit.write("revocation", {**found.plain(), "problems": late}, svg, as_json=as_json, keep=keep)
    if late:
        fail(*late, code=1)


def bench_offsets(
    *,
    seconds: kit.Seconds = 60.0,
    loss: Annotated[
        float, typer.Option(help="Percent of the publisher's packets that are lost", min=0, max=50)
    ] = 2.0,
    drift: Annotated[float, typer.Option(help="Parts per million by which the sound device is fast")] = 50.0,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """How far beep and flash of one instant are apart in a recording, a film of it and what a site got."""
    kit.ready()
    from bench import charts
    from bench.offsets import offsets

    found = kit.run(offsets(seconds, loss=loss / 100, drift_ppm=drift, note=kit.note))
    print("\n".join(found.lines()))
    problems = found.problems()
    svg = charts.offsets(found) if plot else None
    kit.write("offsets", {**found.plain(), "problems": problems}, svg, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)
