"""What every part of the room service shares: clocks, ids, the plane, the store."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cluster import Cluster
from media.tasks import TaskScope
from policy import Limits
from rooms.clock import Clock
from rooms.config import RoomsConfig
from rooms.ledger_keeper import LedgerKeeper
from sfu import MediaPlane
from store import Store, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Made once by `RoomService.start`."""

    plane: MediaPlane
    store: Store
    cluster: Cluster
    config: RoomsConfig
    clock: Clock
    random_bytes: Callable[[int], bytes]
    scope: TaskScope
    keeper: LedgerKeeper

    @property
    def limits(self) -> Limits:
        """Quotas of every participant and room."""
        return self.config.limits

    def id(self, prefix: str) -> str:
        """A fresh random id."""
        return new_id(prefix, self.random_bytes)

    def secret(self) -> str:
        """A fresh resume secret of 192 random bits."""
        return f"rs_{self.random_bytes(24).hex()}"

    def now_ms(self) -> int:
        """Wall clock, Unix milliseconds."""
        return self.clock.wall_ms()


def secret_hash(secret: str) -> bytes:
    """What is kept of a resume secret."""
    return hashlib.sha256(secret[:256].encode()).digest()
