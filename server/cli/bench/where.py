"""`parley bench profile`: where the server's CPU goes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.bench import kit

if TYPE_CHECKING:
    from bench.figures import Figures
    from bench.wanted import Wanted


def bench_profile(
    *,
    publishers: kit.Publishers = 1,
    subscribers: Annotated[int, typer.Option(help="People who receive every publisher", min=1)] = 100,
    mesh: kit.Mesh = 0,
    seconds: kit.Seconds = 10.0,
    profile: kit.Profile = kit.GCM,
    frames: kit.Frames = 31.0,
    workers: Annotated[int, typer.Option(help="Media threads of the server", min=1, max=64)] = 1,
    as_json: kit.AsJson = False,
    keep: kit.Keep = None,
) -> None:
    """Where the server's CPU goes under a load, by Linux's perf: the kernel, SRTP, the core, Python."""
    kit.ready()
    from bench import figures, load, perf

    async def sampled(wanted: "Wanted") -> "tuple[Figures, perf.Profile]":
        sampler = perf.Sampler()
        return await load.measure("parley", wanted, sampler.beside), sampler.profile

    rows = []
    for chosen in kit.profiles(profile):
        wanted = kit.wanted(
            publishers=publishers,
            subscribers=subscribers,
            mesh=mesh,
            seconds=seconds,
            profile=chosen,
            workers=workers,
            frames_per_s=frames,
        )
        run, found = kit.run(sampled(wanted))
        print(figures.line(f"{wanted.shape()} {chosen}", run))
        for part in found.parts:
            print(f"  {part.share:6.1%} {part.share * run.cost_us:6.2f} us  {part.name}")
        rows.append(
            {
                "shape": wanted.shape(),
                "profile": chosen,
                "figures": figures.plain(run),
                **asdict(found),
            }
        )
    kit.write("profile", {"runs": rows}, as_json=as_json, keep=keep)
