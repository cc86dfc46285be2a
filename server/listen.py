"""The HTTP port: sockets, TLS, and how many connections one address may hold."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web

from signaling import address_key, server_options

_SWEEP_AT: Final = 4_096


class Doorkeeper:
    """Counts open connections by address, and turns away what is too much before a byte is read.

    Addresses of trusted proxies are not counted: everybody comes from there.
    """

    def __init__(self, limit: int, is_exempt: Callable[[str], bool]) -> None:
        self._limit = limit
        self._is_exempt = is_exempt
        self._open: dict[str, list[asyncio.BaseTransport]] = {}
        self.refused = 0
        """Connections turned away."""

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Count a new connection; False when its address has too many."""
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) and peer else ""
        if self._is_exempt(address):
            return True
        key = address_key(address)
        held = [other for other in self._open.get(key, ()) if not other.is_closing()]
        if len(held) >= self._limit:
            self._open[key] = held
            self.refused += 1
            return False
        held.append(transport)
        self._open[key] = held
        if len(self._open) > _SWEEP_AT:
            self._sweep()
        return True

    def _sweep(self) -> None:
        """Forget addresses whose connections are all gone."""
        alive = {key: [item for item in held if not item.is_closing()] for key, held in self._open.items()}
        self._open = {key: held for key, held in alive.items() if held}


class _Entrance(asyncio.Protocol):
    """Stands in front of aiohttp's protocol for the moment of connecting."""

    def __init__(self, doorkeeper: Doorkeeper, make: Callable[[], Any]) -> None:
        self._doorkeeper = doorkeeper
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or cut it."""
        # uvloop's transports have the shape of asyncio's and not its class.
        stream = cast("asyncio.Transport", transport)
        if not self._doorkeeper.admits(stream):
            stream.abort()
            return
        inner = self._make()
        stream.set_protocol(inner)
        inner.connection_made(stream)


class Listener:
    """The application on a TCP port; made by `open`."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server, doorkeeper: Doorkeeper) -> None:
        self._runner = runner
        self._server = server
        self.doorkeeper = doorkeeper

    @classmethod
    async def open(
        cls,
        app: web.Application,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        doorkeeper: Doorkeeper | None = None,
        handshake_s: float = 10.0,
    ) -> "Listener":
        """Bind and serve.

        Raises:
            OSError: the address or port cannot be bound.
        """
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=5.0, **server_options())
        await runner.setup()
        keeper = doorkeeper or Doorkeeper(1 << 30, lambda _address: True)

        def factory() -> asyncio.BaseProtocol:
            server = runner.server
            if server is None:
                raise RuntimeError("the application is closed")
            return _Entrance(keeper, server)

        try:
            server = await asyncio.get_running_loop().create_server(
                factory,
                host,
                port,
                ssl=context,
                backlog=1024,
                reuse_address=True,
                ssl_handshake_timeout=None if context is None else handshake_s,
            )
        except BaseException:
            await runner.cleanup()
            raise
        return cls(runner, server, keeper)

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self._server.sockets[0].getsockname()[1])

    def stop_accepting(self) -> None:
        """Take no new connections."""
        self._server.close()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        self._server.close()
        await self._runner.cleanup()
