"""One room's media: who publishes, who receives what, and behind which gate."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from media.gates import Gate
from sfu.allocate import Wish
from sfu.engine.types import Ack, TapId, TrackId
from sfu.errors import (
    EndToEndEncrypted,
    EngineError,
    RouterClosed,
)
from sfu.route import ice
from sfu.route.answers import PublishAnswer, SubscribeOffer, ViewerAnswer
from sfu.route.data_queue import DataQueue, DataSent
from sfu.route.events import (
    EventQueue,
    PeerId,
    SubscriberId,
)
from sfu.route.publisher import Publisher
from sfu.route.registry import Registry
from sfu.route.roster import Roster
from sfu.route.stage import Stage
from sfu.route.subscribing import Subscribing
from sfu.route.viewing import Viewing
from sfu.sdp import CodecPolicy
from sfu.stats import RouterStats, router_stats
from sfu.tap import Sink
from sfu.transport.dcep import ChannelKind
from sfu.transport.host import PeerHost

_log = structlog.get_logger("sfu.router")

_CLOSE_PATIENCE_S: Final = 10.0


class Router:
    """Publishers, subscribers, viewers and taps of one room; made by `MediaPlane.router`.

    Every method runs on the event loop's thread and is bounded in time. `owner` is an id that the caller
    chooses at random for each participant: it appears in SDP (msid), so never a name.

    Raises (every method):
        RouterClosed: the router, or its plane, is closed.
        EndToEndEncrypted: a tap, or a gate to outside, of a track that is encrypted end to end.
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
        """The room's home: where its peers live while there are few of them."""
        self.events = EventQueue(host.config.events_limit)
        """What happens, for one consumer: `async for event in router.events`. Ends when the router closes."""
        self._codecs = codecs
        """What a new publisher may send."""
        self._received = codecs
        """What publishers, old and new, may be sending: all of it is offered to whoever receives."""
        self._host = host
        self._engine = host.engine
        self._registry = registry
        self._closed = closed
        self._roster = Roster(room, worker, host, registry, self.events)
        self._subscribing = Subscribing(self._roster, registry, host)
        self._viewing = Viewing(self._roster, registry, host)
        self._stage = Stage(registry.next_stage(), host.engine)
        self._is_closed = False

    # publishing

    def set_codecs(self, codecs: CodecPolicy) -> None:
        """Let these codecs in from the next new publisher on; whoever publishes already goes on.

        A WHEP viewer that connected before cannot be offered a codec that is new to the room.
        """
        self._check_open()
        self._codecs = codecs
        self._received = codecs.joined(self._received)
        self._roster.set_codecs(self._received)

    async def set_loudest(self, count: int) -> None:
        """Forward only so many audio tracks, the loudest; 0 is all. Who speaks up is heard at once.

        Taps, and what leads outside the room, get everyone. A track that tells no level counts as quiet.
        """
        self._check_open()
        if count != self._stage.places:
            self._roster.steering.set_voices(count)
            await self._roster.settle(None, self._stage.seat(count))

    async def publish(
        self,
        owner: str,
        offer: str,
        *,
        peer: PeerId | None = None,
        e2ee: bool = False,
        data: bool = False,
    ) -> PublishAnswer:
        """Answer a publisher's offer: a new peer, or a renegotiation (also ICE restart) of `peer`.

        `e2ee`: what it sends is encrypted end to end. It cannot be tapped or lead outside the room.
        `data`: its data channels are accepted, if it offers any.

        Raises:
            SdpError: the offer does not parse.
            NegotiationError: nothing in it can be agreed to, or it contradicts what was agreed before.
            UnknownPeer: `peer` is not a publisher of `owner` here, or the connection ended meanwhile.
            TooManyPeers: the room is full.
        """
        self._check_open()
        is_new = peer is None
        if peer is None:
            publisher = Publisher(
                owner, self._roster.new_peer(), self._codecs, self._stage.number, self._engine
            )
        else:
            publisher = self._roster.publisher(peer, owner)
        change = publisher.plan(offer, self._host.config, self._registry.next_track, e2ee=e2ee, data=data)
        acks: list[Ack] = []
        with self._roster.failing(publisher.peer):
            if is_new:
                acks.append(self._roster.admit(publisher))
                publisher.peer.expect_join()
            for track in change.removed:
                acks += self._roster.retract(track)
            acks += publisher.apply(change)
            for track in change.added:
                self._roster.enter(track)
        await self._roster.settle(publisher.peer, acks, is_new=is_new)
        self._roster.member(publisher.peer.id)
        if publisher.peer.is_connected:
            self._roster.announce(publisher)
        return publisher.answer(change)

    async def set_enabled(self, track: TrackId, enabled: bool) -> None:
        """Mute a track on the server, or let it through again.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        self._roster.track(track)
        await self._roster.settle(None, [self._engine.set_track_enabled(track, enabled=enabled)])
        if enabled:
            self._roster.want_keyframe(track)

    async def request_keyframe(self, track: TrackId) -> None:
        """Ask the publisher for a keyframe; wishes that come close together are one request.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        self._roster.track(track)
        self._roster.want_keyframe(track)

    @property
    def data(self) -> DataQueue:
        """Data messages of publishers, for one consumer: `async for message in router.data`."""
        return self._roster.data

    def send_data(self, peers: Iterable[PeerId], kind: ChannelKind, message: bytes) -> DataSent:
        """Send a message on the data channels of publish connections of this room.

        A peer that has opened no such channel gets nothing, and is not told of; nor is one that is gone.
        """
        self._check_open()
        return self._roster.send_data(peers, kind, message)

    # subscribing

    async def subscriber(self, owner: str) -> SubscriberId:
        """Make a peer that the server offers tracks to; it connects with its first answer.

        Raises:
            TooManyPeers: the room is full.
        """
        self._check_open()
        return await self._subscribing.make(owner, self._received)

    async def subscribe(self, sub: SubscriberId, track: TrackId, *, gate: Gate | None = None) -> None:
        """Want a track; takes effect with the next offer. Twice is once.

        Raises:
            UnknownPeer, UnknownTrack: not in this room.
            TooManyPeers: the subscriber has as many tracks as it may.
        """
        self._check_open()
        self._subscribing.want(sub, track, gate)

    async def unsubscribe(self, sub: SubscriberId, track: TrackId) -> None:
        """Stop a track at once; its m-section goes with the next offer. An unknown track is fine.

        Raises:
            UnknownPeer: not in this room.
        """
        self._check_open()
        await self._subscribing.unwant(sub, track)

    async def offer(self, sub: SubscriberId, *, restart: bool = False) -> SubscribeOffer | None:
        """What to tell the subscriber next; None when nothing changed or an answer is still outstanding.

        `restart` asks for fresh ICE credentials, and gives the outstanding offer up if there is one.

        Raises:
            UnknownPeer: not in this room.
        """
        self._check_open()
        return await self._subscribing.offer(sub, restart=restart)

    async def answer(self, sub: SubscriberId, version: int, sdp: str) -> None:
        """Take the subscriber's answer and start what it accepted.

        Raises:
            SdpError: the answer does not parse (the offer stays outstanding).
            NegotiationError: the version is not the outstanding one, or the answer does not fit the offer.
            UnknownPeer: not in this room.
        """
        self._check_open()
        await self._subscribing.answer(sub, version, sdp)

    async def set_layer(
        self,
        sub: SubscriberId,
        track: TrackId,
        *,
        paused: bool = False,
        spatial: int | None = None,
        temporal: int | None = None,
        height: int | None = None,
        priority: int = 1,
    ) -> None:
        """Say which layer a subscriber wants at most (None: the best), or pause the track for it.

        `height`: pixels that the picture is shown at; `priority` 1 to 255: what climbs first when the path
        does not carry everything.

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or not subscribed.
        """
        self._check_open()
        kind = self._roster.subscriber(sub).feed(track).track.kind
        await self._subscribing.wish(sub, Wish(track, kind, paused, spatial, temporal, height, priority))

    async def set_gate(self, peer: PeerId, track: TrackId, gate: Gate) -> None:
        """Put a subscription, or a viewer's track, behind another gate position (a reopened grant).

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or not subscribed.
        """
        self._check_open()
        await self._subscribing.set_gate(peer, track, gate)

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
        return await self._viewing.start(owner, offer, self._received, tracks, gates)

    async def set_source(self, viewer: PeerId, mid: str, track: TrackId, *, gate: Gate | None = None) -> None:
        """Feed one m-section of a viewer from another track of the same kind, without renegotiation.

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or `mid` is not an m-section of the viewer.
            NegotiationError: the kinds differ.
        """
        self._check_open()
        await self._viewing.set_source(viewer, mid, track, gate)

    # any peer

    async def trickle(self, peer: PeerId, fragment: str) -> None:
        """Take a trickle fragment (RFC 8840); an ICE-lite peer only checks that it belongs to it.

        Raises:
            SdpError: it does not parse.
            NegotiationError: it belongs to another ICE generation.
            UnknownPeer: not in this room.
        """
        self._check_open()
        ice.check_trickle(self._roster.member(peer), fragment)

    async def restart(self, peer: PeerId, fragment: str) -> str:
        """Restart ICE by fragment (WHIP and WHEP PATCH): the answer's fragment.

        Raises:
            SdpError, UnknownPeer: as `trickle`.
            NegotiationError: the fragment has no credentials, or the peer is a subscriber.
        """
        self._check_open()
        member = self._roster.member(peer)
        answer, acks = ice.restart(member, fragment)
        await self._roster.settle(member.peer, acks)
        return answer

    def tell_layers(self, peer: PeerId) -> None:
        """Tell again what is wanted of a publisher's layers, or which ones a receiver gets.

        For whoever may have missed it. A peer that is gone is fine.
        """
        self._roster.steering.tell_again(peer)

    async def remove_peer(self, peer: PeerId) -> None:
        """Close a publisher, subscriber or viewer; gone when this returns. An unknown peer is fine."""
        closing = self._roster.drop(peer)
        if closing is not None:
            await asyncio.wait([closing], timeout=_CLOSE_PATIENCE_S)

    # taps and gates

    async def sink(self) -> Sink:
        """Make a tap socket: `consumer_fd` goes to a worker process, `close` ends it with its taps."""
        self._check_open()
        return await self._roster.taps.open_sink()

    async def add_tap(self, sink: Sink, track: TrackId, gate: Gate) -> TapId:
        """Copy a track's packets to a sink while the gate holds.

        Raises:
            UnknownTrack: not in this room.
        """
        self._check_open()
        if self._roster.track(track).is_e2ee:
            raise EndToEndEncrypted(f"track {track} is encrypted end to end")
        tap = await self._roster.taps.add(sink, track, gate)
        self._roster.steering.weigh(self._roster.track(track))
        self._roster.want_keyframe(track)
        return tap

    async def set_tap_gate(self, tap: TapId, gate: Gate) -> None:
        """Put a tap behind another gate position. A tap that is gone is fine."""
        self._check_open()
        track = await self._roster.taps.set_gate(tap, gate)
        if track is not None:
            self._roster.want_keyframe(track)

    async def remove_tap(self, tap: TapId) -> None:
        """End a tap. A tap that is gone is fine."""
        self._check_open()
        await self._roster.taps.remove(tap)

    def open_gate(self, gate: Gate) -> None:
        """Open a slot at a version, at once, for every process that maps the page."""
        self._engine.open_gate(gate.slot, gate.version)

    def close_gate(self, slot: int, version: int) -> None:
        """Close a slot under a version newer than the open one, at once, for all who map the page."""
        self._engine.close_gate(slot, version)

    async def fence(self) -> None:
        """Return when no packet that was admitted before the call is left in the engine's buffers."""
        self._check_open()
        workers = range(self._engine.workers)
        await self._roster.settle(None, [self._engine.fence(worker) for worker in workers])

    # the router's frame

    async def stats(self) -> RouterStats:
        """Counters of this room's peers, tracks, forwards and taps."""
        self._check_open()
        async with asyncio.timeout(self._host.config.command_timeout_s):
            stats = [await self._engine.query_stats(worker) for worker in range(self._engine.workers)]
        roster = self._roster
        return router_stats(stats, roster.peers, roster.tracks, roster.forwards(), roster.taps.tracks)

    async def close(self) -> None:
        """Close every peer and sink, and end `events`. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._stage.places:
            with suppress(EngineError):
                self._stage.seat(0)
        closing = self._roster.close()
        self.events.close()
        self.data.close()
        self._closed(self)
        tasks = [task for task in closing if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_PATIENCE_S)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RouterClosed(f"room {self.room} is closed")
