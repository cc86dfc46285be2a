"""Ways to reach an engine: in memory for the model, over loopback UDP or TCP for the real one."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

from sfu.engine.api import Engine
from sfu.engine.fake import FakeEngine
from sfu.engine.types import PathKind

PATIENCE_S = 5.0


async def until(
    condition: Callable[[], object], what: str = "condition", patience_s: float = PATIENCE_S
) -> None:
    """Poll a condition; fails the test when it does not come true in time."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.005)


class Wire(Protocol):
    """One remote address talking to one worker's socket, or to the TCP port of all."""

    ip: str
    port: int
    kind: PathKind

    def aim(self, port: int) -> None:
        """Talk to the worker that has this port."""
        ...

    def send(self, data: bytes) -> None: ...

    async def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        """The next datagram, or None when none comes in time."""
        ...

    def close(self) -> None: ...


class FakeWire:
    """A remote of a `FakeEngine`."""

    _next_port = 20_000

    def __init__(self, engine: FakeEngine, worker: int = 0, kind: PathKind = "udp") -> None:
        FakeWire._next_port += 1
        self.kind: PathKind = kind
        self.ip, self.port = "192.0.2.7", FakeWire._next_port
        self._engine = engine
        self._worker = worker
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        hub: dict[tuple[str, int], FakeWire] | None = getattr(engine, "_test_hub", None)
        if hub is None:
            hub = {}
            engine._test_hub = hub  # type: ignore[attr-defined]
            engine.on_send = lambda worker, sock, ip, port, data, kind: self._deliver(hub, ip, port, data)
        self._hub = hub
        hub[self.ip, self.port] = self

    @staticmethod
    def _deliver(hub: dict[tuple[str, int], "FakeWire"], ip: str, port: int, data: bytes) -> None:
        target = hub.get((ip, port))
        if target is not None:
            target._inbox.put_nowait(data)

    def aim(self, port: int) -> None:
        if self.kind == "tcp":
            return
        workers = range(self._engine.workers)
        self._worker = next(w for w in workers if port in [p for _, p in self._engine.addresses(w)])

    def send(self, data: bytes) -> None:
        self._engine.receive(self._worker, 0, self.ip, self.port, data, self.kind)

    async def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def close(self) -> None:
        self._hub.pop((self.ip, self.port), None)
        if self.kind == "tcp":
            self._engine.disconnect(self.ip, self.port)


class UdpWire:
    """A remote of an engine that has real sockets."""

    kind: PathKind = "udp"

    def __init__(self, engine: Engine, worker: int = 0, index: int = 0) -> None:
        self._target = engine.addresses(worker)[index]
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((self._target[0], 0))
        self._socket.setblocking(False)
        self.ip, self.port = self._socket.getsockname()[:2]

    def aim(self, port: int) -> None:
        self._target = (self._target[0], port)

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._target)

    async def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        # Not sock_recv: what it has read is lost when the timeout cancels it in the same turn.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            with contextlib.suppress(BlockingIOError):
                return self._socket.recv(4096)
            left_s = deadline - loop.time()
            if left_s <= 0:
                return None
            readable = asyncio.Event()
            loop.add_reader(self._socket, readable.set)
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await readable.wait()
            finally:
                loop.remove_reader(self._socket)

    def close(self) -> None:
        self._socket.close()


class TcpWire:
    """A remote that reaches an engine by its TCP port (RFC 4571 frames)."""

    kind: PathKind = "tcp"

    def __init__(self, engine: Engine, index: int = 0) -> None:
        target = engine.tcp_addresses()[index]
        self._socket = socket.create_connection(target)
        self._socket.setblocking(False)
        self._stream = b""
        self.ip, self.port = self._socket.getsockname()[:2]
        self.is_closed = False

    def aim(self, port: int) -> None:
        assert port == self._socket.getpeername()[1]

    def send(self, data: bytes) -> None:
        self.send_stream(struct.pack("!H", len(data)) + data)

    def send_stream(self, data: bytes) -> None:
        """Bytes as they are."""
        with contextlib.suppress(ConnectionError):
            assert self._socket.send(data) == len(data)

    async def receive(self, timeout_s: float = PATIENCE_S) -> bytes | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (frame := self._frame()) is None and not self.is_closed:
            left_s = deadline - loop.time()
            if left_s <= 0:
                return None
            await self._read(left_s)
        return frame

    def _frame(self) -> bytes | None:
        if len(self._stream) < 2:
            return None
        end = 2 + struct.unpack_from("!H", self._stream)[0]
        if len(self._stream) < end:
            return None
        frame, self._stream = self._stream[2:end], self._stream[end:]
        return frame

    async def _read(self, timeout_s: float) -> None:
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, readable.set)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await readable.wait()
        finally:
            loop.remove_reader(self._socket)
        with contextlib.suppress(BlockingIOError):
            try:
                data = self._socket.recv(65_536)
            except ConnectionError:
                data = b""
            self._stream += data
            self.is_closed = not data

    def close(self) -> None:
        self._socket.close()


async def drain(wire: Wire, wanted: Callable[[bytes], bool], quiet_s: float = 0.15) -> list[bytes]:
    """Every datagram that passes `wanted`, until the wire has been quiet for a while."""
    found = []
    while (data := await wire.receive(quiet_s)) is not None:
        if wanted(data):
            found.append(data)
    return found


MakeWire = Callable[[], Wire]
Cleanup = Callable[[], Awaitable[None]]
