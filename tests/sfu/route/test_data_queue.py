"""Data messages of a room wait in order, and within bounds that whoever puts them asks for."""

import asyncio

from sfu import ChannelKind, DataQueue, DataReceived, PeerId
from sfu.route.data_queue import MAX_BYTES, MAX_WAITING


def message(size: int = 1, peer: int = 1) -> DataReceived:
    return DataReceived(PeerId(peer), ChannelKind.RELIABLE, bytes(size))


async def taken(queue: DataQueue, count: int) -> list[DataReceived]:
    found = []
    async for one in queue:
        found.append(one)
        if len(found) == count:
            break
    return found


async def test_messages_come_out_in_order_also_to_a_reader_that_waits() -> None:
    queue = DataQueue()
    sent = [message(peer=number) for number in range(5)]
    reading = asyncio.ensure_future(taken(queue, 5))
    await asyncio.sleep(0)
    for one in sent:
        queue.put(one)
    assert await reading == sent


async def test_there_is_no_room_beyond_so_many_messages_or_bytes_until_some_are_read() -> None:
    for size, count in ((0, MAX_WAITING), (MAX_BYTES // 8, 8)):
        queue = DataQueue()
        for _ in range(count):
            assert queue.has_room
            queue.put(message(size))
        assert not queue.has_room
        await taken(queue, 1)
        assert queue.has_room


async def test_a_closed_queue_ends_at_once_and_takes_nothing_more() -> None:
    queue = DataQueue()
    queue.put(message())
    queue.close()
    queue.put(message())
    assert [one async for one in queue] == []
    assert queue.has_room
