import asyncio

import pytest

from tests.support.meanwhile import Meanwhile


async def call(seen):
    for step in range(3):
        seen.append(step)
        await asyncio.sleep(0)
    return "answer"


@pytest.mark.parametrize("at", range(3))
async def test_the_other_one_begins_at_the_wait_that_is_named(at):
    seen = []

    async def other():
        await asyncio.sleep(0)
        seen.append("other")

    race = Meanwhile(call(seen), at, other, holds=True)
    assert await race == "answer"
    assert seen.index("other") == at + 1


async def test_unheld_both_go_on_together():
    seen, end = [], asyncio.Event()
    race = Meanwhile(call(seen), 0, end.wait, holds=False)
    assert await race == "answer"
    assert not race.task.done()
    end.set()
    await race.task


async def test_a_call_that_waits_less_often_is_not_disturbed():
    race = Meanwhile(call([]), 3, asyncio.Event().wait, holds=True)
    assert await race == "answer"
    assert race.task is None


async def test_what_a_wait_raises_is_the_calls():
    future = asyncio.get_running_loop().create_future()

    async def refused():
        try:
            await future
        except LookupError:
            return "caught"

    async def other():
        future.set_exception(LookupError())

    assert await Meanwhile(refused(), 0, other, holds=True) == "caught"
