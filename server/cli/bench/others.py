"""`parley bench compare`: the same load on another server, side by side."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.bench import kit

if TYPE_CHECKING:
    from bench.figures import Figures


def bench_compare_janus(
    *,
    subscribers: kit.Subscribers = None,
    mesh: Annotated[int, typer.Option(help="Also so many who each see all others; 0: none", max=20)] = 6,
    seconds: kit.Seconds = 6.0,
    runs: kit.Runs = 3,
    profile: kit.Profile = kit.BOTH,
    frames: kit.Frames = 31.0,
    add: Annotated[
        bool, typer.Option("--add", help="Keep what the folder has of other shapes: a table in pieces")
    ] = False,
    as_json: kit.AsJson = False,
    plot: kit.Plot = False,
    keep: kit.Keep = None,
) -> None:
    """Debian's Janus (videoroom, two event loops) under the same load, turn by turn, and the ratio."""
    kit.ready()
    from bench import charts, compare, figures, load

    def told(shape: str, name: str, run: "Figures") -> None:
        kit.note(figures.line(f"{name} {shape}", run))

    pairs: list[compare.Pair] = []
    for chosen in kit.profiles(profile):
        shapes = [{"subscribers": count} for count in subscribers or (10, 50, 100, 200)]
        for shape in [*shapes, *([{"mesh": mesh}] if mesh else [])]:
            wanted = kit.wanted(seconds=seconds, profile=chosen, frames_per_s=frames, **shape)
            pair = kit.run(
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
    command = kit.command()
    if add and (known := figures.kept("compare-janus", folder=keep or figures.OUT)):
        pairs = compare.merged([compare.Pair.from_plain(pair) for pair in known["pairs"]], pairs)
        command = compare.called(known["command"], command)
    # A mesh, or a slower camera, has its own cost for as many streams: it is in the table, not on the line.
    drawn = [pair for pair in pairs if pair.shape.startswith("1 x") and "," not in pair.shape]
    svg = charts.comparison(drawn, "janus") if plot and drawn else None
    result = {"command": command, "pairs": [pair.plain() for pair in pairs]}
    kit.write("compare-janus", result, svg, as_json=as_json, keep=keep)
