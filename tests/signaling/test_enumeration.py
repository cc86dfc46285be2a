"""Rooms cannot be found out (row 36)."""

import statistics
import time

import pytest

from signaling import Rate
from tests.signaling.rig import HOST, offer, rig

ENUMERATION = (
    ("GET", "/api/v1/rooms/{}"),
    ("GET", "/api/v1/rooms/{}/participants"),
    ("GET", "/api/v1/rooms/{}/participants/ada"),
    ("GET", "/api/v1/rooms/{}/door"),
    ("POST", "/whip/{}"),
    ("POST", "/whep/{}"),
    ("POST", "/whep/{}/ada"),
    ("DELETE", "/whip/{}/sessions/x"),
)


@pytest.mark.parametrize(("method", "path"), ENUMERATION)
async def test_an_unknown_room_and_a_forbidden_one_are_answered_alike(method: str, path: str) -> None:
    async with rig() as house:
        await house.join("ada", room="secret")
        options = {
            "headers": house.bearer("eve", room="lobby", permissions=HOST)
            | {"Content-Type": "application/sdp"},
            "data": offer().encode() if method == "POST" else None,
        }
        answers = [
            await house.request(method, path.format(room), **options) for room in ("secret", "nowhere", "..")
        ]
        assert answers[0][0] == 403
        assert answers[0] == answers[1]
        if path != "/whip/{}":
            assert answers[2][0] in {403, 404, 405}


async def test_the_time_of_a_refusal_does_not_tell_whether_the_room_exists() -> None:
    async with rig(requests=Rate(1e6, 1e6), joins=Rate(1e6, 1e6)) as house:
        await house.join("ada", room="secret")
        headers = house.bearer("eve", room="lobby")

        async def quartile() -> dict[str, float]:
            times: dict[str, list[float]] = {"secret": [], "absent": []}
            for number in range(200):
                for room in sorted(times, reverse=bool(number % 2)):
                    started = time.perf_counter()
                    await house.get(f"/api/v1/rooms/{room}", headers=headers)
                    times[room].append(time.perf_counter() - started)
            return {room: statistics.quantiles(samples, n=4)[0] for room, samples in times.items()}

        # A real difference shows in every round; a busy machine does not.
        for _ in range(4):
            found = await quartile()
            if abs(found["secret"] - found["absent"]) < 0.2 * max(found.values()):
                return
        pytest.fail(f"the time tells: {found}")


async def test_a_room_page_says_nothing_about_the_room() -> None:
    async with rig() as house:
        await house.join("ada", room="secret")
        bodies = [await house.get(f"/r/{room}") for room in ("secret", "nowhere")]
        assert bodies[0] == bodies[1]
