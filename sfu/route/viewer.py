"""One viewer (WHEP): a fixed set of m-sections of its own offer, each fed from one track or another."""

import random
from collections.abc import Sequence

from media.gates import Gate
from sfu.engine.api import Engine
from sfu.engine.types import Ack, ForwardId, TrackId
from sfu.errors import NegotiationError, UnknownPeer, UnknownTrack
from sfu.route.answers import ViewerAnswer
from sfu.route.outlet import Feed, Outlet
from sfu.route.receiver import outlets_of
from sfu.route.track import Track
from sfu.sdp import Agreed, CodecPolicy, ViewNegotiation, ViewTrack, answer_view
from sfu.transport.peer import Peer


class Viewer:
    """A peer that receives on m-sections of its own offer; their sources change without renegotiation."""

    def __init__(self, owner: str, peer: Peer, engine: Engine) -> None:
        self.owner = owner
        self.peer = peer
        self.outlets: dict[str, Outlet] = {}
        self._engine = engine
        self._agreed: Agreed | None = None

    @property
    def agreed(self) -> Agreed | None:
        """What the offer's answer settled."""
        return self._agreed

    def plan(
        self, offer: str, policy: CodecPolicy, tracks: Sequence[Track], rng: random.Random
    ) -> ViewNegotiation:
        """Answer the offer without doing anything yet.

        Raises:
            SdpError: the offer does not parse.
            NegotiationError: it cannot be agreed to.
        """
        wanted = [ViewTrack(track.id, track.kind, track.owner) for track in tracks]
        return answer_view(offer, policy, self.peer.local, wanted, rng=rng)

    def apply(self, negotiation: ViewNegotiation) -> list[Ack]:
        """Take what was agreed; sources come by `attach`."""
        self.peer.set_remote(negotiation.remote)
        for section in negotiation.sections:
            self.outlets[section.mid] = Outlet(self.peer.transport, section)
        sections = tuple((section.kind, section.mid) for section in negotiation.sections)
        self._agreed = Agreed(negotiation.remote, sections, negotiation.extensions)
        return [self._engine.set_send_extensions(self.peer.transport, negotiation.extensions)]

    def answer(self, negotiation: ViewNegotiation) -> ViewerAnswer:
        """What the viewer is told."""
        tracks = tuple((section.mid, section.track) for section in negotiation.sections)
        return ViewerAnswer(self.peer.id, negotiation.answer, tracks)

    def attach(self, mid: str, track: Track, gate: Gate, fresh: ForwardId) -> list[Ack]:
        """Let a track through an m-section, instead of what went through it before.

        Raises:
            UnknownPeer: the viewer has no such m-section.
            NegotiationError: the kinds differ.
            QueueFull: the engine is too busy; the peer is of no more use.
        """
        outlet = self.outlets.get(mid)
        if outlet is None:
            raise UnknownPeer(f"viewer {self.peer.id} has no section {mid!r}")
        if outlet.section.kind != track.kind:
            raise NegotiationError(f"section {mid!r} of viewer {self.peer.id} is {outlet.section.kind}")
        return outlet.attach(self._engine, Feed(track, gate), fresh)

    def feed(self, track: TrackId) -> Feed:
        """What the viewer gets of a track.

        Raises:
            UnknownTrack: it does not get it.
        """
        for outlet in outlets_of(self, track):
            if outlet.feed is not None:
                return outlet.feed
        raise UnknownTrack(f"track {track} does not feed viewer {self.peer.id}")

    def withdraw(self, track: TrackId) -> list[Ack]:
        """Stop a track at once, in every m-section; an unknown one is fine."""
        return [ack for outlet in outlets_of(self, track) for ack in outlet.detach(self._engine)]
