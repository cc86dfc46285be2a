"""The cluster of one process keeps the promises that a shared one will have to keep."""

import asyncio

import pytest

import cluster
from cluster import MESSAGE_BYTES, InvalidTopic, LocalCluster, MessageTooLarge, Node


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def local(time: Time) -> LocalCluster:
    return LocalCluster(ttl_s=10, monotonic=time)


async def test_a_node_lives_while_it_announces_itself(local: LocalCluster, time: Time) -> None:
    await local.announce(Node(id="b"))
    await local.announce(Node(id="a"))
    assert [node.id for node in await local.nodes()] == ["a", "b"]
    time.now = 9
    await local.announce(Node(id="a", load=0.5))
    time.now = 11
    assert await local.nodes() == (Node(id="a", load=0.5),)
    await local.withdraw("a")
    await local.withdraw("never was")
    assert await local.nodes() == ()


async def test_a_room_has_one_home_until_it_is_released_or_its_node_is_gone(
    local: LocalCluster, time: Time
) -> None:
    await local.announce(Node(id="a"))
    await local.announce(Node(id="b"))
    assert await local.claim("room", "a") == "a"
    assert await local.claim("room", "b") == "a"
    await local.release("room", "b")
    assert await local.home("room") == "a"
    await local.release("room", "a")
    assert await local.home("room") is None
    assert await local.claim("room", "b") == "b"
    time.now = 11
    await local.announce(Node(id="a"))
    assert await local.claim("room", "a") == "a"
    await local.withdraw("a")
    assert await local.home("room") is None


async def test_a_new_room_goes_to_the_least_loaded_node_that_does_not_drain(local: LocalCluster) -> None:
    assert await local.choose() is None
    await local.announce(Node(id="a", load=0.1, is_draining=True))
    await local.announce(Node(id="b", load=0.7))
    await local.announce(Node(id="c", load=0.3))
    chosen = await local.choose()
    assert chosen is not None
    assert chosen.id == "c"


async def test_messages_reach_those_who_subscribed_before_in_order(local: LocalCluster) -> None:
    early = local.subscribe("topic")
    assert await local.publish("topic", b"1") == 1
    late = local.subscribe("topic")
    assert await local.publish("topic", b"2") == 2
    assert await local.publish("other", b"3") == 0
    await local.close()
    assert [message async for message in early] == [b"1", b"2"]
    assert [message async for message in late] == [b"2"]


async def test_a_slow_subscriber_loses_the_oldest_and_is_told_how_many(local: LocalCluster) -> None:
    slow = local.subscribe("topic", limit=2)
    for number in range(5):
        await local.publish("topic", bytes([number]))
    slow.close()
    assert [message async for message in slow] == [b"\x03", b"\x04"]
    assert slow.dropped == 3
    slow.close()
    assert await local.publish("topic", b"") == 0


async def test_a_waiting_subscriber_is_woken(local: LocalCluster) -> None:
    subscription = local.subscribe("topic")
    reading = asyncio.get_running_loop().create_task(anext(aiter(subscription)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await local.publish("topic", b"now")
    assert await reading == b"now"


@pytest.mark.parametrize("name", ["", "a*", "a b", "a\nb", "x" * 129, "ünï"])
async def test_names_that_would_be_patterns_or_injections_are_refused(local: LocalCluster, name: str) -> None:
    for work in (
        local.publish(name, b""),
        local.claim(name, "a"),
        local.announce(Node(id=name)),
    ):
        with pytest.raises(InvalidTopic):
            await work
    with pytest.raises(InvalidTopic):
        local.subscribe(name)


async def test_a_message_over_the_limit_is_refused(local: LocalCluster) -> None:
    await local.publish("topic", b"x" * MESSAGE_BYTES)
    with pytest.raises(MessageTooLarge):
        await local.publish("topic", b"x" * (MESSAGE_BYTES + 1))


def test_everything_the_facade_names_is_there() -> None:
    assert all(hasattr(cluster, name) for name in cluster.__all__)
