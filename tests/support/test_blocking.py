"""What blocks the event loop is found, and only that."""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.support import blocking

_SOURCE = """
import asyncio
import time

async def waits():
    time.sleep(0.001)

async def calls():
    blocks()

async def yields():
    await asyncio.sleep(0.001)

def blocks():
    time.sleep(0.001)
"""


def _house() -> dict[str, Any]:
    """Functions that count as the house's."""
    names: dict[str, Any] = {}
    exec(compile(_SOURCE, f"{Path(__file__).parents[2]}/rooms/made_for_this_test.py", "exec"), names)
    return names


async def test_a_coroutine_of_the_house_that_sleeps_is_found_by_its_lines() -> None:
    house = _house()
    await house["waits"]()
    await asyncio.create_task(house["calls"]())
    assert blocking.taken() == [
        "time.sleep in rooms/made_for_this_test.py:6 waits",
        "time.sleep in rooms/made_for_this_test.py:15 blocks < rooms/made_for_this_test.py:9 calls",
    ]
    assert blocking.taken() == []


async def test_a_callback_of_the_house_counts_as_well() -> None:
    asyncio.get_running_loop().call_soon(_house()["blocks"])
    await asyncio.sleep(0)
    assert blocking.taken() == ["time.sleep in rooms/made_for_this_test.py:15 blocks"]


async def test_a_test_may_block_and_may_call_what_blocks() -> None:
    house = _house()
    time.sleep(0.001)  # noqa: ASYNC251 - what it is about
    house["blocks"]()
    await house["yields"]()
    await asyncio.to_thread(house["blocks"])
    assert blocking.taken() == []
