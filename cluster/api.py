"""What rooms need of a cluster: in memory for one process, by Redis for many, under the same tests."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

from cluster.errors import InvalidTopic

MESSAGE_BYTES: Final = 65_536
"""Largest message of the bus."""

_NAME: Final = re.compile(r"[!-)+-~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server process."""

    id: str
    address: str = ""
    """Where its public HTTP interface is reached; empty for a single node."""
    load: float = 0.0
    """Share of its capacity in use, 0 to 1."""
    is_draining: bool = False
    """It takes no new rooms."""


class Subscription(Protocol):
    """Messages of one topic, for one consumer."""

    @property
    def dropped(self) -> int:
        """Messages that this consumer was too slow for."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The messages in order; ends when the subscription or the cluster closes."""
        ...

    def close(self) -> None:
        """End it. Idempotent."""
        ...


class NodeRegistry(Protocol):
    """Which nodes are alive."""

    async def announce(self, node: Node) -> frozenset[str]:
        """Be alive, with this state, until the time to live has passed; repeated as a heartbeat.

        Returns the node's rooms that others have taken because it was away for too long: it is to close them.

        Raises: InvalidTopic, ClusterUnavailable.
        """
        ...

    async def withdraw(self, node_id: str) -> None:
        """Be gone; the node's rooms are free for others. An unknown node is fine.

        Raises: ClusterUnavailable.
        """
        ...

    async def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, by id.

        Raises: ClusterUnavailable.
        """
        ...


class Placement(Protocol):
    """Which node is home to a room."""

    async def claim(self, room: str, node_id: str) -> str:
        """Make the node the room's home unless a living node is that already; the home's id.

        Raises: InvalidTopic, ClusterUnavailable.
        """
        ...

    async def release(self, room: str, node_id: str) -> None:
        """Give the room up; only its home's word counts.

        Raises: ClusterUnavailable; others have to wait for the time to live then.
        """
        ...

    async def home(self, room: str) -> str | None:
        """The living node that is home to the room, or None.

        Raises: ClusterUnavailable.
        """
        ...

    async def choose(self) -> Node | None:
        """The living node that should take a new room: the least loaded that does not drain.

        None when there is none.

        Raises: ClusterUnavailable.
        """
        ...


class Bus(Protocol):
    """Messages between nodes: at most once, in order from each publisher."""

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to every present subscriber.

        Raises: InvalidTopic, MessageTooLarge; ClusterUnavailable when only those of this process got it.
        """
        ...

    def subscribe(self, topic: str, *, limit: int = 256) -> Subscription:
        """Receive what is published from now on.

        Overflow rule: the oldest waiting message is dropped and counted.

        Raises: InvalidTopic.
        """
        ...


class Cluster(NodeRegistry, Placement, Bus, Protocol):
    """All three, as one object that the server makes and closes."""

    async def close(self) -> None:
        """End every subscription. Idempotent."""
        ...


def check_name(name: str) -> str:
    """`name`, when it may be a topic, a node id or a room id.

    Raises: InvalidTopic.
    """
    if not _NAME.fullmatch(name):
        raise InvalidTopic(f"{name[:40]!r} is not a name of 1 to 128 visible ASCII characters without '*'")
    return name
