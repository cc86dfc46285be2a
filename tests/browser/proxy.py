"""A TCP proxy in front of the server whose connections a test can cut: the path breaks, both ends live."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from yarl import URL


class Path:
    """The proxied path; `url` is what the browser opens."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        self.url = ""

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._is_open = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections pass again."""
        self._is_open = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not self._is_open:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_carry(reader, far_writer))
                ways.create_task(_carry(far_reader, writer))
        finally:
            for one in (writer, far_writer):
                self._writers.discard(one)
                one.transport.abort()

    async def close(self) -> None:
        """End everything."""
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@contextlib.asynccontextmanager
async def through_proxy(url: str) -> AsyncIterator[Path]:
    """A path to the server at `url`."""
    target = urlsplit(url)
    path = Path(target.hostname or "", target.port or 0)
    server = await asyncio.start_server(path.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    path.url = str(URL(url).with_port(port))
    try:
        yield path
    finally:
        server.close()
        await path.close()
        await server.wait_closed()
