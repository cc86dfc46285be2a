"""Answers with a file that is read piece by piece: ranges, entity tags, and no more in memory than a piece.

Source: RFC 9110 sections 13 and 14.
"""

import asyncio
import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import Final

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import LooseHeaders

from recorder import OpenFile
from signaling.context import client_address, context_of
from signaling.errors import Problem
from signaling.limits import address_key

_PIECE_BYTES: Final = 262_144
STALL_S: Final = 60.0
"""How long somebody may take for a piece; a player that rests longer asks for the rest again."""
EACH: Final = 64
"""Files that are sent to one address at once."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)


def _range(request: web.Request, size_bytes: int, etag: str) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for the whole file.

    Raises: Problem `range_not_satisfiable`.
    """
    condition = request.headers.get(hdrs.IF_RANGE)
    if hdrs.RANGE not in request.headers or (condition is not None and condition != etag):
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None  # a range that is none is as good as no range
    start, stop, _ = wanted.indices(size_bytes)
    if start >= stop:
        raise Problem("range_not_satisfiable", f"The file has {size_bytes} bytes")
    return start, stop


class FileAnswer(web.StreamResponse):
    """A file, or a range of it; reads and sends when it is prepared, and closes the file.

    When the file is not to be given out any more the connection is reset: what waited to be sent is dropped.
    """

    def __init__(
        self,
        file: OpenFile,
        part: tuple[int, int] | None,
        headers: LooseHeaders,
        sent: Counter[str],
        address: str,
    ) -> None:
        """`sent`: how many files go to each address, this one's too while it does."""
        super().__init__(status=200 if part is None else 206, headers=headers)
        self._file = file
        self._sent = sent
        self._address = address
        self._place, self._end = part or (0, file.size_bytes)
        if part is not None:
            self.headers[hdrs.CONTENT_RANGE] = f"bytes {self._place}-{self._end - 1}/{file.size_bytes}"
        self.content_length = self._end - self._place

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything. Raises: ConnectionResetError when it was not to go on; whatever reading raises."""
        is_reset = False
        self._sent[self._address] += 1

        def reset() -> None:
            nonlocal is_reset
            is_reset = True
            _reset(request.transport)

        try:
            self._file.on_end(reset)
            writer = await super().prepare(request)
            await self._send(0 if request.method == hdrs.METH_HEAD else self._end - self._place)
        except Exception as error:
            if isinstance(error, TimeoutError):
                reset()
            if is_reset and not isinstance(error, ConnectionError):
                raise ConnectionResetError("the file is not given out any more, or not taken") from error
            raise
        else:
            return writer
        finally:
            self._sent[self._address] -= 1
            if not self._sent[self._address]:
                del self._sent[self._address]
            await self._file.close()

    async def _send(self, size: int) -> None:
        place, end = self._place, self._place + size
        while place < end:
            piece = await self._file.read(place, min(_PIECE_BYTES, end - place))
            if not piece:
                raise OSError("the file became shorter while it was sent")
            async with asyncio.timeout(STALL_S):
                await self.write(piece)
            place += len(piece)
        await self.write_eof()


def _reset(transport: asyncio.Transport | None) -> None:
    """Drop a connection with all that waits in it, in the kernel too (RFC 9293 section 3.10.5)."""
    if transport is None:
        return
    connected = transport.get_extra_info("socket")
    if connected is not None:
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


async def send_file(
    request: web.Request, file: OpenFile, *, content_type: str, name: str | None, sha256: str | None
) -> web.StreamResponse:
    """The answer with a file, or the range of it that was asked for; `file` is closed behind it.

    `name`: what it is saved as; None: it is for a page to show, which may give it another.
    Raises: Problem `range_not_satisfiable`, `rate_limited`.
    """
    context = context_of(request)
    address = address_key(client_address(request, context.config))
    if context.downloads[address] >= EACH:
        await file.close()
        raise Problem("rate_limited", f"{EACH} files go to your address already", retry_after_s=5)
    etag = f'"{sha256}"' if sha256 else ""
    headers: dict[str, str] = {hdrs.ETAG: etag} if etag else {}
    if etag and request.headers.get(hdrs.IF_NONE_MATCH) == etag:
        await file.close()
        return web.Response(status=304, headers=headers)
    try:
        part = _range(request, file.size_bytes, etag)
    except Problem:
        await file.close()
        raise
    headers |= {
        hdrs.CONTENT_TYPE: content_type,
        hdrs.CACHE_CONTROL: "private, no-store",
        hdrs.ACCEPT_RANGES: "bytes",
        "X-Accel-Buffering": "no",  # what a proxy has taken nobody takes back
    }
    if name is not None:
        headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{name}"'
    return FileAnswer(file, part, headers, context.downloads, address)
