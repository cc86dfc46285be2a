"""What waits for a viewer's chat feed: what was taken back is not among it."""

import asyncio

from rooms import Chat, ChatDeleted, ChatMessage
from signaling.chat_feed import MOST, ChatFeed


def line(number: int) -> Chat:
    return Chat(ChatMessage(id=f"c_{number}", at_ms=0, participant="", identity="", name="Ada", text="so"))


async def read(feed: ChatFeed) -> list[Chat | ChatDeleted]:
    feed.close()
    found = []
    while (event := await feed.get()) is not None:
        found.append(event)
    return found


async def test_lines_come_in_order_and_wait_for_a_reader() -> None:
    feed = ChatFeed()
    reading = asyncio.create_task(feed.get())
    await asyncio.sleep(0)
    feed.put(line(1))
    assert await reading == line(1)
    feed.put(line(2))
    feed.put(line(3))
    assert await read(feed) == [line(2), line(3)]


async def test_a_line_that_is_taken_back_while_it_waits_is_never_read() -> None:
    feed = ChatFeed()
    feed.put(line(1))
    feed.put(line(2))
    feed.put(ChatDeleted("c_1"))
    assert await read(feed) == [line(2)]


async def test_the_end_of_a_line_that_was_read_overtakes_what_waits() -> None:
    feed = ChatFeed()
    feed.put(line(1))
    assert await feed.get() == line(1)
    feed.put(line(2))
    feed.put(ChatDeleted("c_1"))
    assert await read(feed) == [ChatDeleted("c_1"), line(2)]


async def test_a_slow_reader_loses_old_lines_and_no_end_of_what_it_has_read() -> None:
    feed = ChatFeed()
    feed.put(line(0))
    assert await feed.get() == line(0)
    feed.put(ChatDeleted("c_0"))
    for number in range(1, MOST + 11):
        feed.put(line(number))
    found = await read(feed)
    assert found[0] == ChatDeleted("c_0")
    assert found[1:] == [line(number) for number in range(11, MOST + 11)]
