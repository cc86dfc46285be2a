"""What asyncio's streams leave to whoever uses them."""

import asyncio
from contextlib import suppress


async def wait_gone(writer: asyncio.StreamWriter) -> None:
    """Wait until the connection behind `writer` is gone, broken or not.

    All who await `StreamWriter.wait_closed` share one future, and the first of them who is cancelled, by a
    time limit too, cancels it for everybody after. Here cancelling ends the caller's wait alone.
    """
    await asyncio.shield(_gone(writer))


async def _gone(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the peer was gone first: whoever reads or writes is told
        await writer.wait_closed()
