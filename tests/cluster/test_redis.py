"""What is special about a cluster by Redis: several processes, and a Redis that is not there."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cluster import ClusterUnavailable, Node, RedisCluster
from tests.support.redis_server import RedisServer, redis_server
from tests.support.waiting import until

TTL_S = 2.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
async def pair(server: RedisServer) -> AsyncIterator[tuple[RedisCluster, RedisCluster]]:
    """Two processes, as far as Redis can tell."""
    one = await RedisCluster.open(server.url, ttl_s=TTL_S, timeout_s=0.5)
    two = await RedisCluster.open(server.url, ttl_s=TTL_S, timeout_s=0.5)
    yield one, two
    await one.close()
    await two.close()


async def hears(subscription: object) -> bytes:
    async with asyncio.timeout(10):
        return await anext(aiter(subscription))  # type: ignore[call-overload]


async def works(ask: Callable[[], Awaitable[object]]) -> None:
    """Once a Redis is back, everything works again by itself."""

    async def is_done() -> bool:
        try:
            await ask()
        except ClusterUnavailable:
            return False
        return True

    await until(is_done, "recovery", patience_s=10)


async def test_two_processes_see_the_same_nodes_and_homes(pair: tuple[RedisCluster, RedisCluster]) -> None:
    one, two = pair
    await one.announce(Node(id="a", address="https://a.example", load=0.25))
    await two.announce(Node(id="b", is_draining=True))
    assert await one.nodes() == await two.nodes()
    assert (await two.nodes())[0] == Node(id="a", address="https://a.example", load=0.25)
    chosen = await two.choose()
    assert chosen is not None
    assert chosen.id == "a"
    claims = [one.claim("room", "a") if number % 2 else two.claim("room", "b") for number in range(20)]
    won = await asyncio.gather(*claims)
    assert len(set(won)) == 1
    assert await one.home("room") == await two.home("room") == won[0]
    await one.withdraw("a")
    await two.withdraw("b")
    assert await two.home("room") is None


async def test_a_message_reaches_every_process_once_and_in_order(
    pair: tuple[RedisCluster, RedisCluster],
) -> None:
    one, two = pair
    near, far, elsewhere = one.subscribe("topic"), two.subscribe("topic"), two.subscribe("other")
    for number in range(50):
        await one.publish("topic", bytes([number]))
    await one.publish("other", b"end")
    assert await hears(elsewhere) == b"end"
    one.subscribe("topic").close()
    for subscription in (near, far):
        subscription.close()
        assert [message async for message in subscription] == [bytes([number]) for number in range(50)]


async def test_garbage_on_the_channel_is_counted_and_nothing_else(
    server: RedisServer, pair: tuple[RedisCluster, RedisCluster]
) -> None:
    one, two = pair
    heard = two.subscribe("topic")
    async with Redis.from_url(server.url) as stranger:
        for junk in (b"", b"\xc1", b"\x93\xc4\x01x\xa1*\xc4\x00", b"{}", b"\x93" * 500, bytes(200_000)):
            await stranger.publish("parley:bus", junk)
        await stranger.set("parley:node:evil", b"\xff\xfe")
        await stranger.sadd("parley:nodes", "evil")
    await one.publish("topic", b"fine")
    assert await hears(heard) == b"fine"
    assert two.undecodable == 6
    await two.announce(Node(id="b"))
    assert [node.id for node in await two.nodes()] == ["b"]


async def test_without_redis_everything_is_refused_in_time_and_heals_by_itself(
    server: RedisServer, pair: tuple[RedisCluster, RedisCluster]
) -> None:
    one, two = pair
    near, far = one.subscribe("topic"), two.subscribe("topic")
    await one.announce(Node(id="a"))
    assert await one.claim("room", "a") == "a"
    await server.stop()
    for ask in (
        lambda: one.announce(Node(id="a")),
        lambda: one.claim("other", "a"),
        lambda: one.home("room"),
        one.nodes,
        lambda: one.publish("topic", b"near"),
    ):
        began = time.monotonic()
        with pytest.raises(ClusterUnavailable):
            await ask()
        assert time.monotonic() - began < 2
    # Within the process the bus goes on.
    assert await hears(near) == b"near"
    # It comes back empty: the next heartbeat tells it all again.
    await server.start()
    await works(lambda: one.announce(Node(id="a")))
    assert await two.claim("room", "b") == "a"

    async def is_heard() -> bool:
        await one.publish("topic", b"again")
        return len(far._waiting) > 0  # type: ignore[attr-defined]

    await until(is_heard, "the bus", patience_s=15)
    assert await hears(far) == b"again"


async def test_a_redis_that_hangs_holds_nobody_up(
    server: RedisServer, pair: tuple[RedisCluster, RedisCluster]
) -> None:
    one, _ = pair
    await one.announce(Node(id="a"))
    server.freeze()
    try:
        longest = 0.0
        for _ in range(20):
            began = time.monotonic()
            with pytest.raises(ClusterUnavailable):
                await one.nodes()
            longest = max(longest, time.monotonic() - began)
        # One waits for its time-out, the others are refused at once.
        assert 0.3 < longest < 2.5
    finally:
        server.thaw()
    await works(one.nodes)
    assert [node.id for node in await one.nodes()] in (["a"], [])


async def test_a_redis_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match="Redis does not answer"):
        await RedisCluster.open(f"unix://{tmp_path}/nobody.sock", timeout_s=0.5)
