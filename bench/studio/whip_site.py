"""A partner's WHIP server of another make (aiortc), which hands on what it decodes as it arrives."""

import asyncio
import contextlib
import itertools
import time
from typing import Any, Final

import av
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from bench.studio.decoded import Mono
from bench.studio.live_player import Hear, See

KEPT: Final = 5
"""Of so many packets a slow site takes one."""
_PATH: Final = "/whip"


class WhipSite:
    """Takes each publish at `url`.

    Args:
        see, hear: called in the event loop with the instant (monotonic seconds) and what was decoded.
    """

    def __init__(self, see: See, hear: Hear) -> None:
        self.connections = 0
        self.url = ""
        self.is_mute = False
        """Whether it takes what comes, and reports nothing."""
        self.is_slow = False
        """Whether it loses most of what comes."""
        self.taken = 0
        """Bytes of the media packets that it did not lose."""
        self._see = see
        self._hear = hear
        self._open: dict[str, RTCPeerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen on some port."""
        app = web.Application()
        app.router.add_post(_PATH, self._publish)
        app.router.add_delete(_PATH + "/{resource}", self._end)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{_PATH}"

    async def stop(self) -> None:
        """End every publish and listen no more."""
        for connection in self._open.values():
            await connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _publish(self, request: web.Request) -> web.Response:
        connection = RTCPeerConnection()
        connection.on("track", self._take)
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        for transport in {receiver.transport for receiver in connection.getReceivers()}:
            self._stand_before(transport)
        self.connections += 1
        name = str(self.connections)
        self._open[name] = connection
        return web.Response(
            status=201,
            text=connection.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"{_PATH}/{name}"},
        )

    async def _end(self, request: web.Request) -> web.Response:
        connection = self._open.pop(request.match_info["resource"], None)
        if connection is None:
            raise web.HTTPNotFound
        await connection.close()
        return web.Response()

    def _take(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._play(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, track: MediaStreamTrack) -> None:
        mono = Mono()
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                at_s = time.monotonic()
                if isinstance(frame, av.AudioFrame):
                    self._hear(at_s, mono.samples(frame))
                elif isinstance(frame, av.VideoFrame):
                    self._see(at_s, frame)

    def _stand_before(self, transport: Any) -> None:
        """Lose what comes while the site is slow, and keep back its reports while it is mute."""
        take, tell = transport._handle_rtp_data, transport._send_rtp  # noqa: SLF001 - aiortc has no other door
        count = itertools.count()

        async def taken(data: bytes, arrival_time_ms: int) -> None:
            if not self.is_slow or next(count) % KEPT == 0:
                self.taken += len(data)
                await take(data, arrival_time_ms=arrival_time_ms)

        async def told(data: bytes) -> None:
            if not self.is_mute:
                await tell(data)

        transport._handle_rtp_data, transport._send_rtp = taken, told  # noqa: SLF001 - as above
