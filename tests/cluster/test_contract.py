"""The cluster of one process and the one of many, by a real Redis, keep the same promises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import cluster
from cluster import MESSAGE_BYTES, Cluster, InvalidTopic, LocalCluster, MessageTooLarge, Node, RedisCluster
from tests.support.redis_server import redis_server

TTL_S = 1.5
"""Of Redis's, in which time passes by itself."""
KINDS = ("local", "redis")


class Rig:
    """A cluster, and time that passes in units of its time to live."""

    def __init__(self, made: Cluster, wait: Callable[[float], Awaitable[None]]) -> None:
        self.cluster = made
        self.wait = wait


@pytest.fixture(params=KINDS)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Each cluster in turn."""
    async with AsyncExitStack() as stack:
        if request.param == "local":
            now = 0.0

            async def jump(ttls: float) -> None:
                nonlocal now
                now += 10 * ttls

            made: Cluster = LocalCluster(ttl_s=10, monotonic=lambda: now)
            yield Rig(made, jump)
        else:
            server = await stack.enter_async_context(redis_server(tmp_path))
            made = await RedisCluster.open(server.url, ttl_s=TTL_S)
            stack.push_async_callback(made.close)
            yield Rig(made, lambda ttls: asyncio.sleep(TTL_S * ttls))
        await made.close()


@pytest.fixture
def shared(rig: Rig) -> Cluster:
    return rig.cluster


async def test_a_node_lives_while_it_announces_itself(rig: Rig) -> None:
    shared = rig.cluster
    await shared.announce(Node(id="b"))
    await shared.announce(Node(id="a"))
    assert [node.id for node in await shared.nodes()] == ["a", "b"]
    await rig.wait(0.7)
    await shared.announce(Node(id="a", load=0.5))
    await rig.wait(0.4)
    assert await shared.nodes() == (Node(id="a", load=0.5),)
    await shared.withdraw("a")
    await shared.withdraw("never was")
    assert await shared.nodes() == ()


async def test_a_room_has_one_home_until_it_is_released_or_its_node_is_gone(
    rig: Rig,
) -> None:
    shared = rig.cluster
    await shared.announce(Node(id="a"))
    await shared.announce(Node(id="b"))
    assert await shared.claim("room", "a") == "a"
    assert await shared.claim("room", "b") == "a"
    await shared.release("room", "b")
    assert await shared.home("room") == "a"
    await shared.release("room", "a")
    assert await shared.home("room") is None
    assert await shared.claim("room", "b") == "b"
    await rig.wait(1.1)
    await shared.announce(Node(id="a"))
    assert await shared.claim("room", "a") == "a"
    await shared.withdraw("a")
    assert await shared.home("room") is None


async def test_a_node_that_was_away_for_too_long_learns_what_others_took(rig: Rig) -> None:
    shared = rig.cluster
    await shared.announce(Node(id="a"))
    await shared.claim("taken", "a")
    await shared.claim("kept", "a")
    assert await shared.announce(Node(id="a")) == frozenset()
    await rig.wait(1.1)
    await shared.announce(Node(id="b"))
    assert await shared.claim("taken", "b") == "b"
    assert await shared.announce(Node(id="a")) == {"taken"}
    assert await shared.announce(Node(id="a")) == frozenset()
    assert await shared.home("taken") == "b"
    assert await shared.home("kept") == "a"
    assert await shared.claim("kept", "b") == "a"


async def test_a_heartbeat_keeps_rooms_for_as_long_as_it_beats(rig: Rig) -> None:
    shared = rig.cluster
    await shared.announce(Node(id="a"))
    await shared.claim("room", "a")
    for _ in range(4):
        await rig.wait(0.5)
        assert await shared.announce(Node(id="a")) == frozenset()
        await shared.announce(Node(id="b"))
    assert await shared.claim("room", "b") == "a"


async def test_a_new_room_goes_to_the_least_loaded_node_that_does_not_drain(shared: Cluster) -> None:
    assert await shared.choose() is None
    await shared.announce(Node(id="a", load=0.1, is_draining=True))
    await shared.announce(Node(id="b", load=0.7))
    await shared.announce(Node(id="c", load=0.3))
    chosen = await shared.choose()
    assert chosen is not None
    assert chosen.id == "c"


async def test_messages_reach_those_who_subscribed_before_in_order(shared: Cluster) -> None:
    early = shared.subscribe("topic")
    await shared.publish("topic", b"1")
    late = shared.subscribe("topic")
    await shared.publish("topic", b"2")
    await shared.publish("other", b"3")
    await shared.close()
    assert [message async for message in early] == [b"1", b"2"]
    assert [message async for message in late] == [b"2"]


async def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many(shared: Cluster) -> None:
    slow = shared.subscribe("topic", limit=2)
    for number in range(5):
        await shared.publish("topic", bytes([number]))
    slow.close()
    assert [message async for message in slow] == [b"\x03", b"\x04"]
    assert slow.dropped == 3
    slow.close()
    await shared.publish("topic", b"")
    assert [message async for message in slow] == []


async def test_a_waiting_subscriber_is_woken(shared: Cluster) -> None:
    subscription = shared.subscribe("topic")
    reading = asyncio.get_running_loop().create_task(anext(aiter(subscription)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await shared.publish("topic", b"now")
    assert await reading == b"now"


@pytest.mark.parametrize("name", ["", "a*", "a b", "a\nb", "x" * 129, "ünï"])
async def test_names_that_would_be_patterns_or_injections_are_refused(shared: Cluster, name: str) -> None:
    for work in (
        shared.publish(name, b""),
        shared.claim(name, "a"),
        shared.announce(Node(id=name)),
    ):
        with pytest.raises(InvalidTopic):
            await work
    with pytest.raises(InvalidTopic):
        shared.subscribe(name)


async def test_a_message_over_the_limit_is_refused(shared: Cluster) -> None:
    await shared.publish("topic", b"x" * MESSAGE_BYTES)
    with pytest.raises(MessageTooLarge):
        await shared.publish("topic", b"x" * (MESSAGE_BYTES + 1))


def test_everything_the_facade_names_is_there() -> None:
    assert all(hasattr(cluster, name) for name in cluster.__all__)
