"""Waiting for what a server does in its own time."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def until(
    check: Callable[[], Any], what: str, patience_s: float = 25.0, *, tell: Callable[[], object] = str
) -> Any:
    """What a check, a function or coroutine function, finds once it finds something.

    Fails the test when it does not in time, naming `what`, and what `tell` tells of the state then.
    """
    deadline = time.monotonic() + patience_s
    while True:
        found = check()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what} {tell()}"
        await asyncio.sleep(0.05)
