"""One room's media: who publishes, who receives what, and behind which gate."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from media.gates import Gate
from sfu.allocate import Wish
from sfu.engine import events as engine_events
from sfu.engine.settle import settle
from sfu.engine.types import ALWAYS_OPEN, Ack, TapId, TrackId
from sfu.errors import (
    EngineError,
    NegotiationError,
    RouterClosed,
    TooManyPeers,
    UnknownPeer,
    UnknownTrack,
)
from sfu.route.answers import PublishAnswer, SubscribeOffer, ViewerAnswer
from sfu.route.events import (
    CodecUnsupported,
    EventQueue,
    Levels,
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
from sfu.route.receiver import outlet_of, outlets_of
from sfu.route.registry import Registry
from sfu.route.subscriber import Subscriber
from sfu.route.taps import Taps
from sfu.route.track import Track
from sfu.route.viewer import Viewer
from sfu.sdp import CodecPolicy, parse_fragment, write_fragment
from sfu.stats import RouterStats, router_stats
from sfu.tap import Sink
from sfu.transport.peer import Peer, PeerHost

_log = structlog.get_logger("sfu.router")

_CLOSE_PATIENCE_S: Final = 10.0
Member = Publisher | Subscriber | Viewer


class Router:
    """Publishers, subscribers, viewers and taps of one room; made by `MediaPlane.router`.

    Every method runs on the event loop's thread and is bounded in time. `owner` is an id that the caller
    chooses at random for each participant: it appears in SDP (msid), so never a name.

    Raises (every method):
        RouterClosed: the router, or its plane, is closed.
        EngineError: the engine refused a command, or did not acknowledge it in time; its peer fails.
    """

    def __init__(
        self,
        room: str,
        codecs: CodecPolicy,
        worker: int,
        host: PeerHost,
        registry: Registry,
        closed: Callable[["Router"], None],
    ) -> None:
        self.room = room
        self.worker = worker
        self.events = EventQueue(host.config.events_limit)
        """What happens, for one consumer: `async for event in router.events`. Ends when the router closes."""
        self._codecs = codecs
        self._host = host
        self._engine = host.engine
        self._registry = registry
        self._closed = closed
        self._members: dict[PeerId, Member] = {}
        self._tracks: dict[TrackId, Track] = {}
        self._taps = Taps(host.engine, registry, worker, host.config.command_timeout_s)
        self._pulse = Pulse(host.engine, self.events.put)
        self._is_closed = False
        self._log = _log.bind(room=room)

    # publishing

    async def publish(self, owner: str, offer: str, *, peer: PeerId | None = None) -> PublishAnswer:
        """Answer a publisher's offer: a new peer, or a renegotiation (also ICE restart) of `peer`.

        Raises:
            SdpError: the offer does not parse.
            NegotiationError: nothing in it can be agreed to, or it contradicts what was agreed before.
            UnknownPeer: `peer` is not a publisher of `owner` here.
            TooManyPeers: the room is full.
        """
        self._check_open()
        is_new = peer is None
        publisher = self._new_publisher(owner) if peer is None else self._publisher(peer, owner)
        change = publisher.plan(offer, self._host.config, self._registry.next_track)
        acks: list[Ack] = []
        with self._failing(publisher.peer):
            if is_new:
                acks.append(self._admit(publisher))
                publisher.peer.expect_join()
            for track in change.removed:
                acks += self._retract(track)
            acks += publisher.apply(change)
            for track in change.added:
                self._tracks[track.id] = track
                self._registry.tracks[track.id] = self
        await self._settle(publisher.peer, acks, is_new=is_new)
        if publisher.peer.is_connected:
            self._announce(publisher)
        return publisher.answer(change)

    def _new_publisher(self, owner: str) -> Publisher:
        return Publisher(owner, self._new_peer(), self._codecs, self._engine)

    def _publisher(self, peer: PeerId, owner: str) -> Publisher:
        found = self._members.get(peer)
        if not isinstance(found, Publisher) or found.owner != owner:
            raise UnknownPeer(f"peer {peer} is not a publisher of {owner} in room {self.room}")
        return found

    def _announce(self, publisher: Publisher) -> None:
        for track in publisher.tracks.values():
            if not track.is_announced:
                track.is_announced = True
                self.events.put(track.added())
                if track.codec:
                    self.events.put(TrackCodec(track.id, track.codec))

    def _retract(self, track: Track) -> list[Ack]:
        """Take a track from everyone who gets it, before the engine loses it."""
        del self._tracks[track.id]
        del self._registry.tracks[track.id]
        self._pulse.remove(track.id)
        self._taps.forget_track(track.id)
        acks: list[Ack] = []
        for member in list(self._members.values()):
            if isinstance(member, Publisher):
                continue
            try:
                acks += member.withdraw(track.id)
            except EngineError as error:
                member.peer.fail(f"engine: {error}")
            if isinstance(member, Subscriber) and member.has_news:
                self._need_offer(member)
        if track.is_announced:
            self.events.put(TrackRemoved(track.id))
        return acks

    async def set_enabled(self, track: TrackId, enabled: bool) -> None:
        """Mute a track on the server, or let it through again.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        self._track(track)
        await self._settle(None, [self._engine.set_track_enabled(track, enabled=enabled)])
        if enabled:
            self._want_keyframe(track)

    async def request_keyframe(self, track: TrackId) -> None:
        """Ask the publisher for a keyframe; wishes that come close together are one request.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        self._track(track)
        self._want_keyframe(track)

    # subscribing

    async def subscriber(self, owner: str) -> SubscriberId:
        """Make a peer that the server offers tracks to; it connects with its first answer.

        Raises:
            TooManyPeers: the room is full.
        """
        self._check_open()
        subscriber = Subscriber(
            owner,
            self._new_peer(),
            self._codecs,
            self._engine,
            self._host.rng,
            max_sections=self._host.config.max_subscriptions,
            answer_timeout_s=self._host.config.answer_timeout_s,
        )
        with self._failing(subscriber.peer):
            ack = self._admit(subscriber)
        await self._settle(subscriber.peer, [ack], is_new=True)
        return SubscriberId(subscriber.peer.id)

    async def subscribe(self, sub: SubscriberId, track: TrackId, *, gate: Gate | None = None) -> None:
        """Want a track; takes effect with the next offer. Twice is once.

        Raises:
            UnknownPeer, UnknownTrack: not in this room.
            TooManyPeers: the subscriber has as many tracks as it may.
        """
        self._check_open()
        subscriber = self._subscriber(sub)
        wanted = self._track(track)
        if track in subscriber.wanted:
            return
        if len(subscriber.wanted) >= self._host.config.max_subscriptions:
            raise TooManyPeers(f"peer {sub} has {len(subscriber.wanted)} tracks, the most it may")
        subscriber.want(wanted, gate or ALWAYS_OPEN)
        self._need_offer(subscriber)

    async def unsubscribe(self, sub: SubscriberId, track: TrackId) -> None:
        """Stop a track at once; its m-section goes with the next offer. An unknown track is fine.

        Raises:
            UnknownPeer: not in this room.
        """
        self._check_open()
        subscriber = self._subscriber(sub)
        if track not in subscriber.wanted:
            return
        with self._failing(subscriber.peer):
            acks = subscriber.withdraw(track)
        self._need_offer(subscriber)
        await self._settle(subscriber.peer, acks)

    async def offer(self, sub: SubscriberId, *, restart: bool = False) -> SubscribeOffer | None:
        """What to tell the subscriber next; None when nothing changed or an answer is still outstanding.

        `restart` asks for fresh ICE credentials, and gives the outstanding offer up if there is one.

        Raises:
            UnknownPeer: not in this room.
        """
        self._check_open()
        return self._subscriber(sub).offer(restart=restart)

    async def answer(self, sub: SubscriberId, version: int, sdp: str) -> None:
        """Take the subscriber's answer and start what it accepted.

        Raises:
            SdpError: the answer does not parse (the offer stays outstanding).
            NegotiationError: the version is not the outstanding one, or the answer does not fit the offer.
            UnknownPeer: not in this room.
        """
        self._check_open()
        subscriber = self._subscriber(sub)
        with self._failing(subscriber.peer):
            acks = subscriber.answer(version, sdp, self._registry.next_forward)
        self._remember(subscriber)
        await self._settle(subscriber.peer, acks)
        if subscriber.peer.is_connected:
            self._want_keyframes(subscriber)
        if subscriber.has_news:
            self._need_offer(subscriber)

    async def set_layer(
        self,
        sub: SubscriberId,
        track: TrackId,
        *,
        paused: bool = False,
        spatial: int | None = None,
        temporal: int | None = None,
    ) -> None:
        """Say which layer a subscriber wants at most (None: the best), or pause the track for it.

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or not subscribed.
        """
        self._check_open()
        subscriber = self._subscriber(sub)
        feed = subscriber.feed(track)
        was_paused = feed.wish.is_paused
        feed.wish = Wish(track, feed.track.kind, paused, spatial, temporal)
        with self._failing(subscriber.peer):
            acks = [ack for outlet in outlets_of(subscriber, track) for ack in outlet.steer(self._engine)]
        await self._settle(subscriber.peer, acks)
        if was_paused and not paused:
            self._want_keyframe(track)

    async def set_gate(self, peer: PeerId, track: TrackId, gate: Gate) -> None:
        """Put a subscription, or a viewer's track, behind another gate position (a reopened grant).

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or not subscribed.
        """
        self._check_open()
        member = self._members.get(peer)
        if not isinstance(member, Subscriber | Viewer):
            raise UnknownPeer(f"peer {peer} receives nothing in room {self.room}")
        member.feed(track).gate = gate
        with self._failing(member.peer):
            acks = [
                ack for outlet in outlets_of(member, track) for ack in outlet.set_gate(self._engine, gate)
            ]
        await self._settle(member.peer, acks)
        self._want_keyframe(track)

    def _subscriber(self, sub: PeerId) -> Subscriber:
        found = self._members.get(sub)
        if not isinstance(found, Subscriber):
            raise UnknownPeer(f"peer {sub} is not a subscriber in room {self.room}")
        return found

    def _need_offer(self, subscriber: Subscriber) -> None:
        self.events.put(OfferNeeded(SubscriberId(subscriber.peer.id)))

    # viewing

    async def whep(
        self, owner: str, offer: str, tracks: Sequence[TrackId], *, gates: Mapping[TrackId, Gate]
    ) -> ViewerAnswer:
        """Answer a viewer's offer: each track takes the first free m-section of its kind.

        `gates` must name a gate for every track of an external viewer; tracks without one are always open.
        M-sections without a track stay silent until `set_source`.

        Raises:
            SdpError, NegotiationError, TooManyPeers: as `publish`.
            UnknownTrack: a track is not in this room.
        """
        self._check_open()
        wanted = [self._track(track) for track in tracks]
        viewer = Viewer(owner, self._new_peer(), self._engine)
        negotiation = viewer.plan(offer, self._codecs, wanted, self._host.rng)
        with self._failing(viewer.peer):
            acks = [self._admit(viewer)]
            viewer.peer.expect_join()
            acks += viewer.apply(negotiation)
            for section in negotiation.sections:
                if section.accepted and section.track is not None:
                    gate = gates.get(section.track, ALWAYS_OPEN)
                    track = self._tracks[section.track]
                    acks += viewer.attach(section.mid, track, gate, self._registry.next_forward())
        self._remember(viewer)
        await self._settle(viewer.peer, acks, is_new=True)
        return viewer.answer(negotiation)

    async def set_source(self, viewer: PeerId, mid: str, track: TrackId, *, gate: Gate | None = None) -> None:
        """Feed one m-section of a viewer from another track of the same kind, without renegotiation.

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or `mid` is not an m-section of the viewer.
            NegotiationError: the kinds differ.
        """
        self._check_open()
        found = self._members.get(viewer)
        if not isinstance(found, Viewer):
            raise UnknownPeer(f"peer {viewer} is not a viewer in room {self.room}")
        source = self._track(track)
        with self._failing(found.peer):
            acks = found.attach(mid, source, gate or ALWAYS_OPEN, self._registry.next_forward())
        self._remember(found)
        await self._settle(found.peer, acks)
        if found.peer.is_connected:
            self._want_keyframe(track)

    # any peer

    async def trickle(self, peer: PeerId, fragment: str) -> None:
        """Take a trickle fragment (RFC 8840); an ICE-lite peer only checks that it belongs to it.

        Raises:
            SdpError: it does not parse.
            NegotiationError: it belongs to another ICE generation.
            UnknownPeer: not in this room.
        """
        self._check_open()
        member = self._member(peer)
        parsed = parse_fragment(fragment)
        if parsed.ufrag is not None and not member.peer.is_remote_generation(parsed.ufrag):
            raise NegotiationError("the fragment belongs to another ICE generation")

    async def restart(self, peer: PeerId, fragment: str) -> str:
        """Restart ICE by fragment (WHIP and WHEP PATCH): the answer's fragment.

        Raises:
            SdpError, UnknownPeer: as `trickle`.
            NegotiationError: the fragment has no credentials, or the peer is a subscriber.
        """
        self._check_open()
        member = self._member(peer)
        if isinstance(member, Subscriber):
            raise NegotiationError("a subscriber's ICE restarts by a new offer")
        parsed = parse_fragment(fragment)
        if not parsed.ufrag or not parsed.pwd:
            raise NegotiationError("an ICE restart needs ice-ufrag and ice-pwd")
        if member.agreed is None:
            raise NegotiationError("there is nothing to restart yet")
        local = member.peer.next_local()
        answer = write_fragment(local, member.agreed)
        member.peer.restart(local, remote_ufrag=parsed.ufrag)
        return answer

    async def remove_peer(self, peer: PeerId) -> None:
        """Close a publisher, subscriber or viewer; gone when this returns. An unknown peer is fine."""
        closing = self._drop(peer)
        if closing is not None:
            await asyncio.wait([closing], timeout=_CLOSE_PATIENCE_S)

    def _member(self, peer: PeerId) -> Member:
        found = self._members.get(peer)
        if found is None:
            raise UnknownPeer(f"peer {peer} is not in room {self.room}")
        return found

    def _new_peer(self) -> Peer:
        if len(self._members) >= self._host.config.max_peers_per_room:
            raise TooManyPeers(f"room {self.room} has {len(self._members)} peers, the most it may")
        return Peer(self._registry.next_peer(), self.worker, self._host, self)

    def _admit(self, member: Member) -> Ack:
        self._members[member.peer.id] = member
        self._registry.peers[member.peer.id] = member.peer
        return member.peer.open()

    def _drop(self, peer: PeerId) -> asyncio.Task[None] | None:
        """Take a peer out of everything at once; the task ends when the engine has let go of it."""
        member = self._members.pop(peer, None)
        if member is None:
            return None
        del self._registry.peers[peer]
        if isinstance(member, Publisher):
            for track in list(member.tracks.values()):
                self._retract(track)
        if isinstance(member, Subscriber):
            member.unwatch()
        if not isinstance(member, Publisher):
            for outlet in member.outlets.values():
                if outlet.forward is not None:
                    self._registry.forwards.pop(outlet.forward, None)
        return self._host.tasks.start(member.peer.close(), name=f"close {peer}")

    # the peers' news (PeerListener)

    def on_connected(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        member = self._members.get(peer)
        if member is None:
            return
        self._log.info("peer_connected", peer=peer)
        self.events.put(PeerConnected(peer))
        if isinstance(member, Publisher):
            self._announce(member)
        else:
            self._want_keyframes(member)

    def on_failed(self, peer: PeerId, reason: str) -> None:
        """See `PeerListener`."""
        if self._drop(peer) is not None:
            self._log.info("peer_failed", peer=peer, reason=reason)
            self.events.put(PeerFailed(peer, reason))

    def on_idle(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        self.events.put(PeerIdle(peer))

    def on_active(self, peer: PeerId) -> None:
        """See `PeerListener`."""
        self.events.put(PeerActive(peer))

    # the engine's news (from the plane)

    def on_encoding(self, event: engine_events.EncodingSeen) -> None:
        """An encoding began, or changed its codec."""
        track = self._tracks.get(event.track)
        if track is None or track.codec == event.codec:
            return
        track.codec = event.codec
        if track.is_announced:
            self.events.put(TrackCodec(track.id, event.codec))

    def on_levels(self, levels: Iterable[tuple[TrackId, int, bool]]) -> None:
        """Audio levels of this room's tracks, dBov."""
        known = tuple(row for row in levels if row[0] in self._tracks)
        self._pulse.hear(known)
        self.events.put(Levels(known))

    def on_codec_unsupported(self, event: engine_events.CodecUnsupported) -> None:
        """A forward cannot carry what its track sends."""
        for member in self._members.values():
            outlet = None if isinstance(member, Publisher) else outlet_of(member, event.forward)
            if outlet is not None and outlet.feed is not None:
                self.events.put(CodecUnsupported(member.peer.id, outlet.feed.track.id, event.codec))

    def on_sink_closed(self, event: engine_events.SinkClosed) -> None:
        """A consumer is gone."""
        self._registry.sinks.pop(event.sink, None)
        if self._taps.forget_sink(event.sink):
            self.events.put(SinkClosed(event.sink, event.reason))

    # taps and gates

    async def sink(self) -> Sink:
        """Make a tap socket: `consumer_fd` goes to a worker process, `close` ends it with its taps."""
        self._check_open()
        sink = await self._taps.open_sink()
        self._registry.sinks[sink.id] = self
        return sink

    async def add_tap(self, sink: Sink, track: TrackId, gate: Gate) -> TapId:
        """Copy a track's packets to a sink while the gate holds.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        self._track(track)
        tap = await self._taps.add(sink, track, gate)
        self._want_keyframe(track)
        return tap

    async def set_tap_gate(self, tap: TapId, gate: Gate) -> None:
        """Put a tap behind another gate position. A tap that is gone is fine."""
        self._check_open()
        track = await self._taps.set_gate(tap, gate)
        if track is not None:
            self._want_keyframe(track)

    async def remove_tap(self, tap: TapId) -> None:
        """End a tap. A tap that is gone is fine."""
        self._check_open()
        await self._taps.remove(tap)

    def open_gate(self, gate: Gate) -> None:
        """Open a slot at a version, at once, for every process that maps the page."""
        self._engine.open_gate(gate.slot, gate.version)

    def close_gate(self, slot: int, version: int) -> None:
        """Close a slot under a version newer than the open one, at once, for all who map the page."""
        self._engine.close_gate(slot, version)

    async def fence(self) -> None:
        """Return when no packet that was admitted before the call is left in the engine's buffers."""
        self._check_open()
        await self._settle(None, [self._engine.fence(self.worker)])

    # the router's frame

    async def stats(self) -> RouterStats:
        """Counters of this room's peers, tracks, forwards and taps."""
        self._check_open()
        async with asyncio.timeout(self._host.config.command_timeout_s):
            stats = await self._engine.query_stats(self.worker)
        forwards = {
            outlet.forward: (member.peer.id, None if outlet.feed is None else outlet.feed.track.id)
            for member in self._members.values()
            if not isinstance(member, Publisher)
            for outlet in member.outlets.values()
            if outlet.forward is not None
        }
        return router_stats(stats, self._members, self._tracks, forwards, self._taps.tracks)

    async def close(self) -> None:
        """Close every peer and sink, and end `events`. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pulse.close()
        closing = [self._drop(peer) for peer in list(self._members)]
        for sink in self._taps.sinks:
            self._registry.sinks.pop(sink.id, None)
            closing.append(self._host.tasks.start(self._taps.close_sink(sink), name=f"close sink {sink.id}"))
        self.events.close()
        self._closed(self)
        tasks = [task for task in closing if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_PATIENCE_S)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RouterClosed(f"room {self.room} is closed")

    def _track(self, track: TrackId) -> Track:
        found = self._tracks.get(track)
        if found is None:
            raise UnknownTrack(f"track {track} is not in room {self.room}")
        return found

    def _remember(self, receiver: Subscriber | Viewer) -> None:
        for outlet in receiver.outlets.values():
            if outlet.forward is not None:
                self._registry.forwards[outlet.forward] = self

    @contextmanager
    def _failing(self, peer: Peer) -> Iterator[None]:
        """A peer whose commands the engine does not even take is of no more use."""
        try:
            yield
        except EngineError as error:
            peer.fail(f"engine: {error}")
            raise

    async def _settle(self, peer: Peer | None, acks: Iterable[Ack], *, is_new: bool = False) -> None:
        """Wait for acknowledgements; a peer that they are refused for fails, one nobody waits for goes."""
        try:
            await settle(acks, self._host.config.command_timeout_s)
        except EngineError as error:
            if peer is not None:
                peer.fail(f"engine: {error}")
            raise
        except asyncio.CancelledError:
            if peer is not None and is_new:
                self._drop(peer.id)
            raise

    def _want_keyframes(self, receiver: Subscriber | Viewer) -> None:
        for outlet in receiver.outlets.values():
            if outlet.feed is not None:
                self._want_keyframe(outlet.feed.track.id)

    def _want_keyframe(self, track: TrackId) -> None:
        if track in self._tracks and self._tracks[track].kind == "video":
            self._pulse.want_keyframe(track)
