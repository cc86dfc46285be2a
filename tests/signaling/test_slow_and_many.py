"""Slow and half-open connections, storms, guesses (rows 34, 35)."""

import asyncio
import itertools
import time

import aiohttp
import pytest

from server.listen import Doorkeeper
from signaling import Rate, server_options
from tests.signaling.rig import rig, until
from tests.signaling.upgrade import UPGRADE, upgrade


async def test_a_join_is_quick_beside_five_hundred_idle_sockets() -> None:
    async with rig() as house:
        idle = []
        kinds = itertools.cycle(
            [
                b"",
                b"GET / HT",
                b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                b"POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nv=0",
            ]
        )
        try:
            for _ in range(500):
                _, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
                writer.write(next(kinds))
                idle.append(writer)
            for number in range(4):
                started = time.monotonic()
                client = await house.join(f"p{number}")
                assert time.monotonic() - started < 1.0
                await client.close()
        finally:
            for writer in idle:
                writer.transport.abort()
            await until(lambda: not house.listener._runner.server.connections, "all are gone")


async def test_a_request_that_does_not_come_to_its_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    options = server_options() | {"keepalive_timeout": 0.3}
    monkeypatch.setattr("server.listen.server_options", lambda: options)
    async with rig() as house:
        for head in (b"", b"GET / HTTP/1.1\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
            try:
                writer.write(head)
                assert await asyncio.wait_for(reader.read(), 5) == b""
            finally:
                writer.transport.abort()


async def test_a_body_that_does_not_come_is_refused_in_time() -> None:
    async with rig(body_timeout_s=0.2) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        token = house.bearer()["Authorization"]
        head = f"Host: x\r\nAuthorization: {token}\r\nContent-Type: application/sdp\r\nContent-Length: 5000"
        try:
            writer.write(f"POST /whip/demo HTTP/1.1\r\n{head}\r\n\r\nv=0".encode())
            answer = await asyncio.wait_for(reader.readline(), 5)
        finally:
            writer.transport.abort()
        assert answer.split()[1] == b"408"


async def test_one_address_may_hold_so_many_connections() -> None:
    keeper = Doorkeeper(3, lambda _address: False)
    async with rig(doorkeeper=keeper) as house:
        held = [await asyncio.open_connection("127.0.0.1", house.listener.port) for _ in range(4)]
        try:
            await until(lambda: keeper.refused == 1, "one is refused")
            ended = [await asyncio.wait_for(_ends(reader), 5) for reader, _ in held[3:]]
            assert ended == [True]
        finally:
            for _, writer in held:
                writer.transport.abort()
        await asyncio.sleep(0)
        async with house.http.get(f"{house.url}/healthz") as response:
            assert response.status == 200


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_a_join_storm_is_told_to_come_back_and_leaves_room_for_others() -> None:
    async with rig(joins=Rate(per_s=50, burst=100)) as house:
        statuses = [await upgrade(house) for _ in range(300)]
        assert statuses.count(101) >= 100
        assert statuses.count(429) > 50
        status, body = await house.get("/v1/rtc", headers=UPGRADE)
        if status == 429:
            assert body["retry_after_s"] >= 0
        started = time.monotonic()
        while True:
            try:
                client = await house.join("ada")
                break
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 429
                assert int(error.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.05)
        assert time.monotonic() - started < 10.0
        await client.close()


async def test_guessing_tokens_gets_slow() -> None:
    async with rig(failures=Rate(per_s=0.5, burst=5)) as house:
        headers = {"Authorization": "Bearer nonsense"}
        statuses = [(await house.get("/api/v1/rooms", headers=headers))[0] for _ in range(10)]
        assert statuses[:5] == [401] * 5
        assert 429 in statuses[5:]


async def test_too_many_requests_are_told_when_to_come_back() -> None:
    async with rig(requests=Rate(per_s=1, burst=5)) as house:
        answers = [await house.get("/api/v1/site") for _ in range(8)]
        assert [status for status, _ in answers] == [200] * 5 + [429] * 3
        assert answers[-1][1]["code"] == "rate_limited"
        assert (await house.get("/healthz"))[0] == 200
