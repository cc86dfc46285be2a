"""How late the event loop comes to what was due: the first sign that it has too much to do."""

import asyncio
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 0.2


async def watch_lag(observe: Callable[[float], None]) -> None:
    """Tell `observe`, five times a second, by how many seconds a timer came late. Runs until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        observe(max(loop.time() - due, 0.0))
