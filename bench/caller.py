"""One person at a Parley server: join, publish, subscribe, as docs/protocol.md says."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from bench import descriptions, plan
from bench.line import Line, LineLost
from bench.node import Node
from bench.rpc import CallRefused, Rpc
from bench.steps import JoinSteps
from sfu.transport import DtlsIdentity

_CONNECTED_WITHIN_S: Final = 20.0
_NOTICE_S: Final = 0.05
_NOTICE_TRIES: Final = 20
_ENDS: Final = frozenset({"removed", "room_closed", "peer_closed", "goaway"})


class Caller:
    """A `Seat` in a room of Parley. Made by `enter`."""

    def __init__(
        self,
        node: Node,
        identity: DtlsIdentity,
        rpc: Rpc,
        left: Callable[[], None],
    ) -> None:
        self._left = left
        self.steps = JoinSteps()
        self.publishing: Line | None = None
        self.watching: Line | None = None
        self._node = node
        self._identity = identity
        self._rpc = rpc
        self._sections = 0
        self._videos: list[int] = []
        self._wanted_sections = 0
        self._ready = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._is_connected = False

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
        rpc = await Rpc.open(http, url)
        caller = cls(node, identity, rpc, left)
        caller._reader = node.tasks.start(caller._read(), "caller")
        try:
            caller.steps.called = time.monotonic_ns()
            client = {"name": "parley-bench", "version": "1"}
            joined = await rpc.call("join", {"token": token, "client": client})
            caller.steps.answered = time.monotonic_ns()
            if joined["notice"] is not None:
                await rpc.call("acknowledge", {"notice": joined["notice"]["notice"]})
            if publishes:
                await caller._publish()
        except BaseException:
            await caller.leave()
            raise
        return caller

    async def watch_others(self, count: int) -> None:
        """Wait until sound and picture of so many others are negotiated and connected.

        Where cameras have several encodings, the size of one is asked for then.

        Raises:
            LineLost: it does not come about in 20 s; says why.
        """
        self._wanted_sections = 2 * count
        self._ready.clear()
        self._look()
        try:
            async with asyncio.timeout(_CONNECTED_WITHIN_S):
                await self._ready.wait()
        except TimeoutError as error:
            raise LineLost(f"{self._sections} of {self._wanted_sections} tracks offered in time") from error
        if self._rpc.failure:
            raise LineLost(self._rpc.failure)
        if height := self._node.next_height():
            for track in self._videos:
                await self._rpc.send("subscription", {"track": track, "enabled": True, "height": height})

    async def leave(self) -> None:
        """Leave the room and close both connections. Idempotent."""
        if self._is_leaving:
            return
        self._is_leaving = True
        try:
            if not self._rpc.is_closed:
                await self._rpc.call("leave", {})
        except (CallRefused, TimeoutError, ConnectionError):
            pass
        finally:
            for line in (self.publishing, self.watching):
                if line is not None:
                    await line.close()
            await self._rpc.close()
            if self._reader is not None:
                await asyncio.wait({self._reader})
            self._left()

    async def _publish(self) -> None:
        line = self.publishing = Line(self._node, self._identity)
        ssrcs = plan.audio_ssrc(line.transport), plan.video_ssrc(line.transport)
        offer = descriptions.publish_offer(line.near, ssrcs, self._node.terms)
        sources = {descriptions.AUDIO_MID: "mic", descriptions.VIDEO_MID: "camera"}
        result = await self._permitted("publish", {"sdp": offer, "sources": sources})
        await line.connect(descriptions.far(result["sdp"]))
        await line.publish(ssrcs)

    async def _permitted(self, method: str, params: dict[str, Any]) -> Any:
        """A request that has to wait while a notice, which the reader acknowledges, is on its way."""
        for _ in range(_NOTICE_TRIES):
            try:
                return await self._rpc.call(method, params)
            except CallRefused as error:
                if not str(error).startswith("notice_required"):
                    raise
                await asyncio.sleep(_NOTICE_S)
        return await self._rpc.call(method, params)

    async def _read(self) -> None:
        try:
            async for method, params in self._rpc.notifications():
                if method == "subscribe_offer":
                    await self._take_offer(params)
                elif method == "notice":
                    await self._rpc.send("acknowledge", {"notice": params["notice"]})
                elif method in _ENDS:
                    self._rpc.failure = f"{method}: {params.get('reason', '')}"
        except (LineLost, descriptions.NoWay, CallRefused) as error:
            self._rpc.failure = str(error)
        finally:
            self._ready.set()
            self._rpc.end()

    async def _take_offer(self, params: dict[str, Any]) -> None:
        is_first = self.watching is None
        if is_first:
            self.steps.offered = time.monotonic_ns()
        line = self.watching = self.watching or Line(self._node, self._identity)
        await self._rpc.send(
            "subscribe_answer",
            {
                "version": params["version"],
                "sdp": descriptions.answer(line.near, params["sdp"], self._node.terms),
            },
        )
        self._sections = len(params["tracks"])
        self._videos = [row["track"] for row in params["tracks"] if row["kind"] == "video"]
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
            self._rpc.failure = str(error)
            self._ready.set()
            return
        self._is_connected = True
        self._look()

    def _look(self) -> None:
        if self._rpc.failure or (self._is_connected and self._sections >= self._wanted_sections):
            self._ready.set()
