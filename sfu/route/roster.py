"""Who is in one room's media: its peers and tracks, their news, and what their coming and going means."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import structlog

from sfu.engine import events as engine_events
from sfu.engine.settle import settle
from sfu.engine.types import Ack, ForwardId, TrackId
from sfu.errors import EngineError, TooManyPeers, UnknownPeer, UnknownTrack
from sfu.route.data_queue import DataQueue, DataReceived, DataSent
from sfu.route.events import (
    CodecUnsupported,
    EventQueue,
    OfferNeeded,
    PeerActive,
    PeerConnected,
    PeerFailed,
    PeerId,
    PeerIdle,
    SinkClosed,
    SubscriberId,
    TrackCodec,
    TrackRemoved,
)
from sfu.route.publisher import Publisher
from sfu.route.pulse import Pulse
from sfu.route.receiver import outlet_of
from sfu.route.registry import Registry
from sfu.route.steering import Steering
from sfu.route.subscriber import Subscriber
from sfu.route.taps import Taps
from sfu.route.track import Track
from sfu.route.viewer import Viewer
from sfu.sdp import CodecPolicy
from sfu.transport.data_channel import Sent
from sfu.transport.dcep import ChannelKind
from sfu.transport.host import PeerHost
from sfu.transport.peer import Peer

_log = structlog.get_logger("sfu.router")

Member = Publisher | Subscriber | Viewer


class Roster:
    """The members and tracks of one router; hears the news of its peers and of the engine."""

    def __init__(
        self, room: str, worker: int, host: PeerHost, registry: Registry, events: EventQueue
    ) -> None:
        self.tracks: dict[TrackId, Track] = {}
        self.data = DataQueue()
        self.taps = Taps(self, host.engine, registry, host.config.command_timeout_s)
        self._home = worker
        self._room = room
        self._host = host
        self._registry = registry
        self._events = events
        self._members: dict[PeerId, Member] = {}
        self._pulse = Pulse(host.engine, events.put)
        self.steering = Steering(host.engine, events.put, lambda track: track in self.taps.tracks.values())
        self._log = _log.bind(room=room)

    # finding

    @property
    def peers(self) -> tuple[PeerId, ...]:
        """Everyone who is here."""
        return tuple(self._members)

    def member(self, peer: PeerId) -> Member:
        """Anyone.

        Raises:
            UnknownPeer: not here.
        """
        found = self._members.get(peer)
        if found is None:
            raise UnknownPeer(f"peer {peer} is not in room {self._room}")
        return found

    def publisher(self, peer: PeerId, owner: str) -> Publisher:
        """A publisher of an owner.

        Raises:
            UnknownPeer: not here, or another's.
        """
        found = self._members.get(peer)
        if not isinstance(found, Publisher) or found.owner != owner:
            raise UnknownPeer(f"peer {peer} is not a publisher of {owner} in room {self._room}")
        return found

    def subscriber(self, peer: PeerId) -> Subscriber:
        """A subscriber.

        Raises:
            UnknownPeer: not here, or none.
        """
        found = self._members.get(peer)
        if not isinstance(found, Subscriber):
            raise UnknownPeer(f"peer {peer} is not a subscriber in room {self._room}")
        return found

    def viewer(self, peer: PeerId) -> Viewer:
        """A viewer.

        Raises:
            UnknownPeer: not here, or none.
        """
        found = self._members.get(peer)
        if not isinstance(found, Viewer):
            raise UnknownPeer(f"peer {peer} is not a viewer in room {self._room}")
        return found

    def receiver(self, peer: PeerId) -> Subscriber | Viewer:
        """Anyone who receives.

        Raises:
            UnknownPeer: not here, or a publisher.
        """
        found = self._members.get(peer)
        if found is None or isinstance(found, Publisher):
            raise UnknownPeer(f"peer {peer} receives nothing in room {self._room}")
        return found

    def track(self, track: TrackId) -> Track:
        """A track.

        Raises:
            UnknownTrack: not here.
        """
        found = self.tracks.get(track)
        if found is None:
            raise UnknownTrack(f"track {track} is not in room {self._room}")
        return found

    def forwards(self) -> dict[ForwardId, tuple[PeerId, TrackId | None]]:
        """Every forward, whom it serves, and what feeds it now."""
        return {
            outlet.forward: (receiver.peer.id, None if outlet.feed is None else outlet.feed.track.id)
            for receiver in self._receivers()
            for outlet in receiver.outlets.values()
            if outlet.forward is not None
        }

    def set_codecs(self, policy: CodecPolicy) -> None:
        """Offer these codecs to every subscriber from its next offer on."""
        for member in self._members.values():
            if isinstance(member, Subscriber):
                member.set_codecs(policy)

    def _receivers(self) -> Iterator[Subscriber | Viewer]:
        for member in list(self._members.values()):
            if not isinstance(member, Publisher):
                yield member

    # coming and going

    def new_peer(self) -> Peer:
        """A peer connection that is not here yet.

        Raises:
            TooManyPeers: the room is full.
        """
        if len(self._members) >= self._host.config.max_peers_per_room:
            raise TooManyPeers(f"room {self._room} has {len(self._members)} peers, the most it may")
        worker = self._registry.place(self._home)
        return Peer(self._registry.next_peer(), worker, self._host, self)

    def admit(self, member: Member) -> Ack:
        """Let a peer in."""
        self._members[member.peer.id] = member
        self._registry.enter_peer(member.peer)
        return member.peer.open()

    def drop(self, peer: PeerId) -> asyncio.Task[None] | None:
        """Take a peer out of everything at once; the task ends when the engine has let go of it."""
        member = self._members.pop(peer, None)
        if member is None:
            return None
        self._registry.leave_peer(peer)
        if isinstance(member, Publisher):
            for track in list(member.tracks.values()):
                self.retract(track)
        else:
            for outlet in member.outlets.values():
                if outlet.forward is not None:
                    self._registry.leave_forward(outlet.forward)
            self.steering.leave(peer)
        if isinstance(member, Subscriber):
            member.unwatch()
        return self._host.tasks.start(member.peer.close(), name=f"close {peer}")

    def enter(self, track: Track) -> None:
        """Take a publisher's new track in."""
        self.tracks[track.id] = track
        self._registry.tracks[track.id] = self

    def announce(self, publisher: Publisher) -> None:
        """Tell the room of a connected publisher's tracks that it does not know."""
        for track in publisher.tracks.values():
            if not track.is_announced:
                track.is_announced = True
                self._events.put(track.added())
                if track.codec:
                    self._events.put(TrackCodec(track.id, track.codec))

    def retract(self, track: Track) -> list[Ack]:
        """Take a track from everyone who gets it, before the engine loses it."""
        if self.tracks.pop(track.id, None) is None:
            return []
        del self._registry.tracks[track.id]
        self._pulse.remove(track.id)
        self.taps.forget_track(track.id)
        acks: list[Ack] = []
        for receiver in self._receivers():
            self.steering.unwant(receiver.peer.id, track.id)
            try:
                acks += receiver.withdraw(track.id)
            except EngineError as error:
                receiver.peer.fail(f"engine: {error}")
            if isinstance(receiver, Subscriber) and receiver.has_news:
                self.need_offer(receiver)
        self.steering.remove(track.id)
        if track.is_announced:
            self._events.put(TrackRemoved(track.id))
        return acks

    def remember(self, receiver: Subscriber | Viewer) -> None:
        """Note the forwards of a receiver, so that their news finds it."""
        for outlet in receiver.outlets.values():
            if outlet.forward is not None:
                self._registry.enter_forward(outlet.forward, self, receiver.peer.worker)

    def need_offer(self, subscriber: Subscriber) -> None:
        """Tell the room that a subscriber has something to be offered."""
        self._events.put(OfferNeeded(SubscriberId(subscriber.peer.id)))

    def want_keyframe(self, track: TrackId) -> None:
        """Somebody needs a keyframe; audio has none."""
        if track in self.tracks and self.tracks[track].kind == "video":
            self._pulse.want_keyframe(track)

    def close(self) -> list[asyncio.Task[None] | None]:
        """Drop everyone and every sink; the tasks end when the engine has let go of them."""
        self._pulse.close()
        self.steering.close()
        start = self._host.tasks.start
        peers = [self.drop(peer) for peer in self.peers]
        sinks = [start(self.taps.close_sink(sink), name=f"close sink {sink.id}") for sink in self.taps.sinks]
        return peers + sinks

    # the engine's acknowledgements

    @contextmanager
    def failing(self, peer: Peer) -> Iterator[None]:
        """A peer whose commands the engine does not even take is of no more use."""
        try:
            yield
        except EngineError as error:
            peer.fail(f"engine: {error}")
            raise

    async def settle(self, peer: Peer | None, acks: Iterable[Ack], *, is_new: bool = False) -> None:
        """Wait for acknowledgements; a peer that they are refused for fails, one nobody waits for goes.

        Raises:
            EngineError: a command was refused, or not acknowledged in time.
        """
        try:
            await settle(acks, self._host.config.command_timeout_s)
        except EngineError as error:
            if peer is not None:
                peer.fail(f"engine: {error}")
            raise
        except asyncio.CancelledError:
            if peer is not None and is_new:
                self.drop(peer.id)
            raise

    # the peers' news (PeerListener)

    def on_connected(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        member = self._members.get(peer)
        if member is None:
            return
        self._log.info("peer_connected", peer=peer)
        self._events.put(PeerConnected(peer))
        if isinstance(member, Publisher):
            self.announce(member)

    def on_failed(self, peer: PeerId, reason: str) -> None:
        """See `PeerListener`."""
        if self.drop(peer) is not None:
            self._log.info("peer_failed", peer=peer, reason=reason)
            self._events.put(PeerFailed(peer, reason))

    def on_idle(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        member = self._members.get(peer)
        if isinstance(member, Publisher) and not any(map(self.steering.is_wanted, member.tracks.values())):
            # A connection that carries data alone, or whose tracks rest, has no media that could be missed.
            return
        self._events.put(PeerIdle(peer))

    def on_active(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        self._events.put(PeerActive(peer))

    def on_bandwidth(self, peer: PeerId, bps: int) -> None:
        """See `PeerListener`."""
        self.steering.receive_estimate(peer, bps)

    def on_data(self, peer: PeerId, kind: ChannelKind, message: bytes) -> None:
        """See `PeerListener`."""
        self.data.put(DataReceived(peer, kind, message))

    @property
    def takes_data(self) -> bool:
        """See `PeerListener`."""
        return self.data.has_room

    # data

    def send_data(self, peers: Iterable[PeerId], kind: ChannelKind, message: bytes) -> DataSent:
        """Send a message to publishers; what became of it."""
        sent, lost = 0, []
        for peer in peers:
            member = self._members.get(peer)
            if not isinstance(member, Publisher):
                continue
            outcome = member.peer.send_data(kind, message)
            sent += outcome is Sent.QUEUED
            if outcome in {Sent.FULL, Sent.TOO_LARGE}:
                lost.append(peer)
        return DataSent(sent, tuple(lost))

    # the engine's news (from the plane)

    def on_track(self, event: engine_events.EncodingSeen | engine_events.Layers) -> None:
        """News of a track: an encoding, or what its layers take."""
        if isinstance(event, engine_events.EncodingSeen):
            self._on_encoding(event)
        else:
            self._on_layers(event)

    def _on_encoding(self, event: engine_events.EncodingSeen) -> None:
        """An encoding began, or changed its codec."""
        track = self.tracks.get(event.track)
        if track is None or track.codec == event.codec:
            return
        track.codec = event.codec
        if track.is_announced:
            self._events.put(TrackCodec(track.id, event.codec))

    def _on_layers(self, event: engine_events.Layers) -> None:
        """What a track's layers take."""
        track = self.tracks.get(event.track)
        if track is not None:
            self.steering.receive_layers(track, event.layers)

    def on_levels(self, levels: Iterable[tuple[TrackId, int, bool]]) -> None:
        """Audio levels of this room's tracks, dBov."""
        known = tuple(row for row in levels if row[0] in self.tracks)
        self._pulse.hear(known)

    def on_codec_unsupported(self, event: engine_events.CodecUnsupported) -> None:
        """A forward cannot carry what its track sends."""
        for receiver in self._receivers():
            outlet = outlet_of(receiver, event.forward)
            if outlet is not None and outlet.feed is not None:
                self._events.put(CodecUnsupported(receiver.peer.id, outlet.feed.track.id, event.codec))

    def on_undecodable(self, subscriber: Subscriber, track_id: TrackId) -> None:
        """A subscriber rejected a track: it has none of the codecs."""
        track = self.tracks.get(track_id)
        if track is not None:
            codec = track.codec or track.codecs[0]
            self._events.put(CodecUnsupported(subscriber.peer.id, track_id, codec))

    def on_sink_closed(self, event: engine_events.SinkClosed) -> None:
        """A consumer is gone."""
        if self.taps.forget_sink(event.sink):
            with suppress(EngineError):
                self._host.engine.remove_sink(event.sink)
            self._events.put(SinkClosed(event.sink, event.reason))
