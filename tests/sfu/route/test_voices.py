"""How many voices a room lets through: every worker is told, and every viewer's bits are counted by it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sfu import CodecPolicy, MediaConfig, MediaPlane, Router
from sfu.engine.fake import FakeEngine
from sfu.engine.types import Ack, StageId
from tests.sfu.sdp.descriptions import capture

CONFIG = MediaConfig(addresses=("127.0.0.1",), port=0, gate_slots=8, workers=2)


class Seats(FakeEngine):
    """Remembers who was seated where."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.places: dict[tuple[StageId, int], int] = {}
        self.stages: list[StageId] = []

    def set_stage(self, worker: int, stage: StageId, places: int) -> Ack:
        self.places[stage, worker] = places
        return super().set_stage(worker, stage, places)

    def add_track(self, *arguments: Any, **options: Any) -> Ack:
        self.stages.append(options["stage"])
        return super().add_track(*arguments, **options)


@pytest.fixture
async def plane() -> AsyncIterator[MediaPlane]:
    made = await MediaPlane.start(CONFIG, engine=Seats)
    yield made
    await made.close()


def seats(plane: MediaPlane) -> Seats:
    assert isinstance(plane.engine, Seats)
    return plane.engine


async def test_every_worker_seats_the_loudest_of_each_room_and_forgets_a_closed_one(
    plane: MediaPlane,
) -> None:
    one, two = (plane.router(name, CodecPolicy()) for name in ("one", "two"))
    await one.set_loudest(3)
    await two.set_loudest(5)
    assert sorted(seats(plane).places.values()) == [3, 3, 5, 5]
    assert len({stage for stage, _ in seats(plane).places}) == 2
    await one.close()
    assert sorted(seats(plane).places.values()) == [0, 0, 5, 5]


async def test_tracks_compete_on_their_own_rooms_stage(plane: MediaPlane) -> None:
    routers: list[Router] = [plane.router(name, CodecPolicy()) for name in ("one", "two")]
    for router in routers:
        await router.set_loudest(1)
        await router.publish("p_a", capture("chromium-offer-sendonly-av"))
    stages = {stage for stage, _ in seats(plane).places}
    assert set(seats(plane).stages) == stages
    assert len(stages) == 2


async def test_red_is_not_agreed_on_for_what_is_encrypted_end_to_end(plane: MediaPlane) -> None:
    router = plane.router("one", CodecPolicy())
    assert (
        " red/48000" in (await router.publish("p_a", capture("chromium-offer-sendonly-av"), e2ee=False)).sdp
    )
    assert (
        " red/48000"
        not in (await router.publish("p_b", capture("chromium-offer-sendonly-av"), e2ee=True)).sdp
    )
