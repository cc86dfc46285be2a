"""What forwarding alone costs: an engine with keys shared beforehand, no signalling and no handshakes.

The measured half (`forward_server`, or `limit_server` for the machine's bare limit) runs alone in a child
process and only its CPU time counts; publishers and subscribers are native, in this one. On loopback the
sender also pays the kernel's receive half.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

from bench import calibration, plan
from bench.figures import Figures
from bench.forward_load import Load, Received
from bench.wanted import Wanted

Half = Literal["forward_server", "limit_server"]
_LEAST_LOAD: Final = 0.97


class HalfProcess:
    """The child; one question at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def spawn(cls, half: Half, core: int | None) -> "HalfProcess":
        """Start it, on one core alone if wanted."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"bench.{half}",
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
    run: plan.Plan, wanted: Wanted, half: Half, coalesce_us: int
) -> AsyncIterator[tuple[HalfProcess, Load, int]]:
    server = await HalfProcess.spawn(half, 0 if wanted.is_pinned else None)
    load: Load | None = None
    try:
        opened = await server.ask("open", coalesce_us=coalesce_us)
        load = Load(run, gro=wanted.gro)
        await load.connect(opened["port"])
        await server.ask("build", plan=run.to_json(), ports=load.addresses())
        yield server, load, opened["rss_bytes"]
    finally:
        if load is not None:
            await load.close()
        await server.stop()


async def measure(
    wanted: Wanted, half: Half = "forward_server", *, coalesce_us: int = 2000, least_load: float = _LEAST_LOAD
) -> Figures:
    """Run once: calibrate, warm up, measure, calibrate again.

    `least_load`: the share of the planned packets below which a run is void.
    """
    run = plan.make(
        wanted.mesh or wanted.publishers,
        wanted.subscribers,
        mesh=bool(wanted.mesh),
        profile=wanted.profile,
        check_every=wanted.check_every,
    )
    if wanted.is_pinned:
        os.sched_setaffinity(0, {1})
    before_us = calibration.datagram_us(0.5)
    async with _call(run, wanted, half, coalesce_us) as (server, load, bare_bytes):
        await load.publish()
        await asyncio.sleep(wanted.warm_up)
        await load.received()
        first_server, first, began = await server.ask("measure"), await load.received(), time.monotonic()
        await asyncio.sleep(wanted.seconds)
        last_server, last, ended = await server.ask("measure"), await load.received(), time.monotonic()
    after_us = calibration.datagram_us(0.5)
    return _figures(
        run,
        (first_server, last_server),
        (first, last),
        ended - began,
        (before_us + after_us) / 2,
        bare_bytes,
        least_load,
    )


def _figures(
    run: plan.Plan,
    servers: tuple[dict[str, Any], dict[str, Any]],
    loads: tuple[Received, Received],
    seconds: float,
    calibration_us: float,
    bare_bytes: int,
    least_load: float,
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
        packets_per_core_s=round(1e6 / max(cost_us, 1e-9)),
        streams_per_core=round(1e6 / max(cost_us, 1e-9) / (plan.VIDEO_PER_S + plan.AUDIO_PER_S), 1),
        lost=max(loads[1].lost - loads[0].lost, 0),
        latency_p50_ms=loads[1].latency_p50_us / 1000,
        latency_p99_ms=loads[1].latency_p99_us / 1000,
        segments_per_message=round(counters["datagrams_sent"] / max(counters["messages_sent"], 1), 2),
        kib_per_transport=round((servers[1]["rss_bytes"] - bare_bytes) / 1024 / len(run.legs), 1),
        drops={name: value for name, value in counters.items() if name.startswith("drop_") and value},
        is_void=packets < least_load * run.packets_per_s * seconds or loads[1].lost > loads[0].lost,
    )
