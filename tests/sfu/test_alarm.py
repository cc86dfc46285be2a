"""One timer for whatever is due next."""

import asyncio

from sfu.alarm import Alarm


async def test_it_rings_once_at_the_time_that_it_was_set_to_last() -> None:
    loop = asyncio.get_running_loop()
    rung: list[float] = []
    alarm = Alarm(lambda: rung.append(loop.time()))
    now = loop.time()
    for after in (5.0, 0.01, 0.03, 0.03):
        alarm.set(now + after)
    await asyncio.sleep(0.1)
    assert len(rung) == 1
    assert rung[0] >= now + 0.03
    alarm.set(now + 0.03)  # the same time again is another wish
    await asyncio.sleep(0.01)
    assert len(rung) == 2


async def test_one_that_was_cancelled_does_not_ring() -> None:
    rung: list[bool] = []
    alarm = Alarm(lambda: rung.append(True))
    alarm.set(asyncio.get_running_loop().time() + 0.01)
    alarm.cancel()
    alarm.cancel()
    await asyncio.sleep(0.03)
    assert rung == []
