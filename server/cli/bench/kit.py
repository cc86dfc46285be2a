"""What the commands of `parley bench` share: their options, how they run, and what they write."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import uvloop

from server.cli.options import err, fail

if TYPE_CHECKING:
    from bench.wanted import Wanted

GCM: Final = "AEAD_AES_128_GCM"
BOTH: Final = "both"
PROFILES: Final = (GCM, "AES128_CM_SHA1_80")

Publishers = Annotated[int, typer.Option(help="People who publish a camera with sound", min=1, max=64)]
Subscribers = Annotated[
    list[int] | None, typer.Option(help="People who receive every publisher; repeat for several runs")
]
Mesh = Annotated[int, typer.Option(help="Instead: so many people who each see all others", min=0, max=40)]
Rooms = Annotated[int, typer.Option(help="So many rooms of that shape", min=1, max=200)]
Seconds = Annotated[float, typer.Option(help="How long each run is measured", min=0.5, max=3600)]
Runs = Annotated[int, typer.Option(help="Runs of each; the median counts", min=1, max=50)]
Profile = Annotated[str, typer.Option(help=f"SRTP profile: {', '.join(PROFILES)} or both")]
Frames = Annotated[float, typer.Option(help="Frames a second of each camera", min=1, max=31)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON too")]
Plot = Annotated[bool, typer.Option("--plot", help="Draw the costs as SVG beside the JSON")]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="Write the results to this folder; default bench/out of a checkout, else ./parley-bench"
    ),
]


def note(words: str) -> None:
    """Say something beside the result."""
    err.print(words, style="dim", highlight=False, soft_wrap=True)


def ready() -> None:
    """Say in one line what is missing where the bench cannot run."""
    if not sys.platform.startswith("linux"):
        fail("The bench measures with Linux's own means: run it on Linux.")


def profiles(name: str) -> tuple[str, ...]:
    """The SRTP profiles that `--profile` names."""
    if name == BOTH:
        return PROFILES
    if name not in PROFILES:
        fail(f"--profile {name}: choose {', '.join(PROFILES)} or both")
    return (name,)


def wanted(**fields: Any) -> "Wanted":
    """The shape of a run."""
    from bench.wanted import Wanted

    return Wanted(**fields)


def run(work: Any) -> Any:
    """Run one measurement on a loop of its own, telling what people can mend in one line."""
    from bench.janus import JanusRefused
    from bench.line import LineLost
    from bench.rpc import CallRefused
    from bench.target import TargetFailed

    try:
        return uvloop.run(work)
    except (TargetFailed, LineLost, CallRefused, JanusRefused) as error:
        fail(str(error), code=1)


def command() -> str:
    """The command as it was called."""
    return " ".join(["parley", *sys.argv[1:]])


def write(
    name: str, result: dict[str, Any], svg: str | None = None, *, as_json: bool, keep: Path | None
) -> None:
    """Keep a result with the command that made it, and its picture."""
    from bench import figures

    result = {"command": command(), **result}
    path = figures.keep(name, result, svg=svg, folder=keep or figures.OUT)
    if as_json:
        print(json.dumps(result, indent=2))
    note(f"written to {path}")
