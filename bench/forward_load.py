"""The measuring half of `bench.forward`: native publishers and subscribers in client mode."""

from dataclasses import dataclass
from typing import Any

from bench import keys, plan
from media.gates import GatePage
from sfu import MediaConfig
from sfu.engine import NativeEngine, TrackId, TransportId, session_address


@dataclass(frozen=True, slots=True)
class Received:
    """What all subscribers together had received at one moment."""

    packets: int
    checked: int
    lost: int
    latency_p50_us: int
    """Over the interval since the last reading, from the publisher's send to the subscriber's decryption."""
    latency_p99_us: int


class Load:
    """All publishers and subscribers of a plan, each on a socket of its own."""

    def __init__(self, run: plan.Plan, *, gro: bool) -> None:
        self._plan = run
        ips = ("127.0.0.1",) * len(run.legs)
        config = MediaConfig(addresses=ips, port=0, workers=1, gate_slots=64)
        self._gates = GatePage.create(config.gate_slots)
        self._engine = NativeEngine(config, self._gates, coalesce_us=0, gro=gro)
        self._sessions: list[object] = []

    def addresses(self) -> dict[int, tuple[str, int]]:
        """Where each transport receives."""
        addresses = self._engine.addresses(0)
        return {leg.transport: addresses[n] for n, leg in enumerate(self._plan.legs)}

    async def connect(self, port: int) -> None:
        """Make the client transports of the plan towards the server's port."""
        profile = self._plan.profile
        for index, leg in enumerate(self._plan.legs):
            transport = TransportId(leg.transport)
            tx = keys.outbound(profile, leg.up_key)
            rx = keys.inbound(profile, leg.down_key) if leg.is_checked else None
            self._sessions += [tx, rx]
            await self._engine.add_client_transport(transport, 0, index, "127.0.0.1", port)
            await self._engine.set_send_extensions(transport, plan.EXTENSIONS)
            rx_address = session_address(rx) if rx is not None else 0
            await self._engine.set_srtp(transport, rx_address, session_address(tx), profile)

    async def publish(self) -> None:
        """Start every publisher's generators."""
        for leg in self._plan.legs:
            if leg.sends:
                await self._engine.add_generator(
                    TrackId(plan.video_track(leg.transport)),
                    TransportId(leg.transport),
                    plan.video_ssrc(leg.transport),
                    plan.VP8_PT,
                    90_000,
                    plan.VIDEO_PER_S,
                    plan.VIDEO_BURST,
                    plan.VIDEO_BYTES,
                    "0",
                    "vp8",
                )
                await self._engine.add_generator(
                    TrackId(plan.audio_track(leg.transport)),
                    TransportId(leg.transport),
                    plan.audio_ssrc(leg.transport),
                    plan.OPUS_PT,
                    48_000,
                    plan.AUDIO_PER_S,
                    1,
                    plan.AUDIO_BYTES,
                    "1",
                    "opus",
                )

    async def received(self) -> Received:
        """Read the counters; the latency figures start anew."""
        stats = await self._engine.query_stats(0)
        subscribers = {leg.transport for leg in self._plan.legs if leg.watches}
        rows: list[dict[str, Any]] = [row for row in stats.transports if row["transport"] in subscribers]
        return Received(
            packets=sum(row["client_received"] for row in rows),
            checked=sum(row["client_checked"] for row in rows),
            lost=sum(row["client_lost"] for row in rows),
            latency_p50_us=stats.worker.get("client_latency_p50_us", 0),
            latency_p99_us=stats.worker.get("client_latency_p99_us", 0),
        )

    async def close(self) -> None:
        """Stop the load."""
        await self._engine.close()
        self._gates.close()
