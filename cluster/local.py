"""The cluster of one process: the same promises as a shared one, without a service."""

import time
from collections.abc import Callable

from cluster.api import Node, Subscription, check_name
from cluster.topics import Topics


class LocalCluster:
    """Node registry, placement and bus in memory. Belongs to one event loop.

    A node that did not announce itself for `ttl_s` is gone, and so is its claim to rooms.
    """

    def __init__(self, *, ttl_s: float = 10.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._nodes: dict[str, tuple[Node, float]] = {}
        self._homes: dict[str, str] = {}
        self._claims: dict[str, set[str]] = {}
        self._topics = Topics()

    async def announce(self, node: Node) -> frozenset[str]:
        """Be alive, with this state, until the time to live has passed; its rooms that others took meanwhile.

        Raises: InvalidTopic when the id is none.
        """
        self._nodes[check_name(node.id)] = (node, self._monotonic() + self._ttl_s)
        mine = self._claims.get(node.id, set())
        lost = frozenset(room for room in mine if self._homes.get(room) != node.id)
        mine -= lost
        return lost

    async def withdraw(self, node_id: str) -> None:
        """Be gone; the node's rooms are free for others."""
        self._nodes.pop(node_id, None)
        for room in self._claims.pop(node_id, set()):
            if self._homes.get(room) == node_id:
                del self._homes[room]

    async def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, by id."""
        now = self._monotonic()
        return tuple(node for _, (node, until) in sorted(self._nodes.items()) if now < until)

    async def claim(self, room: str, node_id: str) -> str:
        """Make the node the room's home unless a living node is that already; the home's id.

        Raises: InvalidTopic.
        """
        home = await self.home(check_name(room))
        if home is None:
            home = self._homes[room] = check_name(node_id)
            self._claims.setdefault(home, set()).add(room)
        return home

    async def release(self, room: str, node_id: str) -> None:
        """Give the room up; only its home's word counts."""
        self._claims.get(node_id, set()).discard(room)
        if self._homes.get(room) == node_id:
            del self._homes[room]

    async def home(self, room: str) -> str | None:
        """The living node that is home to the room, or None."""
        home = self._homes.get(room)
        return home if home is not None and self._is_alive(home) else None

    async def choose(self) -> Node | None:
        """The least loaded living node that does not drain; None when there is none."""
        ready = [node for node in await self.nodes() if not node.is_draining]
        return min(ready, key=lambda node: (node.load, node.id), default=None)

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to every present subscriber.

        Raises: InvalidTopic, MessageTooLarge.
        """
        self._topics.deliver(topic, message)

    def subscribe(self, topic: str, *, limit: int = 256) -> Subscription:
        """Receive what is published from now on.

        Raises: InvalidTopic.
        """
        return self._topics.subscribe(topic, limit)

    async def close(self) -> None:
        """End every subscription. Idempotent."""
        self._topics.close()

    def _is_alive(self, node_id: str) -> bool:
        found = self._nodes.get(node_id)
        return found is not None and self._monotonic() < found[1]
