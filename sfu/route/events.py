"""What a router tells the room: typed events through one bounded queue.

PURE but for the queue's wake-up, which needs an event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NewType

from sfu.engine.types import Kind, SinkId, TrackId

PeerId = NewType("PeerId", int)
"""One peer connection: a publisher, a subscriber or a viewer; unique in the process's life."""

SubscriberId = NewType("SubscriberId", PeerId)
"""A peer that the server offers tracks to."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """ICE and DTLS are done and the fingerprint is the one that the SDP promised."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """The peer is closed and gone, by itself or by a fault; its tracks were announced as removed before.

    `reason`: `join_timeout`, `answer_timeout`, `consent_lost`, `dtls: <alert>`, `fingerprint_mismatch`,
    `closed_by_peer`, `engine: <error>`, `internal`.
    """

    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class PeerIdle:
    """No authentic packet from the peer for `idle_ms`."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerActive:
    """Authentic packets again after `PeerIdle`."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class TrackAdded:
    """A publisher's track can be subscribed to and tapped."""

    track: TrackId
    peer: PeerId
    owner: str
    kind: Kind
    mid: str
    codecs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackRemoved:
    """A track is gone, with every subscription and tap of it."""

    track: TrackId


@dataclass(frozen=True, slots=True)
class TrackCodec:
    """The codec that a track sends now: at its first packet, and when it changes."""

    track: TrackId
    codec: str


@dataclass(frozen=True, slots=True)
class OfferNeeded:
    """`Router.offer(sub)` has something new to say; at most one of these waits for each subscriber."""

    sub: SubscriberId


@dataclass(frozen=True, slots=True)
class Levels:
    """Who speaks, the loudest first: (track, level in dBov from -127 to 0); empty when nobody does any more.

    At once when somebody begins or ends, else a few times a second. Only the latest one waits.
    """

    levels: tuple[tuple[TrackId, int], ...]


@dataclass(frozen=True, slots=True)
class ActiveSpeaker:
    """The dominant speaker changed; None when the room fell silent for good (its track ended)."""

    track: TrackId | None


@dataclass(frozen=True, slots=True)
class CodecUnsupported:
    """A subscriber (or viewer) cannot decode what a track sends now."""

    sub: PeerId
    track: TrackId
    codec: str


@dataclass(frozen=True, slots=True)
class LayerChosen:
    """What a subscriber (or viewer) gets of a video track has changed.

    `spatial`, `temporal`: the highest that is forwarded, 0 the lowest, -1 the best there is. `is_starved`:
    paused because its path does not carry the track.
    """

    sub: PeerId
    track: TrackId
    is_paused: bool
    spatial: int
    temporal: int
    is_starved: bool


@dataclass(frozen=True, slots=True)
class LayersWanted:
    """Which encodings of a video anybody has use for; the publisher may pause the others."""

    track: TrackId
    peer: PeerId
    rids: tuple[str, ...]
    is_wanted: bool
    """Whether anybody has a use for any: says it of an encoding that has no name."""
    spatial: int | None = None
    """The highest layer inside the one encoding that anybody has a use for, 0 the lowest; None: all."""


@dataclass(frozen=True, slots=True)
class SinkClosed:
    """The consumer of a tap socket is gone; the sink and its taps are removed."""

    sink: SinkId
    reason: str


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The consumer fell so far behind that so many events were dropped: look at the router's state again."""

    count: int


PlaneEvent = (
    PeerConnected
    | PeerFailed
    | PeerIdle
    | PeerActive
    | TrackAdded
    | TrackRemoved
    | TrackCodec
    | OfferNeeded
    | Levels
    | ActiveSpeaker
    | CodecUnsupported
    | LayerChosen
    | LayersWanted
    | SinkClosed
    | EventsLost
)


@dataclass(slots=True)
class EventQueue:
    """Bounded queue with one consumer, on the event loop's thread.

    Overflow rule: `Levels` and `OfferNeeded` replace their waiting twin, so they never pile up; anything else
    beyond `limit` is dropped and counted, and the consumer gets one `EventsLost` in its place.
    """

    limit: int
    _waiting: deque[PlaneEvent] = field(default_factory=deque)
    _levels: Levels | None = None
    _offers: set[SubscriberId] = field(default_factory=set)
    _lost: int = 0
    _closed: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, event: PlaneEvent) -> None:
        """Add an event; never blocks."""
        if self._closed:
            return
        if isinstance(event, Levels):
            self._levels = event
        elif isinstance(event, OfferNeeded) and event.sub in self._offers:
            return
        elif len(self._waiting) >= self.limit:
            self._lost += 1
        else:
            if isinstance(event, OfferNeeded):
                self._offers.add(event.sub)
            self._waiting.append(event)
        self._wake.set()

    def close(self) -> None:
        """End the iteration after what waits."""
        self._closed = True
        self._wake.set()

    async def get(self) -> PlaneEvent | None:
        """The next event, or None once closed and empty."""
        while True:
            event = self._next()
            if event is not None:
                return event
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()

    def _next(self) -> PlaneEvent | None:
        if self._waiting:
            event = self._waiting.popleft()
            if isinstance(event, OfferNeeded):
                self._offers.discard(event.sub)
            return event
        if self._lost:
            lost, self._lost = self._lost, 0
            return EventsLost(lost)
        levels, self._levels = self._levels, None
        return levels

    async def __aiter__(self) -> AsyncIterator[PlaneEvent]:
        while (event := await self.get()) is not None:
            yield event
