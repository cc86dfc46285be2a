"""A server that shares a Redis: it comes up with it, goes on without it, and heals by itself."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.attacks.call import call
from tests.browser.parley import Parley, serve
from tests.server.command import parley as command
from tests.support.redis_server import redis_server
from tests.support.waiting import until

pytestmark = pytest.mark.slow


async def door(parley: Parley, room: str) -> int:
    """The status of a WHEP request, which opens the room: 400 is what a room that is open says of no SDP."""
    token = parley.token(room, "ada", grants=("join", "subscribe"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    url = f"{parley.url}/whep/{room}"
    async with aiohttp.ClientSession() as http, http.post(url, data="v=0", headers=headers) as response:
        return response.status


async def test_a_call_outlives_its_redis_and_new_rooms_wait_for_it(tmp_path: Path) -> None:
    environment = {"PARLEY_CLUSTER_NODE": "one", "PARLEY_CLUSTER_TTL_S": "6"}
    async with redis_server(tmp_path) as redis:
        environment["PARLEY_CLUSTER_REDIS"] = redis.url
        async with serve(tmp_path / "data", environment=environment) as parley, call(parley) as running:
            async with Redis.from_url(redis.url) as client:
                assert await client.keys("parley:node:*") == [b"parley:node:one"]
                homes = await client.keys("parley:home:*")
                assert len(homes) == 1
                assert await client.get(homes[0]) == b"one"
            await redis.stop()
            assert await running.talk(1.0) == 0
            assert await door(parley, running.room) == 400
            assert await door(parley, "new") == 503
            assert await running.talk(0.5) == 0
            await redis.start()

            async def is_back() -> bool:
                return await door(parley, "new") == 400

            await until(is_back, "new rooms", patience_s=15)

            async def is_told() -> bool:
                async with Redis.from_url(redis.url) as client:
                    return bool(await client.exists(homes[0], "parley:node:one") == 2)

            await until(is_told, "the heartbeat that tells of the room", patience_s=15)
            assert await running.talk(0.5) == 0
        async with Redis.from_url(redis.url) as client:
            assert await client.keys("parley:node:*") == []


async def test_two_servers_know_of_each_other_and_leave_without_a_trace(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as redis:
        environment = {"PARLEY_CLUSTER_REDIS": redis.url, "PARLEY_CLUSTER_TTL_S": "6"}
        async with serve(tmp_path / "one", environment=environment) as one, call(one) as running:
            async with Redis.from_url(redis.url) as client:
                [home] = await client.keys("parley:home:*")
                [node] = await client.smembers("parley:nodes")
                room_id = home.decode().removeprefix("parley:home:")
                assert await client.get(home) == node
                async with serve(tmp_path / "two", environment=environment):
                    assert await client.scard("parley:nodes") == 2
                assert await client.smembers("parley:nodes") == {node}
                assert await client.get(f"parley:home:{room_id}") == node
            assert await running.talk(0.3) == 0


async def test_a_server_without_its_redis_does_not_start_and_says_why(tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    arguments = ("serve", "--port", "0", "--media-port", "0", "--data-dir", str(tmp_path / "data"))
    async with asyncio.timeout(30):
        code, out = await command(*arguments, PARLEY_CLUSTER_REDIS=nobody)
    assert (code, "Redis does not answer" in out, "Traceback" in out) == (1, True, False), out
    code, out = await command("config", "check", PARLEY_CLUSTER_REDIS="http://:s3cret@h")
    assert (code, "redis://127.0.0.1" in out, "s3cret" in out) == (2, True, False), out
    code, out = await command(
        "config", "show", PARLEY_CLUSTER_REDIS="redis://:s3cret@h", PARLEY_ICE_SECRET="s3cret"
    )
    assert (code, "s3cret" in out) == (0, False), out
