"""One m-section towards a peer, and the engine's forward that feeds it.

The forward lives as long as the m-section has its ssrc, whatever track is its source: sequence numbers and
SRTP index go on when the source changes. An m-section that is used again for another track gets another ssrc,
and with it another forward.
"""

from dataclasses import dataclass, field

from media.gates import Gate
from sfu.allocate import Choice, Wish, choose
from sfu.engine.api import Engine
from sfu.engine.types import ALWAYS_OPEN, Ack, ForwardId, TrackId, TransportId
from sfu.route.track import Track
from sfu.sdp import ForwardSection

NO_TRACK = TrackId(0)
"""The source of a forward that has none: it sends nothing."""


@dataclass(slots=True)
class Feed:
    """What a peer gets of one track: behind which gate, which layers it wishes for, and which it gets."""

    track: Track
    gate: Gate = ALWAYS_OPEN
    wish: Wish = field(init=False)
    choice: Choice = field(init=False)

    def __post_init__(self) -> None:
        self.wish = Wish(self.track.id, self.track.kind)
        self.choice = choose([self.wish])[0]


@dataclass(slots=True)
class Outlet:
    """One accepted m-section of a peer that receives."""

    transport: TransportId
    section: ForwardSection
    forward: ForwardId | None = None
    """None before the first source."""
    feed: Feed | None = None
    """What goes through now."""

    def attach(self, engine: Engine, feed: Feed, fresh: ForwardId) -> list[Ack]:
        """Let a track through; `fresh` is the id for the forward if it is the first.

        Raises:
            QueueFull: the engine is too busy; the peer is of no more use.
        """
        self.feed = feed
        if self.forward is not None:
            return [engine.set_forward_source(self.forward, feed.track.id, feed.gate), *self.steer(engine)]
        self.forward = fresh
        added = engine.add_forward(
            fresh,
            feed.track.id,
            self.transport,
            self.section.ssrc,
            self.section.rtx_ssrc,
            self.section.mid,
            self.section.payload_types,
            feed.gate,
            paused=True,  # until its layers are told: what it begins with is of those
        )
        return [added, *self.steer(engine)]

    def renew(self, engine: Engine, section: ForwardSection, feed: Feed) -> list[Ack]:
        """Let a track through the m-section's new ssrc; the forward of the old one ends, its id serves again.

        Raises:
            QueueFull: the engine is too busy; the peer is of no more use.
        """
        self.section = section
        if self.forward is None:
            return []
        removed, forward = engine.remove_forward(self.forward), self.forward
        self.forward = None
        return [removed, *self.attach(engine, feed, forward)]

    def detach(self, engine: Engine) -> list[Ack]:
        """Stop what goes through, at once; the forward stays for the next source."""
        if self.feed is None or self.forward is None:
            return []
        self.feed = None
        return [engine.set_forward_source(self.forward, NO_TRACK, ALWAYS_OPEN)]

    def steer(self, engine: Engine) -> list[Ack]:
        """Tell the engine the layers that were chosen."""
        if self.feed is None or self.forward is None:
            return []
        choice = self.feed.choice
        return [
            engine.set_forward(
                self.forward,
                paused=choice.is_paused,
                spatial=choice.spatial,
                temporal=choice.temporal,
                at_once=choice.is_forced,
            )
        ]

    def set_gate(self, engine: Engine, gate: Gate) -> list[Ack]:
        """Put what goes through behind another gate position."""
        if self.feed is None or self.forward is None:
            return []
        self.feed.gate = gate
        return [engine.set_forward_gate(self.forward, gate)]
