"""`parley bench`: what programs and recorders cost, what a kill of one loses, what is told of sites."""

from typing import Annotated, Literal

import typer

from server.cli.bench import kit
from server.cli.options import fail

Plain = Annotated[bool, typer.Option("--plain", help="Without encryption at rest")]


def bench_program(
    *,
    people: Annotated[int, typer.Option(help="Cameras of 1280 x 720 at 30 a second", min=1, max=12)] = 4,
    seconds: kit.Seconds = 10.0,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """CPU time of a program beside the ffmpeg command's for the same graph, and the rate that it holds."""
    kit.ready()
    from dataclasses import asdict

    from bench.program import measure

    found = kit.run(measure(people, seconds))
    print("\n".join(found.lines()))
    problems = found.problems()
    kit.write(f"program-{people}", {**asdict(found), "problems": problems}, None, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)


def bench_recorder(
    *,
    participants: Annotated[int, typer.Option(help="People who are recorded", min=1, max=100)] = 10,
    kbps: Annotated[int, typer.Option(help="Of each, picture and sound", min=50, max=20_000)] = 1000,
    seconds: kit.Seconds = 10.0,
    plain: Plain = False,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """Cores of the recorder's process for each recorded participant."""
    kit.ready()
    from dataclasses import asdict

    from bench.recorder import measure

    found = kit.run(measure(participants, kbps, seconds, is_sealed=not plain))
    print("\n".join(found.lines()))
    problems = found.problems()
    kit.write("recorder", {**asdict(found), "problems": problems}, None, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)


def bench_kills(
    *,
    kills: Annotated[int, typer.Option(help="Recorders to kill", min=1, max=10_000)] = 20,
    seed: Annotated[int, typer.Option(help="Of the moments of the kills")] = 1,
    of: Annotated[
        Literal["worker", "server", "recorder", "program"],
        typer.Option(help="What is killed: a worker by itself, or a whole server or a process of it"),
    ] = "worker",
    codec: Annotated[
        Literal["vp8", "vp9", "h264", "av1"] | None,
        typer.Option(help="Of the pictures that a worker records; without it all by turns"),
    ] = None,
    plain: Plain = False,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """Kill at random moments: what each file lost, if all of them play, how long a broadcast was away."""
    kit.ready()
    from dataclasses import asdict

    from bench import house_kills
    from bench.kills import line, measure, problems
    from bench.studio.encoded import VIDEO_ENCODERS

    if of == "worker":
        codecs = (codec,) if codec is not None else tuple(VIDEO_ENCODERS)
        found = kit.run(measure(kills, seed, is_sealed=not plain, note=print, codecs=codecs))
    else:
        found = kit.run(house_kills.measure(of, kills, seed, print))
    print(line(found))
    wrong = problems(found)
    result = {"kills": [asdict(kill) for kill in found], "problems": wrong}
    kit.write(f"kills-{of}", result, None, as_json=as_json, keep=keep)
    if wrong:
        fail(*wrong, code=1)


def bench_faults(
    *,
    times: Annotated[int, typer.Option(help="Hangs and deaths of each kind of site", min=1, max=1_000)] = 5,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """Sites hang and die, by RTMP, SRT and WHIP: when the API tells it, and when they are live again."""
    kit.ready()
    from bench.faults import faults

    found = kit.run(faults(times, kit.note))
    print("\n".join(found.lines()))
    problems = found.problems()
    kit.write("faults", {**found.plain(), "problems": problems}, None, as_json=as_json, keep=keep)
    if problems:
        fail(*problems, code=1)
