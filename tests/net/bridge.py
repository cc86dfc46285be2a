"""TCP between namespaces past the shaped link: how a browser reaches pages, and its test reaches it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from tests.net.namespace import Namespace

_CHUNK = 65_536


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _connect(target: Namespace, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = target.socket()
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return await asyncio.open_connection(sock=sock)
    except BaseException:
        sock.close()
        raise


@contextlib.asynccontextmanager
async def bridge(source: Namespace, source_port: int, target: Namespace, port: int) -> AsyncIterator[int]:
    """Let what connects to 127.0.0.1:`source_port` in `source` reach 127.0.0.1:`port` in `target`.

    `source_port` 0 lets the system choose; yields the port.
    """
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.closing(writer):
            try:
                there, answer = await _connect(target, port)
            except OSError:
                return
            finally:
                serving.discard(task)
            serving.add(task)
            try:
                # Cancelled when the bridge ends: asyncio's server expects its tasks to end by themselves.
                with contextlib.closing(answer), contextlib.suppress(asyncio.CancelledError):
                    await asyncio.gather(_pump(reader, answer), _pump(there, writer))
            finally:
                serving.discard(task)

    listener = source.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", source_port))
    server = await asyncio.start_server(serve, sock=listener)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
