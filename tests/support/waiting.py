"""Waiting for what a server does in its own time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any


async def until(check: Callable[[], Awaitable[Any]], what: str, patience_s: float = 25.0) -> Any:
    """What a check finds once it finds something; fails the test when it does not in time."""
    deadline = time.monotonic() + patience_s
    while not (found := await check()):
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.05)
    return found
