"""What forwarding costs: CPU microseconds of the server for each RTP packet that a subscriber received.

`python -m bench.forward --publishers 1 --subscribers 50 --seconds 10`. The server engine runs alone in a
child process and only its CPU time counts (all threads, user and system); publishers and subscribers are
native, in this one. On loopback the sender also pays the kernel's receive half.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import calibration, plan
from bench.forward_load import Load, Received

_OUT = Path(__file__).parent / "out"
_LEAST_LOAD = 0.97


@dataclass(frozen=True, slots=True)
class Figures:
    """One run's result."""

    cost_us: float
    """CPU of the server for each packet that subscribers received."""
    calibration_us: float
    ratio: float
    """`cost_us` in units of a bare datagram, the figure that survives the machine's moods."""
    packets_per_s: float
    server_core: float
    """Cores that the server used."""
    packets_per_core_s: float
    lost: int
    latency_p50_ms: float
    latency_p99_ms: float
    segments_per_message: float
    kib_per_transport: float
    drops: dict[str, int]
    is_void: bool
    """The load fell short of its plan (a starved machine), or packets were lost: the figures say nothing."""


class ServerProcess:
    """The child; one question at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, core: int | None) -> "ServerProcess":
        """Start it, on one core alone if wanted."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.forward_server",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        return cls(process)

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """Send one request and read its answer.

        Raises:
            RuntimeError: the child died.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the server has no pipes")
        stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        async with asyncio.timeout(60):
            line = await stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended at {do!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """End it, by force if it does not listen."""
        with contextlib.suppress(RuntimeError, TimeoutError, BrokenPipeError, ConnectionResetError):
            await self.ask("stop")
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def _call(
    run: plan.Plan, options: argparse.Namespace
) -> AsyncIterator[tuple[ServerProcess, Load, int]]:
    server = await ServerProcess.spawn(0 if options.pin else None)
    load: Load | None = None
    try:
        opened = await server.ask("open", workers=1, coalesce_us=options.coalesce_us)
        load = Load(run, gro=not options.no_gro)
        await load.connect(opened["port"])
        await server.ask("build", plan=run.to_json(), ports=load.ports())
        yield server, load, opened["rss_bytes"]
    finally:
        if load is not None:
            await load.close()
        await server.stop()


async def measure(options: argparse.Namespace) -> Figures:
    """Run once: calibrate, warm up, measure, calibrate again."""
    run = plan.make(
        options.publishers,
        options.subscribers,
        mesh=options.mesh,
        profile=options.profile,
        check_every=options.check_every,
    )
    before_us = calibration.datagram_us()
    async with _call(run, options) as (server, load, bare_bytes):
        await load.publish()
        await asyncio.sleep(options.warm_up)
        await load.received()
        first_server, first, began = await server.ask("measure"), await load.received(), time.monotonic()
        await asyncio.sleep(options.seconds)
        last_server, last, ended = await server.ask("measure"), await load.received(), time.monotonic()
    after_us = calibration.datagram_us()
    return _figures(
        run, (first_server, last_server), (first, last), ended - began, (before_us + after_us) / 2, bare_bytes
    )


def _figures(
    run: plan.Plan,
    servers: tuple[dict[str, Any], dict[str, Any]],
    loads: tuple[Received, Received],
    seconds: float,
    calibration_us: float,
    bare_bytes: int,
) -> Figures:
    packets = loads[1].packets - loads[0].packets
    cpu_us = (servers[1]["cpu_ns"] - servers[0]["cpu_ns"]) / 1000
    counters = {
        name: value - servers[0]["counters"].get(name, 0) for name, value in servers[1]["counters"].items()
    }
    cost_us = cpu_us / max(packets, 1)
    return Figures(
        cost_us=round(cost_us, 3),
        calibration_us=round(calibration_us, 3),
        ratio=round(cost_us / calibration_us, 3),
        packets_per_s=round(packets / seconds, 1),
        server_core=round(cpu_us / seconds / 1e6, 4),
        packets_per_core_s=round(1e6 / cost_us, 0),
        lost=max(loads[1].lost - loads[0].lost, 0),
        latency_p50_ms=loads[1].latency_p50_us / 1000,
        latency_p99_ms=loads[1].latency_p99_us / 1000,
        segments_per_message=round(counters["datagrams_sent"] / max(counters["messages_sent"], 1), 2),
        kib_per_transport=round((servers[1]["rss_bytes"] - bare_bytes) / 1024 / len(run.legs), 1),
        drops={name: value for name, value in counters.items() if name.startswith("drop_") and value},
        is_void=packets < _LEAST_LOAD * run.packets_per_s * seconds or loads[1].lost > loads[0].lost,
    )


def _options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.forward", description=__doc__)
    parser.add_argument("--publishers", type=int, default=1)
    parser.add_argument("--subscribers", type=int, default=50)
    parser.add_argument("--mesh", action="store_true", help="PUBLISHERS people who each see all others")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--profile", choices=sorted(plan.PROFILES), default="AEAD_AES_128_GCM")
    parser.add_argument("--coalesce-us", type=int, default=1200)
    parser.add_argument("--check-every", type=int, default=20, help="one subscriber in so many decrypts")
    parser.add_argument("--no-gro", action="store_true", help="receivers without UDP_GRO")
    parser.add_argument("--pin", action="store_true", help="server on core 0, load on core 1")
    return parser.parse_args(arguments)


def main() -> None:
    """Run, print and keep the figures."""
    options = _options()
    if options.pin:
        os.sched_setaffinity(0, {1})
    results = []
    for _ in range(options.runs):
        figures = asyncio.run(measure(options))
        results.append(figures)
        print(json.dumps(asdict(figures)))
    valid = [figures for figures in results if not figures.is_void]
    if not valid:
        print("every run is void: the load did not keep its plan")
    best = sorted(valid or results, key=lambda figures: figures.cost_us)
    median = best[len(best) // 2]
    shape = f"{options.publishers} x {options.publishers - 1 if options.mesh else options.subscribers}"
    print(
        f"{shape} {options.profile}: {median.cost_us:.2f} us a packet (best {best[0].cost_us:.2f}), "
        f"{median.ratio:.2f} of a bare datagram ({median.calibration_us:.2f} us), "
        f"{median.packets_per_s:.0f} packets/s, "
        f"{median.lost} lost, latency p50 {median.latency_p50_ms:.2f} ms p99 {median.latency_p99_ms:.2f} ms"
    )
    _OUT.mkdir(exist_ok=True)
    name = f"forward-{options.publishers}x{'mesh' if options.mesh else options.subscribers}.json"
    (_OUT / name).write_text(
        json.dumps({"options": vars(options), "runs": [asdict(figures) for figures in results]}, indent=2)
    )


if __name__ == "__main__":
    main()
