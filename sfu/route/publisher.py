"""One publisher: its offers, and the tracks that come out of them."""

from collections.abc import Callable
from dataclasses import dataclass

from sfu.config import MediaConfig
from sfu.engine.api import Engine
from sfu.engine.types import Ack, StageId, TrackId
from sfu.route.answers import PublishAnswer
from sfu.route.track import Track
from sfu.sdp import Agreed, CodecPolicy, LocalTransport, PublishNegotiation, answer_publish
from sfu.transport.peer import Peer


@dataclass(frozen=True, slots=True)
class PublishChange:
    """What one offer changes, worked out before anything is done."""

    negotiation: PublishNegotiation
    restart: LocalTransport | None
    """The fresh credentials that the answer carries, when the offer restarts ICE."""
    removed: tuple[Track, ...]
    added: tuple[Track, ...]


class Publisher:
    """A peer that sends tracks; the client offers, first and again on the same peer."""

    def __init__(self, owner: str, peer: Peer, policy: CodecPolicy, stage: StageId, engine: Engine) -> None:
        self.owner = owner
        self.peer = peer
        self.tracks: dict[TrackId, Track] = {}
        self._policy = policy
        self._stage = stage
        self._engine = engine
        self._negotiation: PublishNegotiation | None = None
        self._version = 0

    @property
    def agreed(self) -> Agreed | None:
        """What the last offer's answer settled; None before the first."""
        return None if self._negotiation is None else self._negotiation.agreed

    def plan(
        self, offer: str, config: MediaConfig, next_track: Callable[[], TrackId], *, e2ee: bool, data: bool
    ) -> PublishChange:
        """Answer an offer without doing anything yet.

        Raises:
            SdpError: the offer does not parse.
            NegotiationError: it cannot be agreed to.
        """
        previous = self._negotiation
        restart = None if previous is None else self.peer.next_local()
        takes_data = data and config.data and self.peer.can_carry_data
        negotiation = answer_publish(
            offer,
            # RED that is encrypted end to end can be unpacked for nobody.
            self._policy if not e2ee else self._policy.without("red"),
            self.peer.local,
            version=self._version + 1,
            max_tracks=config.max_tracks_per_peer,
            previous=previous,
            restart=restart,
            data_bytes=config.data_message_bytes if takes_data else None,
        )
        before = {track.negotiated.mid: track for track in self.tracks.values()}
        kept: list[Track] = []
        added: list[Track] = []
        for section in negotiation.tracks:
            track = before.get(section.mid)
            if track is not None and track.is_e2ee == e2ee and track.continues_as(section):
                kept.append(track)
            else:
                added.append(Track(next_track(), self.peer.id, self.owner, section, e2ee))
        removed = [track for track in self.tracks.values() if track not in kept]
        restarted = restart if negotiation.ice_restart else None
        return PublishChange(negotiation, restarted, tuple(removed), tuple(added))

    def apply(self, change: PublishChange) -> list[Ack]:
        """Make the change in the engine; removed tracks the router has retracted before.

        Raises:
            NegotiationError: the transport's certificate or role changed; nothing was done.
            QueueFull: the engine is too busy; the peer is of no more use.
        """
        negotiation, transport = change.negotiation, self.peer.transport
        self.peer.set_remote(negotiation.remote)
        self.peer.set_data(negotiation.data)
        acks = [] if change.restart is None else self.peer.restart(change.restart)
        if self._negotiation is None or self._negotiation.extensions != negotiation.extensions:
            acks.append(self._engine.set_receive_extensions(transport, negotiation.extensions))
        for track in change.removed:
            del self.tracks[track.id]
            acks.append(self._engine.remove_track(track.id))
        for track in change.added:
            self.tracks[track.id] = track
            section = track.negotiated
            acks.append(
                self._engine.add_track(
                    track.id,
                    transport,
                    section.kind,
                    section.mid,
                    section.codecs,
                    section.encodings,
                    nack=section.nack,
                    twcc=section.twcc,
                    e2ee=track.is_e2ee,
                    fir=section.fir,
                    stage=self._stage,
                )
            )
        self._negotiation = negotiation
        self._version += 1
        return acks

    def answer(self, change: PublishChange) -> PublishAnswer:
        """What the publisher is told."""
        order = {section.mid: index for index, section in enumerate(change.negotiation.tracks)}
        tracks = sorted(self.tracks.values(), key=lambda track: order[track.negotiated.mid])
        return PublishAnswer(
            self.peer.id, change.negotiation.answer, tuple(track.published() for track in tracks)
        )
