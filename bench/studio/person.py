"""Somebody in a room with a known picture and sound, who gives and takes back consent."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Self

import aiohttp

from bench.rpc import CallRefused, Rpc
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer


class Person:
    """Speaks docs/protocol.md. Made by `enter`.

    Attributes:
        peer: sends what `player` plays.
    """

    def __init__(self, rpc: Rpc, peer: RtpPeer, player: RtpPlayer) -> None:
        self.peer = peer
        self.player = player
        self._rpc = rpc
        self._uses: Mapping[str, bool] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def enter(
        cls,
        http: aiohttp.ClientSession,
        url: str,
        token: str,
        video: Sequence[tuple[bytes, bool]],
        audio: Sequence[bytes],
        uses: Mapping[str, bool],
        *,
        loss: float = 0.0,
        drift_ppm: float = 0.0,
    ) -> Self:
        """Join, choose, and publish this picture and this sound over and over.

        `loss` and `drift_ppm` as `RtpPeer` and `RtpPlayer` take them.

        Raises:
            CallRefused, RuntimeError: with the server's reason.
        """
        peer = RtpPeer(loss=loss)
        player = RtpPlayer(peer, video, audio, drift_ppm=drift_ppm)
        person = cls(await Rpc.open(http, url), peer, player)
        person._tasks.append(asyncio.create_task(person._listen(), name="person's ear"))
        try:
            joined = await person._rpc.call("join", {"token": token, "client": {"name": "parley-bench"}})
            await person.consent(uses)
            if joined["notice"] is not None:
                await person._rpc.call("acknowledge", {"notice": joined["notice"]["notice"]})
            sources = {"0": "mic", "1": "camera"}
            offered = {"sdp": person.peer.offer(), "sources": sources}
            published = await person._rpc.call("publish", offered)
            await person.peer.open(published["sdp"])
            person._tasks.append(asyncio.create_task(player.run(), name="person's camera"))
        except BaseException:
            await person.leave()
            raise
        return person

    async def consent(self, uses: Mapping[str, bool]) -> float | None:
        """Set one's choices; milliseconds that the server says a revocation took, None without one.

        Raises:
            CallRefused: with the server's reason.
        """
        self._uses = uses
        answer = await self._rpc.call("consent", {"uses": dict(uses)})
        done: float | None = answer.get("done_ms")
        return done

    async def say(self, text: str) -> None:
        """Write a chat line.

        Raises:
            CallRefused: with the server's reason.
        """
        await self._rpc.call("chat", {"text": text})

    async def leave(self) -> None:
        """Go. Idempotent."""
        with contextlib.suppress(CallRefused, TimeoutError, ConnectionError):
            if not self._rpc.is_closed:
                await self._rpc.call("leave", {})
        for task in self._tasks[1:]:
            task.cancel()
        await self._rpc.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()

    async def _listen(self) -> None:
        """Answer each notice with one's choices."""
        try:
            async for method, params in self._rpc.notifications():
                if method == "notice":
                    await self._rpc.send("consent", {"uses": dict(self._uses)})
                    await self._rpc.send("acknowledge", {"notice": params["notice"]})
        finally:
            self._rpc.end()
