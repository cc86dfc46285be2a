"""Who an engine's id belongs to, over all routers of one plane.

PURE: no I/O.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sfu.engine.types import ForwardId, SinkId, TapId, TrackId
from sfu.route.events import PeerId

if TYPE_CHECKING:
    from sfu.route.roster import Roster
    from sfu.transport.peer import Peer

_U32 = 0xFFFF_FFFF


@dataclass(slots=True)
class Registry:
    """Hands out ids that grow and are never used twice, and finds their owners."""

    peers: dict[PeerId, "Peer"] = field(default_factory=dict)
    tracks: dict[TrackId, "Roster"] = field(default_factory=dict)
    forwards: dict[ForwardId, "Roster"] = field(default_factory=dict)
    sinks: dict[SinkId, "Roster"] = field(default_factory=dict)
    _last: int = 0

    def _next(self) -> int:
        # One sequence for all kinds: an id in the wrong command is then unknown there, not another's.
        self._last += 1
        if self._last > _U32:
            raise OverflowError("the engine's ids are used up: restart the server")
        return self._last

    def next_peer(self) -> PeerId:
        """A fresh peer id."""
        return PeerId(self._next())

    def next_track(self) -> TrackId:
        """A fresh track id."""
        return TrackId(self._next())

    def next_forward(self) -> ForwardId:
        """A fresh forward id."""
        return ForwardId(self._next())

    def next_sink(self) -> SinkId:
        """A fresh sink id."""
        return SinkId(self._next())

    def next_tap(self) -> TapId:
        """A fresh tap id."""
        return TapId(self._next())
