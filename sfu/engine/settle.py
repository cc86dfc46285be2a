"""Waiting for several commands at once, for a bounded time."""

import asyncio
from collections.abc import Iterable

from sfu.engine.types import Ack
from sfu.errors import EngineError


async def settle(acks: Iterable[Ack], timeout_s: float) -> None:
    """Return when the engine has done all of them.

    Raises:
        EngineError: one was refused, or not acknowledged in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            for ack in acks:
                await ack
    except TimeoutError as error:
        raise EngineError(f"no acknowledgement in {timeout_s} s") from error
