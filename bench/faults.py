"""Sites of every kind hang and die while they are sent to: when the API tells it, and when they are back."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Protocol

from bench.fault_figures import KINDS, FaultFigures
from bench.served import Served
from bench.studio.encoded import encode_colour, encode_tone
from bench.studio.house import House, house
from bench.target import TargetFailed, free_port

_SETTLED_S: Final = 11.0
"""Before each fault: by then a WHIP site's pace of reports is known, and failures of before are forgotten."""
_LOOK_S: Final = 0.05
_COMES_WITHIN_S: Final = 60.0
_STARTS_WITHIN_S: Final = 10.0
_WHIP_ROOM: Final = "there"
_TOKEN_S: Final = 86_000
_FAILS: Final = frozenset({"degraded", "backing_off", "connecting"})
_LIVE: Final = frozenset({"live"})


class _Site(Protocol):
    """A receiver that fails on demand."""

    def freeze(self) -> None:
        """Stop reading, and close nothing."""
        ...

    def thaw(self) -> None:
        """Read again."""
        ...

    async def stop(self) -> None:
        """Die."""
        ...

    async def start(self) -> None:
        """Be there again, where it was."""
        ...


async def faults(times: int, note: Callable[[str], None] = lambda _words: None) -> FaultFigures:
    """Have all sites hang and die so many times.

    Raises:
        TargetFailed: the API does not come to tell it.
    """
    found = FaultFigures()
    async with _stage() as stage:
        for number in range(times):
            await stage.repeat(found)
            found.times += 1
            note(f"{number + 1} of {times}")
    return found


class _Stage:
    """A broadcast to one site of each kind."""

    def __init__(self, there: House, broadcast: str, sites: Mapping[str, _Site]) -> None:
        self._there = there
        self._broadcast = broadcast
        self._sites = sites

    async def repeat(self, found: FaultFigures) -> None:
        """One hang and one death of all."""
        await self._live_and_settled()
        try:
            for site in self._sites.values():
                site.freeze()
            await self._told(found, "hang", _FAILS, dict.fromkeys(KINDS, time.monotonic()))
        finally:
            for site in self._sites.values():
                site.thaw()
        await self._told(found, "after_hang", _LIVE, dict.fromkeys(KINDS, time.monotonic()))
        await self._live_and_settled()
        died = {kind: await self._done(site.stop) for kind, site in self._sites.items()}
        await self._told(found, "death", _FAILS, died)
        back = await asyncio.gather(*(self._done(site.start) for site in self._sites.values()))
        await self._told(found, "after_death", _LIVE, dict(zip(self._sites, back, strict=True)))

    async def _done(self, act: Callable[[], Awaitable[None]]) -> float:
        """Do it; when it was done (monotonic seconds)."""
        await act()
        return time.monotonic()

    async def _live_and_settled(self) -> None:
        await self._told(FaultFigures(), "after_hang", _LIVE, dict.fromkeys(KINDS, time.monotonic()))
        await asyncio.sleep(_SETTLED_S)

    async def _told(
        self, found: FaultFigures, fault: str, states: Collection[str], since: Mapping[str, float]
    ) -> None:
        """Wait until each kind is told to be in one of these states; note how long that took."""
        waiting = set(KINDS)
        while waiting:
            status = await self._there.served.api("GET", f"/broadcasts/{self._broadcast}")
            now = time.monotonic()
            for one in status["destinations"]:
                if one["kind"] in waiting and one["state"] in states:
                    waiting.discard(one["kind"])
                    found.s[f"{one['kind']}_{fault}"].append(max(now - since[one["kind"]], 0.0))
            if waiting and now - max(since.values()) > _COMES_WITHIN_S:
                raise TargetFailed(f"{fault}: nothing is told of {sorted(waiting)}: {status['destinations']}")
            await asyncio.sleep(_LOOK_S)


class _SrtSite:
    """Debian's ffmpeg, which takes one caller after each start."""

    def __init__(self) -> None:
        self._port = free_port(socket.SOCK_DGRAM)
        self.url = f"srt://127.0.0.1:{self._port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            TargetFailed: it does not.
        """
        source, sink = ("-f", "mpegts", "-i", f"{self.url}?mode=listener"), ("-c", "copy", "-f", "null", "-")
        self._process = await asyncio.create_subprocess_exec(
            "ffmpeg", "-nostdin", "-v", "quiet", *source, *sink
        )
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not self._is_listening():
            if time.monotonic() > deadline:
                raise TargetFailed("ffmpeg does not listen for SRT")
            await asyncio.sleep(_LOOK_S)

    def _is_listening(self) -> bool:
        return f":{self._port:04X} " in Path("/proc/net/udp").read_text()

    async def stop(self) -> None:
        """SIGKILL: a receiver that dies says no goodbye. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def freeze(self) -> None:
        """See `_Site`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """See `_Site`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


class _WhipSite:
    """Another server of this project's, which is killed and started on what it left."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def start(self) -> None:
        """See `_Site`."""
        await self._served.again()

    async def stop(self) -> None:
        """See `_Site`."""
        await self._served.kill()

    def freeze(self) -> None:
        """See `_Site`."""
        os.kill(self._served.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """See `_Site`."""
        os.kill(self._served.pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def _stage() -> AsyncIterator[_Stage]:
    async with contextlib.AsyncExitStack() as stack:
        there = await stack.enter_async_context(house())
        srt = _SrtSite()
        await srt.start()
        stack.push_async_callback(srt.stop)
        other = await Served.start()
        stack.push_async_callback(other.stop)
        wanted = {"room": _WHIP_ROOM, "identity": "program", "grants": ["join", "publish"], "ttl_s": _TOKEN_S}
        token = (await other.api("POST", "/tokens", wanted))["token"]
        await there.enter("ada", encode_colour((40, 160, 60)), encode_tone(440), {"live": True})
        live = await there.go_live(
            {"name": "Broadcaster", "kind": "srt", "url": srt.url},
            {"name": "Stage", "kind": "whip", "url": f"{other.url}/whip/{_WHIP_ROOM}", "key": token},
        )
        yield _Stage(there, live["id"], {"rtmp": there.site, "srt": srt, "whip": _WhipSite(other)})
