"""The credentials that the engine is lent, so that it answers a settled peer's checks by itself."""

from contextlib import suppress

from sfu.engine.api import Engine
from sfu.engine.types import TransportId
from sfu.errors import QueueFull

__all__ = ["Lease"]


class Lease:
    """What is lent for one transport at present."""

    def __init__(self, engine: Engine, transport: TransportId) -> None:
        self._engine = engine
        self._transport = transport
        self._lent: tuple[str, str] | None = None

    def settle(self, credentials: tuple[str, str] | None) -> None:
        """Lend (ufrag, password), or take back what was lent; a full queue leaves it for the next call.

        Raises:
            EngineError: the engine is closed.
        """
        if credentials == self._lent:
            return
        with suppress(QueueFull):
            self._engine.lend_credentials(self._transport, *(credentials or ("", "")))
            self._lent = credentials
