"""Fuzz target: what others may have written into Redis: a message of the bus, the state of a node."""

import msgspec
from redis.asyncio import Redis

from cluster.shared import RedisCluster, _nodes
from tests.fuzz import harness

_TOPIC = "room"


def one_input(data: bytes) -> None:
    cluster = RedisCluster(Redis(), "parley", 10.0)
    cluster.subscribe(_TOPIC)
    cluster._take(data)
    before = cluster.undecodable
    cluster._take(msgspec.msgpack.encode((b"another", _TOPIC, data)))
    if cluster.undecodable != before:
        raise AssertionError("a whole message was not taken")
    for node in _nodes([data, None]):
        assert isinstance(node.id, str)
        assert isinstance(node.load, float)


if __name__ == "__main__":
    harness.run(one_input)
