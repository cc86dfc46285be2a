"""What a peer stands on: what all peers of a plane share, and who is told what becomes of each."""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, Protocol

from media.tasks import TaskScope
from sfu.config import MediaConfig
from sfu.engine.api import Engine
from sfu.engine.types import TransportId
from sfu.errors import QueueFull
from sfu.route.events import PeerId
from sfu.transport.dcep import ChannelKind
from sfu.transport.dtls import DtlsIdentity
from sfu.transport.srtp import SrtpSessions

_RETRY_S: Final = 0.02


class PeerListener(Protocol):
    """Who is told what becomes of a peer; must not raise."""

    def on_connected(self, peer: PeerId) -> None:
        """ICE and DTLS are done and the engine has the keys."""
        ...

    def on_failed(self, peer: PeerId, reason: str) -> None:
        """The peer is of no more use; the listener closes it."""
        ...

    def on_idle(self, peer: PeerId) -> None:
        """No authentic packet for the configured time."""
        ...

    def on_active(self, peer: PeerId) -> None:
        """Authentic packets again."""
        ...

    def on_bandwidth(self, peer: PeerId, bps: int) -> None:
        """What the way to the peer carries, bits per second."""
        ...

    def on_data(self, peer: PeerId, kind: ChannelKind, message: bytes) -> None:
        """A message of a data channel."""
        ...

    @property
    def takes_data(self) -> bool:
        """Whether more messages of data channels may come now."""
        ...


@dataclass(frozen=True, slots=True)
class PeerHost:
    """What every peer of a plane shares."""

    engine: Engine
    identity: DtlsIdentity
    config: MediaConfig
    candidates: tuple[tuple[str, ...], ...]
    """SDP candidate values for each worker."""
    rng: random.Random
    tasks: TaskScope
    counters: Counter[str] = field(default_factory=Counter)
    """What Python dropped, by reason."""
    kept: deque[SrtpSessions] = field(default_factory=deque)
    """Sessions whose removal the engine never acknowledged: kept for ever rather than freed under it."""

    async def remove_transport(self, transport: TransportId) -> None:
        """Remove a transport; tries again while the engine's queue is full.

        Raises:
            EngineError: the engine refused, or is closed.
            TimeoutError: it did not answer within `command_timeout_s`.
        """
        async with asyncio.timeout(self.config.command_timeout_s):
            while True:
                try:
                    await self.engine.remove_transport(transport)
                except QueueFull:
                    await asyncio.sleep(_RETRY_S)
                else:
                    return
