"""A server engine alone in its process, with the transports, tracks and forwards of a plan."""

import asyncio
from typing import Any

from bench import child, keys, plan
from media.gates import Gate, GatePage
from sfu import MediaConfig
from sfu.engine import (
    EngineCodec,
    EngineEncoding,
    ForwardId,
    NativeEngine,
    TrackId,
    TransportId,
    session_address,
)

_OPEN = Gate(0, 0)
_VIDEO = EngineCodec(plan.VP8_PT, "vp8", 90_000)
_AUDIO = EngineCodec(plan.OPUS_PT, "opus", 48_000)


class Server:
    """A `Half`: the product's engine."""

    def __init__(self, coalesce_us: int) -> None:
        config = MediaConfig(addresses=("127.0.0.1",), port=0, workers=1, gate_slots=64)
        self._gates = GatePage.create(config.gate_slots)
        self.engine = NativeEngine(config, self._gates, coalesce_us=coalesce_us)
        self._sessions: list[object] = []
        self._last_forward = 0

    def port(self) -> int:
        """See `Half`."""
        return self.engine.addresses(0)[0][1]

    async def build(self, run: plan.Plan, addresses: dict[int, tuple[str, int]]) -> None:
        """See `Half`."""
        for leg in run.legs:
            await self._add_transport(run.profile, leg, addresses[leg.transport])
            if leg.sends:
                await self._add_tracks(leg)
        for leg in run.legs:
            for source in leg.watches:
                await self._add_forwards(leg, source)

    async def _add_transport(self, profile: str, leg: plan.Leg, address: tuple[str, int]) -> None:
        transport = TransportId(leg.transport)
        rx, tx = keys.inbound(profile, leg.up_key), keys.outbound(profile, leg.down_key)
        self._sessions += [rx, tx]
        await self.engine.add_transport(transport, 0, [f"bench{leg.transport:08}"])
        await self.engine.bind_path(transport, 0, *address, selected=True)
        await self.engine.set_receive_extensions(transport, plan.EXTENSIONS)
        await self.engine.set_send_extensions(transport, plan.EXTENSIONS)
        up, down = keys.master(profile, leg.up_key), keys.master(profile, leg.down_key)
        await self.engine.set_srtp(transport, session_address(rx), session_address(tx), profile, (up, down))

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

    async def counters(self) -> dict[str, int]:
        """See `Half`."""
        stats = await self.engine.query_stats(0)
        return {name: value for name, value in stats.worker.items() if value}

    async def close(self) -> None:
        """See `Half`."""
        await self.engine.close()
        self._gates.close()


def _make(fields: dict[str, Any]) -> Server:
    return Server(fields["coalesce_us"])


if __name__ == "__main__":
    asyncio.run(child.serve(_make))
