"""A receiver's choices reach an engine that is too busy at first."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sfu import CodecPolicy, LayerChosen, MediaPlane
from sfu.engine import events
from sfu.engine.fake import FakeEngine
from sfu.engine.types import Ack
from sfu.errors import QueueFull
from tests.sfu.room import CONFIG, Room, ids
from tests.sfu.wires import until


class Busy(FakeEngine):
    """Refuses the next commands to a forward, as a full queue does."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.refuses = 0

    def set_forward(self, *arguments: Any, **options: Any) -> Ack:
        if self.refuses:
            self.refuses -= 1
            raise QueueFull("full")
        return super().set_forward(*arguments, **options)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        plane = await MediaPlane.start(CONFIG, engine=Busy)
        stack.push_async_callback(plane.close)
        made = Room(plane, plane.router("r", CodecPolicy()))
        stack.push_async_callback(made.close)
        yield made


async def test_a_choice_that_a_busy_engine_did_not_take_is_told_again(room: Room) -> None:
    engine = room.plane.engine
    assert isinstance(engine, Busy)
    answer = await room.router.publish("p_alice", room.client().offer("chromium-offer-sendonly-av"))
    sub = await room.router.subscriber("p_bob")
    await room.router.subscribe(sub, ids(answer)["video"])
    offer = await room.router.offer(sub)
    assert offer is not None
    await room.router.answer(sub, offer.version, room.client().answer(offer.sdp))
    transport = room.router._roster.receiver(sub).peer.transport
    [forward] = engine.world.forwards.values()
    engine.emit(events.Layers(ids(answer)["video"], ((0, 0, 0, 500_000, 360),)))
    for bps in (100_000, 10_000_000):
        is_starved = bps < 500_000
        engine.refuses = 1
        engine.emit(events.Bandwidth(transport, bps))
        assert engine.refuses == 0
        assert forward.is_paused is not is_starved
        await until(lambda is_starved=is_starved: forward.is_paused is is_starved, "another try")
    room.router.events.close()
    await room.read()
    assert [event.is_starved for event in room.of(LayerChosen)] == [True, False]
