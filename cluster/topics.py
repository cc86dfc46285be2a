"""Subscriptions of this process: a bounded queue for each, by topic."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from cluster.api import MESSAGE_BYTES, check_name
from cluster.errors import MessageTooLarge


class QueuedSubscription:
    """Messages of one topic in a bounded queue; made by `Topics.subscribe`."""

    def __init__(self, topic: str, limit: int, closed: Callable[["QueuedSubscription"], None]) -> None:
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


class Topics:
    """Everybody in this process who listens to something. Belongs to one event loop."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[QueuedSubscription]] = {}

    def subscribe(self, topic: str, limit: int) -> QueuedSubscription:
        """Receive what is delivered from now on.

        Raises: InvalidTopic.
        """
        subscription = QueuedSubscription(check_name(topic), limit, self._forget)
        self._subscriptions.setdefault(topic, []).append(subscription)
        return subscription

    def deliver(self, topic: str, message: bytes) -> None:
        """Give a message to everybody who listens to its topic.

        Raises: InvalidTopic, MessageTooLarge.
        """
        if len(message) > MESSAGE_BYTES:
            raise MessageTooLarge(f"a message of {len(message)} bytes: at most {MESSAGE_BYTES}")
        for subscription in self._subscriptions.get(check_name(topic), []):
            subscription.put(message)

    def close(self) -> None:
        """End every subscription. Idempotent."""
        for subscriptions in list(self._subscriptions.values()):
            for subscription in list(subscriptions):
                subscription.close()

    def _forget(self, subscription: QueuedSubscription) -> None:
        present = self._subscriptions.get(subscription.topic, [])
        if subscription in present:
            present.remove(subscription)
        if not present:
            self._subscriptions.pop(subscription.topic, None)
