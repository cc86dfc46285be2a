"""Patience ends once, when the thing that goes on has lasted too long, and not before."""

import asyncio

from signaling.patience import Patience


async def test_it_ends_once_when_what_began_does_not_end() -> None:
    over: list[float] = []
    loop = asyncio.get_running_loop()
    patience = Patience(0.03, lambda: over.append(loop.time()))
    began = loop.time()
    patience.begin()
    await asyncio.sleep(0.15)
    assert len(over) == 1
    assert over[0] - began >= 0.028
    patience.close()


async def test_many_short_things_are_no_long_one() -> None:
    over: list[bool] = []
    patience = Patience(0.5, lambda: over.append(True))
    for _ in range(20):
        patience.begin()
        await asyncio.sleep(0.05)
        patience.end()
    assert not over
    patience.close()


async def test_what_begins_after_a_pause_has_all_its_time() -> None:
    over: list[bool] = []
    patience = Patience(0.6, lambda: over.append(True))
    patience.begin()
    patience.end()
    await asyncio.sleep(0.4)
    patience.begin()
    await asyncio.sleep(0.3)  # the first one's time is up
    assert not over
    patience.close()


async def test_nothing_is_called_after_the_end() -> None:
    over: list[bool] = []
    patience = Patience(0.01, lambda: over.append(True))
    patience.begin()
    patience.close()
    patience.close()
    await asyncio.sleep(0.05)
    assert not over
