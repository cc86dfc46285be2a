"""Viewers (WHEP) of one room: what their m-sections show."""

from collections.abc import Mapping, Sequence

from media.gates import Gate
from sfu.engine.types import ALWAYS_OPEN, TrackId
from sfu.errors import EndToEndEncrypted
from sfu.route.answers import ViewerAnswer
from sfu.route.events import PeerId
from sfu.route.registry import Registry
from sfu.route.roster import Roster
from sfu.route.track import Track
from sfu.route.viewer import Viewer
from sfu.sdp import CodecPolicy
from sfu.transport.host import PeerHost


class Viewing:
    """Lets viewers in, and changes what they see. Raises as `Router` says."""

    def __init__(self, roster: Roster, registry: Registry, host: PeerHost) -> None:
        self._roster = roster
        self._registry = registry
        self._host = host

    async def start(
        self,
        owner: str,
        offer: str,
        codecs: CodecPolicy,
        tracks: Sequence[TrackId],
        gates: Mapping[TrackId, Gate],
    ) -> ViewerAnswer:
        """Answer a viewer's offer: each track takes the first free m-section of its kind."""
        wanted = [self._roster.track(track) for track in tracks]
        for track in wanted:
            check_key(track, gates.get(track.id))
        viewer = Viewer(owner, self._roster.new_peer(), self._host.engine)
        negotiation = viewer.plan(offer, codecs, wanted, self._host.rng)
        with self._roster.failing(viewer.peer):
            acks = [self._roster.admit(viewer)]
            viewer.peer.expect_join()
            acks += viewer.apply(negotiation)
            for section in negotiation.sections:
                if section.accepted and section.track is not None:
                    gate = gates.get(section.track, ALWAYS_OPEN)
                    source = self._roster.track(section.track)
                    acks += viewer.attach(section.mid, source, gate, self._registry.next_forward())
                    self._roster.steering.want(viewer, viewer.feed(source.id))
        self._roster.remember(viewer)
        await self._roster.settle(viewer.peer, acks, is_new=True)
        return viewer.answer(negotiation)

    async def set_source(self, viewer: PeerId, mid: str, track: TrackId, gate: Gate | None) -> None:
        """Feed one m-section of a viewer from another track of the same kind."""
        found = self._roster.viewer(viewer)
        source = self._roster.track(track)
        check_key(source, gate)
        before = _shown(found)
        with self._roster.failing(found.peer):
            acks = found.attach(mid, source, gate or ALWAYS_OPEN, self._registry.next_forward())
        for gone in before - _shown(found):
            self._roster.steering.unwant(viewer, gone)
        self._roster.steering.want(found, found.feed(track))
        self._roster.remember(found)
        await self._roster.settle(found.peer, acks)
        if found.peer.is_connected:
            self._roster.want_keyframe(track)


def check_key(track: Track, gate: Gate | None) -> None:
    """A gate means that it leads outside the room, where nobody has the key.

    Raises:
        EndToEndEncrypted: the track is.
    """
    if track.is_e2ee and gate is not None and gate.slot:
        raise EndToEndEncrypted(f"track {track.id} is encrypted end to end")


def _shown(viewer: Viewer) -> set[TrackId]:
    return {outlet.feed.track.id for outlet in viewer.outlets.values() if outlet.feed is not None}
