"""`parley bench`: people who come all at once, and people who come and go for long."""

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
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """Very many people join one room at once: who is in when, keyframe requests, loop lag, memory."""
    kit.ready()
    from dataclasses import asdict

    from bench.storm import storm

    found = kit.run(storm(joins=joins, seconds=seconds, publishers=publishers, workers=workers))
    print(found.line())
    kit.write("storm", {**asdict(found)}, None, as_json=as_json, keep=keep)
    if found.connected < joins:
        fail(*found.failures[:5], code=1)


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
