"""The end of a connection, waited for by several."""

import asyncio
import contextlib
import socket

import pytest

from media.streams import wait_gone


@contextlib.asynccontextmanager
async def full_stream():
    """A writer whose peer reads nothing, so that closing it lasts; and the peer."""
    mine, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=mine)
    writer.write(bytes(4 << 20))
    writer.close()
    try:
        yield writer, theirs
    finally:
        theirs.close()
        writer.transport.abort()


async def test_who_gives_up_waiting_cancels_nobody_elses_wait():
    async with full_stream() as (writer, theirs):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await wait_gone(writer)
        other = asyncio.create_task(wait_gone(writer))
        await asyncio.sleep(0)
        assert not other.done()
        theirs.close()
        await asyncio.wait_for(other, 5)


async def test_a_connection_that_broke_is_gone():
    async with full_stream() as (writer, _):
        writer.transport.abort()
        await asyncio.wait_for(wait_gone(writer), 5)
        await asyncio.wait_for(wait_gone(writer), 5)
