"""Who an engine's id belongs to, over all routers of one plane.

PURE: no I/O.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sfu.engine.types import ForwardId, SinkId, StageId, TapId, TrackId
from sfu.route.events import PeerId

if TYPE_CHECKING:
    from sfu.route.roster import Roster
    from sfu.transport.peer import Peer

_U32 = 0xFFFF_FFFF


@dataclass(slots=True)
class Registry:
    """Hands out ids that grow and are never used twice, finds owners, and spreads peers over workers."""

    workers: int
    spread: int
    """See `MediaConfig.spread`."""
    peers: dict[PeerId, "Peer"] = field(default_factory=dict)
    tracks: dict[TrackId, "Roster"] = field(default_factory=dict)
    forwards: dict[ForwardId, "Roster"] = field(default_factory=dict)
    sinks: dict[SinkId, "Roster"] = field(default_factory=dict)
    load: list[int] = field(init=False)
    """Peers and forwards on each worker."""
    _forward_workers: dict[ForwardId, int] = field(default_factory=dict)
    _last: int = 0

    def __post_init__(self) -> None:
        self.load = [0] * self.workers

    def place(self, home: int) -> int:
        """The worker for a new peer of a room: the room's own, unless that has much more to do."""
        idlest = min(range(self.workers), key=self.load.__getitem__)
        return idlest if self.load[home] > self.load[idlest] + self.spread else home

    def enter_peer(self, peer: "Peer") -> None:
        """A peer is there, on its worker."""
        self.peers[peer.id] = peer
        self.load[peer.worker] += 1

    def leave_peer(self, peer: PeerId) -> None:
        """A peer is gone."""
        self.load[self.peers.pop(peer).worker] -= 1

    def enter_forward(self, forward: ForwardId, owner: "Roster", worker: int) -> None:
        """A forward is there, on its subscriber's worker; twice is once."""
        if forward not in self.forwards:
            self.load[worker] += 1
            self._forward_workers[forward] = worker
        self.forwards[forward] = owner

    def leave_forward(self, forward: ForwardId) -> None:
        """A forward is gone; an unknown one is fine."""
        if self.forwards.pop(forward, None) is not None:
            self.load[self._forward_workers.pop(forward)] -= 1

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

    def next_stage(self) -> StageId:
        """A fresh stage id."""
        return StageId(self._next())

    def next_forward(self) -> ForwardId:
        """A fresh forward id."""
        return ForwardId(self._next())

    def next_sink(self) -> SinkId:
        """A fresh sink id."""
        return SinkId(self._next())

    def next_tap(self) -> TapId:
        """A fresh tap id."""
        return TapId(self._next())
