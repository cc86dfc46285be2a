"""JSON-RPC in msgpack over one WebSocket to a Parley server, as docs/protocol.md says."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import aiohttp
import msgspec

_SUBPROTOCOL: Final = "parley.v1.msgpack"
_LONGEST_MESSAGE: Final = 1 << 20
_ANSWERS_WITHIN_S: Final = 20.0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class CallRefused(Exception):
    """The server said no; the text holds its reason."""


class Rpc:
    """One connection. Made by `open`; answers come while somebody iterates `notifications`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.failure = ""
        """Why it ended, for whoever still asks; empty while all is well."""

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str) -> Self:
        """Connect to the server at a URL."""
        return cls(
            await http.ws_connect(f"{url}/v1/rtc", protocols=(_SUBPROTOCOL,), max_msg_size=_LONGEST_MESSAGE)
        )

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._socket.closed

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """One request, and its result.

        Raises:
            CallRefused: the server's error, or it went away.
            TimeoutError: no answer in 20 s.
        """
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(number, method, params)
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                return await answer
        finally:
            self._waiting.pop(number, None)

    async def send(self, method: str, params: dict[str, Any]) -> None:
        """One request whose answer nobody waits for.

        Raises:
            CallRefused: the server went away.
        """
        await self._send(next(self._numbers), method, params)

    async def notifications(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """What the server says by itself, method and params, until the connection ends."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            said = _decode(message.data)
            if "method" in said:
                yield said["method"], said["params"]
            else:
                self._settle(said)

    def end(self) -> None:
        """Nobody iterates any more: who still waits is told why."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(CallRefused(self.failure or "the server closed the connection"))

    async def close(self) -> None:
        """End the connection. Idempotent."""
        await self._socket.close()

    async def _send(self, number: int, method: str, params: dict[str, Any]) -> None:
        if self._socket.closed:
            raise CallRefused(f"{method}: the connection is closed: {self.failure or 'by the server'}")
        await self._socket.send_bytes(
            _encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        )

    def _settle(self, said: dict[str, Any]) -> None:
        answer = self._waiting.get(said["id"])
        if answer is None or answer.done():
            return
        if "error" in said:
            data = said["error"].get("data") or {}
            answer.set_exception(CallRefused(f"{data.get('code', '')}: {data.get('reason', said['error'])}"))
        else:
            answer.set_result(said["result"])
