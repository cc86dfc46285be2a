"""One room's media: who publishes, who receives what, and behind which gate."""

from collections.abc import Mapping, Sequence

from sfu.engine.types import Gate, TapId, TrackId
from sfu.route.answers import PublishAnswer, SubscribeOffer, ViewerAnswer
from sfu.route.events import EventQueue, PeerId, SubscriberId
from sfu.stats import RouterStats
from sfu.tap import Sink


class Router:
    """Publishers, subscribers, viewers and taps of one room; made by `MediaPlane.router`.

    Every method runs on the event loop's thread and is bounded in time. `owner` is an id that the caller
    chooses at random for each participant: it appears in SDP (msid), so never a name.

    Raises (every method):
        RouterClosed: the router, or its plane, is closed.
    """

    events: EventQueue
    """What happens, for one consumer: `async for event in router.events`. Ends when the router closes."""

    async def publish(self, owner: str, offer: str, *, peer: PeerId | None = None) -> PublishAnswer:
        """Answer a publisher's offer: a new peer, or a renegotiation (also ICE restart) of `peer`.

        Raises:
            SdpError: the offer does not parse.
            NegotiationError: nothing in it can be agreed to, or it contradicts what was agreed before.
            UnknownPeer: `peer` is not a publisher of `owner` here.
            TooManyPeers: the room is full.
        """

    async def subscriber(self, owner: str) -> SubscriberId:
        """Make a peer that the server offers tracks to; it connects with its first answer.

        Raises:
            TooManyPeers: the room is full.
        """

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

    async def set_source(self, viewer: PeerId, mid: str, track: TrackId, *, gate: Gate | None = None) -> None:
        """Feed one m-section of a viewer from another track of the same kind, without renegotiation.

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or `mid` is not an m-section of the viewer.
            NegotiationError: the kinds differ.
        """

    async def subscribe(self, sub: SubscriberId, track: TrackId, *, gate: Gate | None = None) -> None:
        """Want a track; takes effect with the next offer. Twice is once.

        Raises:
            UnknownPeer, UnknownTrack: not in this room.
            TooManyPeers: the subscriber has as many tracks as it may.
        """

    async def unsubscribe(self, sub: SubscriberId, track: TrackId) -> None:
        """Stop a track at once; its m-section goes with the next offer. An unknown track is fine.

        Raises:
            UnknownPeer: not in this room.
        """

    async def offer(self, sub: SubscriberId, *, restart: bool = False) -> SubscribeOffer | None:
        """What to tell the subscriber next; None when nothing changed or an answer is still outstanding.

        `restart` asks for fresh ICE credentials, and gives the outstanding offer up if there is one.

        Raises:
            UnknownPeer: not in this room.
        """

    async def answer(self, sub: SubscriberId, version: int, sdp: str) -> None:
        """Take the subscriber's answer and start what it accepted.

        Raises:
            SdpError: the answer does not parse (the offer stays outstanding).
            NegotiationError: the version is not the outstanding one, or the answer does not fit the offer.
            UnknownPeer: not in this room.
        """

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

    async def set_gate(self, peer: PeerId, track: TrackId, gate: Gate) -> None:
        """Put a subscription, or a viewer's track, behind another gate position (a reopened grant).

        Raises:
            UnknownPeer, UnknownTrack: not in this room, or not subscribed.
        """

    async def set_enabled(self, track: TrackId, enabled: bool) -> None:
        """Mute a track on the server, or let it through again.

        Raises:
            UnknownTrack: not in this room.
        """

    async def trickle(self, peer: PeerId, fragment: str) -> None:
        """Take a trickle fragment (RFC 8840); an ICE-lite peer only checks that it belongs to it.

        Raises:
            SdpError: it does not parse.
            NegotiationError: it belongs to another ICE generation.
            UnknownPeer: not in this room.
        """

    async def restart(self, peer: PeerId, fragment: str) -> str:
        """Restart ICE by fragment (WHIP and WHEP PATCH): the answer's fragment.

        Raises:
            SdpError, UnknownPeer: as `trickle`.
        """

    async def remove_peer(self, peer: PeerId) -> None:
        """Close a publisher, subscriber or viewer; gone when this returns. An unknown peer is fine."""

    async def sink(self) -> Sink:
        """Make a tap socket: `consumer_fd` goes to a worker process, `close` ends it with its taps."""

    async def add_tap(self, sink: Sink, track: TrackId, gate: Gate) -> TapId:
        """Copy a track's packets to a sink while the gate holds.

        Raises:
            UnknownTrack: not in this room.
        """

    async def set_tap_gate(self, tap: TapId, gate: Gate) -> None:
        """Put a tap behind another gate position. A tap that is gone is fine."""

    async def remove_tap(self, tap: TapId) -> None:
        """End a tap. A tap that is gone is fine."""

    def open_gate(self, gate: Gate) -> None:
        """Open a slot at a version, at once, for every process that maps the page."""

    def close_gate(self, slot: int, version: int) -> None:
        """Close a slot under a version newer than the open one, at once, for every process that maps the page."""

    async def fence(self) -> None:
        """Return when no packet that was admitted before the call is left in the engine's buffers."""

    async def request_keyframe(self, track: TrackId) -> None:
        """Ask the publisher for a keyframe (throttled in the engine).

        Raises:
            UnknownTrack: not in this room.
        """

    async def stats(self) -> RouterStats:
        """Counters of this room's peers, tracks, forwards and taps."""

    async def close(self) -> None:
        """Close every peer and sink, and end `events`. Idempotent."""
