"""The router's queue is bounded and says what it lost."""

import asyncio

from sfu.engine.types import TrackId
from sfu.route.events import (
    EventQueue,
    EventsLost,
    Levels,
    OfferNeeded,
    PeerConnected,
    PeerId,
    SubscriberId,
    TrackRemoved,
)

SUB = SubscriberId(PeerId(7))


async def drained(queue: EventQueue) -> list[object]:
    queue.close()
    return [event async for event in queue]


async def test_events_come_in_order_and_the_iteration_ends_with_the_queue() -> None:
    queue = EventQueue(10)
    events = [PeerConnected(PeerId(1)), TrackRemoved(TrackId(2))]
    for event in events:
        queue.put(event)
    assert await drained(queue) == events


async def test_one_offer_needed_waits_for_each_subscriber() -> None:
    queue = EventQueue(10)
    for _ in range(5):
        queue.put(OfferNeeded(SUB))
    assert await queue.get() == OfferNeeded(SUB)
    queue.put(OfferNeeded(SUB))
    assert await drained(queue) == [OfferNeeded(SUB)]


async def test_only_the_latest_levels_wait_and_they_never_push_out_another() -> None:
    queue = EventQueue(1)
    queue.put(PeerConnected(PeerId(1)))
    for level in range(-100, 0):
        queue.put(Levels(((TrackId(1), level),)))
    assert await drained(queue) == [PeerConnected(PeerId(1)), Levels(((TrackId(1), -1),))]


async def test_what_does_not_fit_is_counted_and_told_once() -> None:
    queue = EventQueue(2)
    for number in range(5):
        queue.put(PeerConnected(PeerId(number)))
    assert await drained(queue) == [PeerConnected(PeerId(0)), PeerConnected(PeerId(1)), EventsLost(3)]


async def test_a_waiting_consumer_wakes_and_one_that_gave_up_loses_nothing() -> None:
    queue = EventQueue(2)
    try:
        async with asyncio.timeout(0.01):
            await queue.get()
    except TimeoutError:
        pass
    asyncio.get_running_loop().call_soon(queue.put, PeerConnected(PeerId(1)))
    assert await queue.get() == PeerConnected(PeerId(1))


async def test_nothing_enters_a_closed_queue() -> None:
    queue = EventQueue(2)
    queue.close()
    queue.put(PeerConnected(PeerId(1)))
    assert await queue.get() is None
