"""The measured half of `bench.forward`: a server engine alone in its process, told what to do on stdin.

Lines of JSON: `{"do": "open", "workers", "coalesce_us"}`, `{"do": "build", "plan", "ports"}`,
`{"do": "measure"}`, `{"do": "stop"}`; each is answered by one line on stdout.
"""

import asyncio
import json
import os
import resource
import sys
import time
from typing import Any

from bench import keys, plan
from media.gates import Gate, GatePage
from sfu.config import MediaConfig
from sfu.engine.native import NativeEngine
from sfu.engine.srtp_table import session_address
from sfu.engine.types import EngineCodec, EngineEncoding, ForwardId, TrackId, TransportId

_OPEN = Gate(0, 0)
_VIDEO = EngineCodec(plan.VP8_PT, "vp8", 90_000)
_AUDIO = EngineCodec(plan.OPUS_PT, "opus", 48_000)


class Server:
    """One engine with the transports, tracks and forwards of a plan."""

    def __init__(self, workers: int, coalesce_us: int) -> None:
        config = MediaConfig(addresses=("127.0.0.1",), port=0, workers=workers, gate_slots=64)
        self._gates = GatePage.create(config.gate_slots)
        self.engine = NativeEngine(config, self._gates, coalesce_us=coalesce_us)
        self._sessions: list[object] = []
        self._last_forward = 0

    def port(self) -> int:
        """Where the load is to send."""
        return self.engine.addresses(0)[0][1]

    async def build(self, run: plan.Plan, ports: dict[int, int]) -> None:
        """Make everything of the plan; `ports`: where each transport's load listens."""
        for leg in run.legs:
            await self._add_transport(run.profile, leg, ports[leg.transport])
            if leg.sends:
                await self._add_tracks(leg)
        for leg in run.legs:
            for source in leg.watches:
                await self._add_forwards(leg, source)

    async def _add_transport(self, profile: str, leg: plan.Leg, port: int) -> None:
        transport = TransportId(leg.transport)
        rx, tx = keys.inbound(profile, leg.up_key), keys.outbound(profile, leg.down_key)
        self._sessions += [rx, tx]
        await self.engine.add_transport(transport, 0, [f"bench{leg.transport:08}"])
        await self.engine.bind_path(transport, 0, "127.0.0.1", port, selected=True)
        await self.engine.set_receive_extensions(transport, plan.EXTENSIONS)
        await self.engine.set_send_extensions(transport, plan.EXTENSIONS)
        await self.engine.set_srtp(transport, session_address(rx), session_address(tx), profile)

    async def _add_tracks(self, leg: plan.Leg) -> None:
        owner = TransportId(leg.transport)
        video, audio = plan.video_ssrc(leg.transport), plan.audio_ssrc(leg.transport)
        await self.engine.add_track(
            TrackId(plan.video_track(leg.transport)),
            owner,
            "video",
            "0",
            [_VIDEO],
            [EngineEncoding("", video)],
            nack=True,
            twcc=False,
        )
        await self.engine.add_track(
            TrackId(plan.audio_track(leg.transport)),
            owner,
            "audio",
            "1",
            [_AUDIO],
            [EngineEncoding("", audio)],
            nack=False,
            twcc=False,
        )

    async def _add_forwards(self, leg: plan.Leg, source: int) -> None:
        for track in (plan.video_track(source), plan.audio_track(source)):
            self._last_forward += 1
            types = {"vp8": (plan.VP8_PT, -1), "opus": (plan.OPUS_PT, -1)}
            await self.engine.add_forward(
                ForwardId(self._last_forward),
                TrackId(track),
                TransportId(leg.transport),
                0x2000_0000 + self._last_forward,
                0,
                str(track % 100),
                types,
                _OPEN,
                paused=False,
            )

    async def figures(self) -> dict[str, Any]:
        """CPU time of this whole process so far, its memory, and the core's counters."""
        stats = await self.engine.query_stats(0)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "cpu_ns": time.process_time_ns(),
            "user_s": usage.ru_utime,
            "system_s": usage.ru_stime,
            "rss_bytes": _resident_bytes(),
            "counters": {name: value for name, value in stats.worker.items() if value},
        }

    async def close(self) -> None:
        """Stop the engine."""
        await self.engine.close()
        self._gates.close()


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - procfs, read in one go
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    server: Server | None = None
    while line := await reader.readline():
        request = json.loads(line)
        answer: dict[str, Any] = {}
        match request["do"]:
            case "open":
                server = Server(request["workers"], request["coalesce_us"])
                answer = {"port": server.port(), "rss_bytes": _resident_bytes()}
            case "build" if server is not None:
                ports = {int(transport): port for transport, port in request["ports"].items()}
                await server.build(plan.Plan.from_json(request["plan"]), ports)
            case "measure" if server is not None:
                answer = await server.figures()
            case "stop" if server is not None:
                await server.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve())
