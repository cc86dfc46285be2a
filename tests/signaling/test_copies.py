"""Where somebody's media went, as the API tells it of a real recording."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from policy import RECORD, Permission
from server.listen import Listener
from signaling import KeyRing, Services, SignalingConfig, create_app, mint
from signaling.rest import BASE
from tests.recorder.house import ROOM, House, house
from tests.signaling.rig import KEY, ROOT

pytestmark = pytest.mark.slow

RED, BLUE = (200, 30, 30), (30, 30, 200)
LATE_MS = 200
"""From a packet to its time in a file, and from a gate to the worker's note of it."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def api(home: House) -> AsyncIterator[Any]:
    """Asks the application in front of this house: the recordings that somebody is told of."""
    services = Services(rooms=home.rooms, keys=KeyRing([KEY]), store=home.store, recorder=home.recorder)
    app = create_app(services, SignalingConfig(web_root=ROOT / "web"))
    listener = await Listener.open(app, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.port}{BASE}/consents/copies"

    async def recordings(identity: str) -> list[dict[str, Any]]:
        token = mint(
            KEY, identity=identity, room=ROOM, permissions=(Permission.JOIN,), now=time.time(), ttl_s=600
        )
        async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == 200, await response.text()
            found: list[dict[str, Any]] = (await response.json())["recordings"]
            return found

    async with aiohttp.ClientSession() as http:
        yield recordings
    await listener.close()


async def test_a_recording_is_told_with_the_times_in_which_the_person_is_in_it(tmp_path: Any) -> None:
    async with house(tmp_path) as home, api(home) as recordings:
        ada, bea = await home.enter("ada", colour=RED), await home.enter("bea", colour=BLUE)
        assert await recordings("ada") == []
        info = await home.recorder.start(ROOM)
        edges = [now_ms()]
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        edges.append(now_ms())
        await ada.participant.consent({RECORD: False})
        edges.append(now_ms())
        await bea.acknowledge()
        await home.grows(info, bea.person, "camera")
        edges.append(now_ms())
        await ada.participant.consent({RECORD: True})
        await home.grows(info, ada.person, "camera", number=2)
        (running,) = await recordings("ada")
        assert running["recording"] == info.id
        (span,) = running["spans"]
        assert (span["from_ms"] <= edges[0], span["until_ms"]) == (True, None)
        edges.append(now_ms())
        await home.recorder.stop(info.id)
        edges.append(now_ms())

        (told,) = await recordings("ada")
        first, second = told["spans"]
        assert edges[0] <= first["from_ms"] <= edges[1]
        assert edges[1] - LATE_MS <= first["until_ms"] <= edges[2] + LATE_MS
        assert edges[3] <= second["from_ms"] <= edges[4]
        assert edges[4] - LATE_MS <= second["until_ms"] <= edges[5]
        (told,) = await recordings("bea")
        assert [edges[2] <= span["from_ms"] <= edges[3] for span in told["spans"]] == [True]


async def test_who_is_not_in_a_recording_or_was_erased_from_it_is_told_of_none(tmp_path: Any) -> None:
    async with house(tmp_path) as home, api(home) as recordings:
        ada, bea = await home.enter("ada", colour=RED), await home.enter("bea")
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        await home.recorder.stop(info.id)
        assert [one["recording"] for one in await recordings("ada")] == [info.id]
        assert bea.person != ada.person
        assert await recordings("bea") == []
        await home.rooms.withdrawals.withdraw(ada.person)
        async with asyncio.timeout(15):
            while await recordings("ada"):  # noqa: ASYNC110 (an answer over HTTP)
                await asyncio.sleep(0.02)
