"""A server with one room and a partner's site, for measurements of what goes to disk and outside."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.served import Served
from bench.studio.person import Person
from bench.studio.rtmp_site import RtmpSite
from bench.target import TargetFailed

ROOM: Final = "stage"
_COMES_WITHIN_S: Final = 30.0
_TOKEN_S: Final = 86_000
_STREAM_KEY: Final = "stream-key-of-the-bench"
_ENVIRONMENT: Final = {
    "PARLEY_BROADCAST_ALLOW_PRIVATE": "true",
    "PARLEY_BROADCAST_WIDTH": "320",
    "PARLEY_BROADCAST_HEIGHT": "180",
    "PARLEY_BROADCAST_VIDEO_KBPS": "400",
    "PARLEY_BROADCAST_SEGMENT_S": "1",
}


class House:
    """Made by `house`. The room's mode is `explicit`."""

    def __init__(
        self, stack: contextlib.AsyncExitStack, served: Served, site: RtmpSite, http: aiohttp.ClientSession
    ) -> None:
        self.served = served
        self.site = site
        self.http = http
        self._stack = stack
        self._destinations: list[str] = []

    @property
    def rtmp_url(self) -> str:
        """Where the partner's site plays the broadcast."""
        return self.site.url(_STREAM_KEY)

    async def enter(
        self,
        identity: str,
        video: Sequence[tuple[bytes, bool]],
        audio: Sequence[bytes],
        uses: Mapping[str, bool],
        *,
        name: str = "",
        loss: float = 0.0,
        drift_ppm: float = 0.0,
    ) -> Person:
        """Somebody who publishes this picture and this sound and has chosen `uses`; leaves at the end.

        `name`: what others see, the identity without one. `loss` and `drift_ppm` as `RtpPeer` and
        `RtpPlayer` take them.

        Raises:
            CallRefused, RuntimeError: with the server's reason.
        """
        grants = ["join", "publish", "subscribe", "chat"]
        wanted = {"room": ROOM, "identity": identity, "grants": grants, "uses": list(uses), "ttl_s": _TOKEN_S}
        wanted |= {"name": name} if name else {}
        token = (await self.served.api("POST", "/tokens", wanted))["token"]
        person = await Person.enter(
            self.http, self.served.url, token, video, audio, uses, loss=loss, drift_ppm=drift_ppm
        )
        self._stack.push_async_callback(person.leave)
        return person

    async def outside_token(self) -> str:
        """A token that watches from outside."""
        wanted = {"room": ROOM, "identity": "site", "grants": ["subscribe"], "external": True}
        return str((await self.served.api("POST", "/tokens", wanted))["token"])

    async def record(self) -> str:
        """Start a recording; its id."""
        return str((await self.served.api("POST", "/recordings", {"room": ROOM}))["id"])

    async def go_live(self, *more: Mapping[str, str]) -> dict[str, Any]:
        """Start a broadcast to RTMP, HLS and `more` destinations; what the API says once all are live.

        A second broadcast goes where the first one went.

        Raises:
            TargetFailed: they do not come to be.
        """
        if not self._destinations:
            self._destinations = await self._register(more)
        wanted = {"room": ROOM, "destinations": self._destinations}
        made = await self.served.api("POST", "/broadcasts", wanted)
        deadline = time.monotonic() + _COMES_WITHIN_S
        while True:
            status: dict[str, Any] = await self.served.api("GET", f"/broadcasts/{made['id']}")
            if all(one["state"] == "live" for one in status["destinations"]):
                return status
            if time.monotonic() > deadline:
                raise TargetFailed(f"the broadcast is not live: {status['destinations']}")
            await asyncio.sleep(0.1)

    async def _register(self, more: Sequence[Mapping[str, str]]) -> list[str]:
        """The ids of RTMP, HLS and `more` destinations of one partner."""
        terms = {"policy_url": "https://partner.example/privacy", "terms_version": "1", "uses": ["live"]}
        described = {"name": "Partner", "site": "partner.example", **terms}
        partner = (await self.served.api("POST", "/partners", described))["id"]
        main = {"name": "Main", "kind": "rtmp", "url": self.rtmp_url}
        kinds: tuple[Mapping[str, str], ...] = (main, {"name": "Web", "kind": "hls"}, *more)
        made = [
            await self.served.api("POST", "/destinations", {"partner": partner, **kind}) for kind in kinds
        ]
        return [destination["id"] for destination in made]


@contextlib.asynccontextmanager
async def house(*, fps: int = 15, environment: Mapping[str, str] | None = None) -> AsyncIterator[House]:
    """A server, its room and the site; `fps`: pictures a second of its programs; `environment`: more of it.

    Raises:
        TargetFailed: the server does not come up.
        RuntimeError: the site does not.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-bench-site-")))
        site = RtmpSite(folder)
        await site.start()
        stack.push_async_callback(site.stop)
        wanted = _ENVIRONMENT | {"PARLEY_BROADCAST_FPS": str(fps)} | dict(environment or {})
        served = await Served.start(environment=wanted)
        stack.push_async_callback(served.stop)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await served.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        yield House(stack, served, site, http)
