"""Probe calls to a plane of this process."""

import secrets

from sfu.engine.types import TrackId
from sfu.plane import MediaPlane
from sfu.probe.call import ProbeReport, ProbeTarget, probe_call, probe_offer, probe_targets
from sfu.route.events import PeerId
from sfu.route.router import Router
from sfu.sdp import CodecPolicy


class PlaneProbe:
    """A room whose callers publish and view; `close` it."""

    def __init__(self, plane: MediaPlane) -> None:
        self._router: Router = plane.router("probe", CodecPolicy())

    async def close(self) -> None:
        """End the room."""
        await self._router.close()

    async def targets(self) -> tuple[ProbeTarget, ...]:
        """Everything that this room's answers announce."""
        answer = await self._router.publish(f"p_{secrets.token_hex(8)}", probe_offer())
        await self._router.remove_peer(answer.peer)
        return probe_targets(answer.sdp)

    async def call(self, target: ProbeTarget) -> ProbeReport:
        """Make a call over one of them.

        Raises:
            ProbeFailed: it did not come about, or no packet came back.
        """
        peers: list[PeerId] = []
        tracks: list[TrackId] = []

        async def publish(offer: str) -> str:
            answer = await self._router.publish(f"p_{secrets.token_hex(8)}", offer)
            peers.append(answer.peer)
            tracks.extend(track.track for track in answer.tracks)
            return answer.sdp

        async def view(offer: str) -> str:
            answer = await self._router.whep(f"p_{secrets.token_hex(8)}", offer, tracks, gates={})
            peers.append(answer.peer)
            return answer.sdp

        try:
            return await probe_call(publish, view, target)
        finally:
            for peer in peers:
                await self._router.remove_peer(peer)
