"""The cluster of many processes, by Redis: a lease for each node and each room, one channel for the bus.

What lies in Redis: `<prefix>:nodes` (ids that were announced), `<prefix>:node:<id>` (a node's state, which
expires), `<prefix>:home:<room>` (a room's home, which expires), and the channel `<prefix>:bus`. Expiry runs
on Redis's clock alone. A Redis that comes back empty is filled again by the next heartbeats.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, Self, TypeVar, cast

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cluster.api import MESSAGE_BYTES, Node, Subscription, check_name
from cluster.errors import ClusterError, ClusterUnavailable, MessageTooLarge
from cluster.topics import Topics
from media.tasks import TaskScope

T = TypeVar("T")
_log = structlog.get_logger("cluster")
_REST_S: Final = 1.0
"""After a failure everything is refused at once for so long, instead of waiting for a timeout again."""
_LISTEN_S: Final = 5.0
_RETRY_FIRST_S: Final = 0.2
_RETRY_MOST_S: Final = 5.0
_CONNECTIONS: Final = 64
_MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_CLAIM: Final = """
local home = redis.call('GET', KEYS[1])
if home and home ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. home) == 1 then return home end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_KEEP: Final = """
local lost = {}
for number, key in ipairs(KEYS) do
  local home = redis.call('GET', key)
  if home and home ~= ARGV[1] then lost[#lost + 1] = number
  else redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
end
return lost
"""
_RELEASE: Final = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
"""


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    """One message of the bus as it travels."""

    origin: bytes
    """Who sent it: their own subscribers have had it."""
    topic: str
    message: bytes


class RedisCluster:
    """Node registry, placement and bus by Redis. Belongs to one event loop; made by `open`, ended by `close`.

    While Redis does not answer, everything but the bus within this process raises `ClusterUnavailable` within
    `timeout_s`; it heals by itself. Scripts are fixed; what comes from outside is a key or an argument.
    """

    def __init__(self, client: "Redis", prefix: str, ttl_s: float) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl_ms = round(ttl_s * 1000)
        self._origin = secrets.token_bytes(16)
        self._topics = Topics()
        self._claims: dict[str, set[str]] = {}
        self._rests_until = 0.0
        self._is_failing = False
        self._scope = TaskScope("cluster")
        self._claim = client.register_script(_CLAIM)
        self._keep = client.register_script(_KEEP)
        self._release = client.register_script(_RELEASE)
        self.undecodable = 0
        """Messages of the bus that were none."""

    @classmethod
    async def open(
        cls, url: str, *, prefix: str = "parley", ttl_s: float = 10.0, timeout_s: float = 1.0
    ) -> Self:
        """Connect, and listen to the bus.

        Raises: ClusterUnavailable when Redis does not answer; ValueError for a URL that is none.
        """
        client = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            max_connections=_CONNECTIONS,
            protocol=2,
        )
        made = cls(client, prefix, ttl_s)
        await made._scope.open()
        listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            await made._ask(client.ping)
            made._scope.start(made._listen(listening), "bus")
            async with asyncio.timeout(timeout_s):
                await listening
        except (ClusterUnavailable, TimeoutError) as error:
            await made.close()
            raise ClusterUnavailable(f"Redis does not answer: {error or 'no subscription'}") from error
        except BaseException:
            await made.close()
            raise
        return made

    # Nodes

    async def announce(self, node: Node) -> frozenset[str]:
        """Be alive, with this state, until the time to live has passed; its rooms that others took meanwhile.

        Raises: InvalidTopic when the id is none; ClusterUnavailable.
        """
        check_name(node.id)
        state = msgspec.json.encode(node)
        rooms = sorted(self._claims.get(node.id, ()))
        keys = [self._home(room) for room in rooms]

        async def work() -> list[int]:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.set(self._node(node.id), state, px=self._ttl_ms)
                pipe.sadd(f"{self._prefix}:nodes", node.id)
                await pipe.execute()
            return await self._keep(keys=keys, args=[node.id, self._ttl_ms]) if keys else []

        lost = frozenset(rooms[number - 1] for number in await self._ask(work))
        self._claims.get(node.id, set()).difference_update(lost)
        return lost

    async def withdraw(self, node_id: str) -> None:
        """Be gone; the node's rooms are free for others.

        Raises: ClusterUnavailable.
        """
        keys = [self._home(room) for room in self._claims.pop(node_id, ())]

        async def work() -> None:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.delete(self._node(node_id))
                pipe.srem(f"{self._prefix}:nodes", node_id)
                await pipe.execute()
            if keys:
                await self._release(keys=keys, args=[node_id])

        await self._ask(work)

    async def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, by id.

        Raises: ClusterUnavailable.
        """

        async def work() -> list[bytes | None]:
            ids = sorted(await cast("Awaitable[set[bytes]]", self._client.smembers(f"{self._prefix}:nodes")))
            if not ids:
                return []
            keys = [self._node(name.decode()) for name in ids]
            states = cast("list[bytes | None]", await self._client.mget(keys))
            gone = [name for name, state in zip(ids, states, strict=True) if state is None]
            if gone:
                await self._client.srem(f"{self._prefix}:nodes", *gone)
            return states

        return tuple(_nodes(await self._ask(work)))

    async def choose(self) -> Node | None:
        """The least loaded living node that does not drain; None when there is none.

        Raises: ClusterUnavailable.
        """
        ready = [node for node in await self.nodes() if not node.is_draining]
        return min(ready, key=lambda node: (node.load, node.id), default=None)

    # Rooms

    async def claim(self, room: str, node_id: str) -> str:
        """Make the node the room's home unless a living node is that already; the home's id.

        Raises: InvalidTopic, ClusterUnavailable.
        """
        key, node_id = self._home(check_name(room)), check_name(node_id)
        home: bytes = await self._ask(
            lambda: self._claim(keys=[key], args=[node_id, self._ttl_ms, self._node("")])
        )
        if home.decode() == node_id:
            self._claims.setdefault(node_id, set()).add(room)
        return home.decode()

    async def release(self, room: str, node_id: str) -> None:
        """Give the room up; only its home's word counts.

        Raises: ClusterUnavailable; the lease ends by itself then.
        """
        self._claims.get(node_id, set()).discard(room)
        await self._ask(lambda: self._release(keys=[self._home(room)], args=[node_id]))

    async def home(self, room: str) -> str | None:
        """The living node that is home to the room, or None.

        Raises: ClusterUnavailable.
        """

        async def work() -> str | None:
            home = cast("bytes | None", await self._client.get(self._home(room)))
            if home is None or not await self._client.exists(self._node(home.decode())):
                return None
            return home.decode()

        return await self._ask(work)

    # The bus

    async def publish(self, topic: str, message: bytes) -> None:
        """Send to every present subscriber: those of this process at once.

        Raises: InvalidTopic, MessageTooLarge; ClusterUnavailable when only those of this process got it.
        """
        self._topics.deliver(topic, message)
        envelope = msgspec.msgpack.encode(_Envelope(self._origin, topic, message))
        await self._ask(lambda: self._client.publish(f"{self._prefix}:bus", envelope))

    def subscribe(self, topic: str, *, limit: int = 256) -> Subscription:
        """Receive what is published from now on.

        Raises: InvalidTopic.
        """
        return self._topics.subscribe(topic, limit)

    async def close(self) -> None:
        """End every subscription and connection. Idempotent."""
        self._topics.close()
        await self._scope.close()
        with suppress(RedisError, OSError):
            await self._client.aclose()

    # Inside

    def _node(self, node_id: str) -> str:
        return f"{self._prefix}:node:{node_id}"

    def _home(self, room: str) -> str:
        return f"{self._prefix}:home:{room}"

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Carry out commands; a Redis that failed just now is not asked.

        Raises: ClusterUnavailable.
        """
        if time.monotonic() < self._rests_until:
            raise ClusterUnavailable("Redis does not answer: try again soon")
        try:
            answer = await work()
        except (RedisError, OSError, TimeoutError) as error:
            self._rests_until = time.monotonic() + _REST_S
            if not self._is_failing:
                _log.error("cluster_unavailable", reason=type(error).__name__)
            self._is_failing = True
            raise ClusterUnavailable(f"Redis does not answer: {type(error).__name__}") from error
        if self._is_failing:
            self._is_failing = False
            _log.info("cluster_recovered")
        return answer

    async def _listen(self, listening: "asyncio.Future[None]") -> None:
        """Read the bus for ever; a lost connection is made again, without what was sent meanwhile."""
        pause_s = _RETRY_FIRST_S
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as bus:
                    await bus.subscribe(f"{self._prefix}:bus")
                    while True:
                        message = await bus.get_message(timeout=_LISTEN_S)
                        if not listening.done():
                            listening.set_result(None)
                        pause_s = _RETRY_FIRST_S
                        if message is not None:
                            self._take(message["data"])
            except (RedisError, OSError) as error:
                _log.warning("cluster_bus_lost", reason=type(error).__name__)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_MOST_S)

    def _take(self, data: object) -> None:
        """One message of the channel, which anybody with access to Redis can write to."""
        try:
            envelope = msgspec.msgpack.decode(cast("bytes", data), type=_Envelope)
            if len(envelope.message) > MESSAGE_BYTES:
                raise MessageTooLarge(str(len(envelope.message)))
            if envelope.origin != self._origin:
                self._topics.deliver(envelope.topic, envelope.message)
        except (*_MALFORMED, ClusterError, TypeError):
            self.undecodable += 1


def _nodes(states: Iterable[bytes | None]) -> Iterable[Node]:
    for state in states:
        if state is not None:
            # Of another version, or of somebody else's making: no node that could be talked to.
            with suppress(*_MALFORMED):
                yield msgspec.json.decode(state, type=Node)
