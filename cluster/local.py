"""The cluster of one process: the same promises as a shared one, without a service."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from cluster.api import MESSAGE_BYTES, Node, check_name
from cluster.errors import MessageTooLarge


class LocalSubscription:
    """Messages of one topic in a bounded queue; made by `LocalCluster.subscribe`."""

    def __init__(self, topic: str, limit: int, closed: Callable[["LocalSubscription"], None]) -> None:
        self.topic = topic
        self._waiting: deque[bytes] = deque()
        self._limit = max(1, limit)
        self._dropped = 0
        self._wake = asyncio.Event()
        self._is_closed = False
        self._closed = closed

    @property
    def dropped(self) -> int:
        """Messages that this consumer was too slow for."""
        return self._dropped

    def put(self, message: bytes) -> None:
        """Add a message; the oldest goes when the queue is full."""
        if len(self._waiting) >= self._limit:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(message)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._is_closed:
                return
            self._wake.clear()
            await self._wake.wait()

    def close(self) -> None:
        """End it after what waits. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._wake.set()
            self._closed(self)


class LocalCluster:
    """Node registry, placement and bus in memory. Belongs to one event loop.

    A node that did not announce itself for `ttl_s` is gone, and so is its claim to rooms.
    """

    def __init__(self, *, ttl_s: float = 10.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._nodes: dict[str, tuple[Node, float]] = {}
        self._homes: dict[str, str] = {}
        self._subscriptions: dict[str, list[LocalSubscription]] = {}

    async def announce(self, node: Node) -> None:
        """Be alive, with this state, until the time to live has passed.

        Raises: InvalidTopic when the id is none.
        """
        self._nodes[check_name(node.id)] = (node, self._monotonic() + self._ttl_s)

    async def withdraw(self, node_id: str) -> None:
        """Be gone; the node's rooms are free for others."""
        self._nodes.pop(node_id, None)
        self._homes = {room: home for room, home in self._homes.items() if home != node_id}

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
        return home

    async def release(self, room: str, node_id: str) -> None:
        """Give the room up; only its home's word counts."""
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

    async def publish(self, topic: str, message: bytes) -> int:
        """Send to every present subscriber; how many got it.

        Raises: InvalidTopic, MessageTooLarge.
        """
        if len(message) > MESSAGE_BYTES:
            raise MessageTooLarge(f"a message of {len(message)} bytes: at most {MESSAGE_BYTES}")
        present = self._subscriptions.get(check_name(topic), [])
        for subscription in present:
            subscription.put(message)
        return len(present)

    def subscribe(self, topic: str, *, limit: int = 256) -> LocalSubscription:
        """Receive what is published from now on.

        Raises: InvalidTopic.
        """
        subscription = LocalSubscription(check_name(topic), limit, self._forget)
        self._subscriptions.setdefault(topic, []).append(subscription)
        return subscription

    async def close(self) -> None:
        """End every subscription. Idempotent."""
        for subscriptions in list(self._subscriptions.values()):
            for subscription in list(subscriptions):
                subscription.close()

    def _is_alive(self, node_id: str) -> bool:
        found = self._nodes.get(node_id)
        return found is not None and self._monotonic() < found[1]

    def _forget(self, subscription: LocalSubscription) -> None:
        present = self._subscriptions.get(subscription.topic, [])
        if subscription in present:
            present.remove(subscription)
        if not present:
            self._subscriptions.pop(subscription.topic, None)
