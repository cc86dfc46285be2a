"""One person at a Parley server: WebSocket, join, publish, subscribe, as docs/protocol.md says."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import msgspec

from bench import descriptions, plan
from bench.line import Line, LineLost
from bench.node import Node
from bench.steps import JoinSteps
from sfu.transport import DtlsIdentity

_SUBPROTOCOL: Final = "parley.v1.msgpack"
_ANSWERS_WITHIN_S: Final = 20.0
_NOTICE_S: Final = 0.05
_NOTICE_TRIES: Final = 20
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class CallRefused(Exception):
    """The server said no; the text holds its reason."""


class Caller:
    """A `Seat` in a room of Parley. Made by `enter`."""

    def __init__(
        self,
        node: Node,
        identity: DtlsIdentity,
        socket: aiohttp.ClientWebSocketResponse,
        left: Callable[[], None],
    ) -> None:
        self._left = left
        self.steps = JoinSteps()
        self.publishing: Line | None = None
        self.watching: Line | None = None
        self._node = node
        self._identity = identity
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._sections = 0
        self._wanted_sections = 0
        self._ready = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._is_connected = False
        self.failure = ""
        """Why the person is no longer there; empty while all is well."""

    @classmethod
    async def enter(
        cls,
        node: Node,
        identity: DtlsIdentity,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        *,
        publishes: bool,
        left: Callable[[], None] = lambda: None,
    ) -> "Caller":
        """Join, and publish if wanted; what the server offers is accepted and connected meanwhile.

        `left` is called when the person has gone.

        Raises:
            CallRefused, LineLost: with the server's reason.
        """
        socket = await http.ws_connect(f"{url}/v1/rtc", protocols=(_SUBPROTOCOL,), max_msg_size=1 << 20)
        caller = cls(node, identity, socket, left)
        caller._reader = node.tasks.start(caller._read(), "caller")
        try:
            caller.steps.called = time.monotonic_ns()
            client = {"name": "parley-bench", "version": "1"}
            joined = await caller._call("join", {"token": token, "client": client})
            caller.steps.answered = time.monotonic_ns()
            if joined["notice"] is not None:
                await caller._call("acknowledge", {"notice": joined["notice"]["notice"]})
            if publishes:
                await caller._publish()
        except BaseException:
            await caller.leave()
            raise
        return caller

    async def watch_others(self, count: int) -> None:
        """Wait until sound and picture of so many others are negotiated and connected.

        Raises:
            LineLost: it does not come about in 20 s; says why.
        """
        self._wanted_sections = 2 * count
        self._ready.clear()
        self._look()
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await self._ready.wait()
        except TimeoutError as error:
            raise LineLost(f"{self._sections} of {self._wanted_sections} tracks offered in time") from error
        if self.failure:
            raise LineLost(self.failure)

    async def leave(self) -> None:
        """Leave the room and close both connections. Idempotent."""
        if self._is_leaving:
            return
        self._is_leaving = True
        try:
            if not self._socket.closed:
                await self._call("leave", {})
        except (CallRefused, TimeoutError, ConnectionError):
            pass
        finally:
            for line in (self.publishing, self.watching):
                if line is not None:
                    await line.close()
            await self._socket.close()
            if self._reader is not None:
                await asyncio.wait({self._reader})
            self._left()

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """One request of the protocol, and its result.

        Raises:
            CallRefused: the server's error, or it went away.
            TimeoutError: no answer in 20 s.
        """
        return await self._call(method, params)

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._send(number, method, params)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                return await answer
        finally:
            self._waiting.pop(number, None)

    async def _send(self, number: int, method: str, params: dict[str, Any]) -> None:
        if self._socket.closed:
            raise CallRefused(f"{method}: the connection is closed: {self.failure or 'by the server'}")
        await self._socket.send_bytes(
            _encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        )

    async def _acknowledge(self, notice: dict[str, Any]) -> None:
        await self._send(next(self._numbers), "acknowledge", {"notice": notice["notice"]})

    async def _publish(self) -> None:
        line = self.publishing = Line(self._node, self._identity)
        ssrcs = plan.audio_ssrc(line.transport), plan.video_ssrc(line.transport)
        offer = descriptions.publish_offer(line.near, ssrcs)
        sources = {descriptions.AUDIO_MID: "mic", descriptions.VIDEO_MID: "camera"}
        result = await self._permitted("publish", {"sdp": offer, "sources": sources})
        await line.connect(descriptions.far(result["sdp"]))
        await line.publish(ssrcs)

    async def _permitted(self, method: str, params: dict[str, Any]) -> Any:
        """A request that has to wait while a notice, which the reader acknowledges, is on its way."""
        for _ in range(_NOTICE_TRIES):
            try:
                return await self._call(method, params)
            except CallRefused as error:
                if not str(error).startswith("notice_required"):
                    raise
                await asyncio.sleep(_NOTICE_S)
        return await self._call(method, params)

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.BINARY:
                    continue
                said = _decode(message.data)
                if "method" not in said:
                    self._settle(said)
                elif said["method"] == "subscribe_offer":
                    await self._take_offer(said["params"])
                elif said["method"] == "notice":
                    await self._acknowledge(said["params"])
                elif said["method"] in {"removed", "room_closed", "peer_closed", "goaway"}:
                    self.failure = f"{said['method']}: {said['params'].get('reason', '')}"
        except (LineLost, descriptions.NoWay, CallRefused) as error:
            self.failure = str(error)
        finally:
            self._ready.set()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(CallRefused(self.failure or "the server closed the connection"))

    def _settle(self, said: dict[str, Any]) -> None:
        answer = self._waiting.get(said["id"])
        if answer is None or answer.done():
            return
        if "error" in said:
            data = said["error"].get("data") or {}
            answer.set_exception(CallRefused(f"{data.get('code', '')}: {data.get('reason', said['error'])}"))
        else:
            answer.set_result(said["result"])

    async def _take_offer(self, params: dict[str, Any]) -> None:
        is_first = self.watching is None
        if is_first:
            self.steps.offered = time.monotonic_ns()
        line = self.watching = self.watching or Line(self._node, self._identity)
        await self._send(
            next(self._numbers),
            "subscribe_answer",
            {
                "version": params["version"],
                "sdp": descriptions.answer(line.near, params["sdp"], with_rtx=self._node.loss > 0),
            },
        )
        self._sections = len(params["tracks"])
        if is_first:
            self.steps.replied = time.monotonic_ns()
            # Beside the reading: an offer that follows is answered while this one connects.
            self._node.tasks.start(self._connect(line, params["sdp"]), f"connect {line.transport}")
        else:
            self._look()

    async def _connect(self, line: Line, sdp: str) -> None:
        try:
            await line.connect(descriptions.far(sdp), self.steps)
        except (LineLost, descriptions.NoWay) as error:
            self.failure = str(error)
            self._ready.set()
            return
        self._is_connected = True
        self._look()

    def _look(self) -> None:
        if self.failure or (self._is_connected and self._sections >= self._wanted_sections):
            self._ready.set()
