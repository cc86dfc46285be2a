"""The media plane of one node: engine, certificate, gates, routers."""

from sfu.config import MediaConfig
from sfu.engine.api import Engine
from sfu.route.router import Router
from sfu.stats import PlaneStats


class MediaPlane:
    """Owner of the engine and of every router; one for each server process."""

    @classmethod
    async def start(cls, config: MediaConfig, *, engine: Engine | None = None) -> "MediaPlane":
        """Bind the sockets and start the engine (or take `engine`, which `close` then closes too).

        Raises:
            EngineError: the engine's self-test failed.
            OSError: an address or port cannot be bound.
        """

    async def close(self) -> None:
        """Close every router, then the engine. Idempotent."""

    @property
    def gates(self) -> "GatePage":
        """The shared page; its fd goes to worker processes."""

    @property
    def allocator(self) -> "GateAllocator":
        """Hands out slots of the page."""

    def router(self, room: str, codecs: "CodecPolicy") -> Router:
        """Make the router of a room; `room` only names it in logs. Close it when the room closes."""

    async def stats(self) -> PlaneStats:
        """Counters of the whole plane."""
