"""Debian's Janus (videoroom) under the same load: its own process, its WebSocket API, our native peers.

Source: https://janus.conf.meetecho.com/docs/rest.html and videoroom.html.
"""

import asyncio
import itertools
import json
import shutil
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from bench import descriptions, plan, target
from bench.line import Line
from bench.node import Node
from bench.quantiles import Histogram
from bench.steps import JoinSteps
from sfu.transport import DtlsIdentity

_STARTS_WITHIN_S: Final = 20.0
_ANSWERS_WITHIN_S: Final = 20.0
_HELLO_AFTER_S: Final = 0.05
"""Janus has no ear for DTLS in the first moments after the check that it answers."""
_PLUGIN: Final = "janus.plugin.videoroom"
_PLUGINS_FOLDER: Final = Path("/usr/lib")
_GENERAL: Final = """
general: {{
    configs_folder = "{folder}"
    plugins_folder = "{plugins}"
    transports_folder = "{transports}"
    events_folder = "{folder}"
    loggers_folder = "{folder}"
    log_to_stdout = true
    debug_level = 3
    event_loops = 2
    session_timeout = 0
}}
nat: {{
    ice_lite = true
    ice_enforce_list = "{ip}"
}}
media: {{
    dtls_mtu = 1200
    rtp_port_range = "{ports}"
}}
plugins: {{
    disable = "{others}"
}}
transports: {{
    disable = "{other_transports}"
}}
"""
_WEBSOCKETS: Final = """
general: {{
    json = "compact"
    ws = true
    ws_port = {port}
    ws_ip = "127.0.0.1"
    wss = false
}}
admin: {{
    admin_ws = false
}}
"""


class JanusRefused(Exception):
    """Janus said no; the text holds its reason."""


class Janus:
    """A `Target`. Made by `start`."""

    name = "janus"
    worker_thread = "hloop"

    def __init__(
        self,
        daemon: target.Daemon,
        http: aiohttp.ClientSession,
        identity: DtlsIdentity,
        ip: str,
    ) -> None:
        self.peers_ip = ip
        self._daemon = daemon
        self._http = http
        self._identity = identity
        self._api: _Api | None = None
        self._rooms: dict[str, int] = {}
        self._feeds: dict[str, list[int]] = {}
        self._answers: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, *, profile: str = "") -> Self:
        """Start it with two event loops and wait until it takes sessions.

        Its ICE library passes loopback over, so that media goes to the machine's own address; the kernel
        takes that over loopback all the same.

        Raises:
            TargetFailed: Janus is not installed, or does not come up; the text says what to do.
        """
        port, ip = target.free_port(), _own_ip()

        def command(folder: Path) -> tuple[str, ...]:
            _configure(folder, port, ip)
            return _command(), "-F", str(folder)

        daemon = await target.Daemon.start(command)
        http = aiohttp.ClientSession()
        identity = DtlsIdentity.generate([profile] if profile in plan.PROFILES else None)
        made = cls(daemon, http, identity, ip)
        try:
            await made._open(await daemon.come_up(partial(made._find_api, port), _STARTS_WITHIN_S))
        except BaseException:
            await made.stop()
            raise
        return made

    @property
    def pid(self) -> int:
        """Janus's process."""
        return self._daemon.pid

    async def seat(self, node: Node, room: str, *, publishes: bool, watches: bool) -> "JanusSeat":
        """Bring one person in.

        Raises:
            JanusRefused, LineLost: with the reason.
        """
        del watches  # asked for with `watch_others`
        number = await self._room(room)
        seat = JanusSeat(self._ready(), node, self._identity, number, self._feeds[room])
        if publishes:
            try:
                await seat.publish()
            except BaseException:
                await seat.leave()
                raise
        return seat

    async def account(self) -> target.Account:
        """Nothing: what Janus counts is not read."""
        return target.Account({}, Histogram({}))

    async def stop(self) -> None:
        """End Janus and remove its folder."""
        if self._api is not None:
            await self._api.close()
        if self._answers is not None:
            await asyncio.wait({self._answers})
        await self._http.close()
        await self._daemon.stop()

    def _ready(self) -> "_Api":
        if self._api is None:
            raise target.TargetFailed("janus is not connected")
        return self._api

    async def _room(self, room: str) -> int:
        if room not in self._rooms:
            number = self._rooms[room] = 1000 + len(self._rooms)
            self._feeds[room] = []
            handle = await self._ready().attach()
            # No notifications of people who come and go, no bitrate ceiling, no periodic keyframes.
            body = {
                "request": "create",
                "room": number,
                "publishers": 1000,
                "bitrate": 0,
                "fir_freq": 0,
                "audiocodec": "opus",
                "videocodec": "vp8",
                "audiolevel_ext": False,
                "videoorient_ext": False,
                "playoutdelay_ext": False,
                "transport_wide_cc_ext": False,
                "notify_joining": False,
            }
            await self._ready().request(handle, body)
        return self._rooms[room]

    async def _find_api(self, port: int) -> aiohttp.ClientWebSocketResponse | None:
        """A connection to Janus, once it takes one."""
        try:
            return await self._http.ws_connect(
                f"http://127.0.0.1:{port}", protocols=("janus-protocol",), max_msg_size=1 << 22
            )
        except (aiohttp.ClientError, OSError):
            return None

    async def _open(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._api = _Api(socket)
        self._answers = asyncio.get_running_loop().create_task(self._api.read(), name="janus answers")
        await self._api.open()


class JanusSeat:
    """A `Seat` in a videoroom; `feeds` are the room's, in the order in which they came."""

    def __init__(self, api: "_Api", node: Node, identity: DtlsIdentity, room: int, feeds: list[int]) -> None:
        self.steps = JoinSteps()
        self.publishing: Line | None = None
        self.watching: Line | None = None
        self._api = api
        self._node = node
        self._identity = identity
        self._room = room
        self._feeds = feeds
        self._own = 0
        self._handles: list[int] = []

    async def publish(self) -> None:
        """Join as a publisher and send."""
        line = self.publishing = Line(self._node, self._identity, hello_after_s=_HELLO_AFTER_S)
        handle = await self._attach()
        self.steps.called = time.monotonic_ns()
        joined = await self._api.event(handle, {"request": "join", "ptype": "publisher", "room": self._room})
        ssrcs = plan.audio_ssrc(line.transport), plan.video_ssrc(line.transport)
        offer = {"type": "offer", "sdp": descriptions.publish_offer(line.near, ssrcs)}
        told = await self._api.event(handle, {"request": "publish"}, jsep=offer)
        await line.connect(descriptions.far(told["jsep"]["sdp"]))
        await line.publish(ssrcs)
        await self._api.is_up(handle)
        self._own = int(joined["plugindata"]["data"]["id"])
        self._feeds.append(self._own)

    async def watch_others(self, count: int) -> None:
        """Receive so many of the others on one peer connection.

        Raises:
            JanusRefused, LineLost: with the reason.
        """
        line = self.watching = Line(self._node, self._identity, hello_after_s=_HELLO_AFTER_S)
        handle = await self._attach()
        self.steps.called = time.monotonic_ns()
        streams = [{"feed": feed} for feed in self._feeds if feed != self._own][:count]
        body = {"request": "join", "ptype": "subscriber", "room": self._room, "streams": streams}
        told = await self._api.event(handle, body)
        offer = told["jsep"]["sdp"]
        answer = {
            "type": "answer",
            "sdp": descriptions.answer(line.near, offer, self._node.terms),
        }
        await self._api.event(handle, {"request": "start"}, jsep=answer)
        await line.connect(descriptions.far(offer))

    async def leave(self) -> None:
        """Give both handles up and close the lines. Idempotent."""
        handles, self._handles = self._handles, []
        for handle in handles:
            await self._api.detach(handle)
        if self._own in self._feeds:
            self._feeds.remove(self._own)
        for line in (self.publishing, self.watching):
            if line is not None:
                await line.close()

    async def _attach(self) -> int:
        handle = await self._api.attach()
        self._handles.append(handle)
        return handle


class _Api:
    """One session of Janus on one WebSocket; requests are matched with answers and events."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._session = 0
        self._numbers = itertools.count(1)
        self._waiting: dict[str, tuple[bool, asyncio.Future[dict[str, Any]]]] = {}
        self._up: dict[int, asyncio.Event] = {}

    async def open(self) -> None:
        self._session = int((await self._ask("create", waits_for_event=False))["data"]["id"])

    async def attach(self) -> int:
        answer = await self._ask("attach", waits_for_event=False, plugin=_PLUGIN)
        handle = int(answer["data"]["id"])
        self._up[handle] = asyncio.Event()
        return handle

    async def is_up(self, handle: int) -> None:
        """Wait until Janus says that the handle's peer connection stands: only then is it a feed."""
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            await self._up[handle].wait()

    async def detach(self, handle: int) -> None:
        del self._up[handle]
        await self._ask("detach", waits_for_event=False, handle_id=handle)

    async def request(self, handle: int, body: dict[str, Any]) -> dict[str, Any]:
        """A message that is answered at once."""
        return await self._ask("message", waits_for_event=False, handle_id=handle, body=body)

    async def event(
        self, handle: int, body: dict[str, Any], *, jsep: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A message that is answered by an event."""
        more = {} if jsep is None else {"jsep": jsep}
        return await self._ask("message", waits_for_event=True, handle_id=handle, body=body, **more)

    async def close(self) -> None:
        await self._ws.close()

    async def read(self) -> None:
        """Match what Janus says, until the connection ends."""
        async for message in self._ws:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            if said["janus"] == "webrtcup" and said["sender"] in self._up:
                self._up[said["sender"]].set()
            waits_for_event, answer = self._waiting.get(said.get("transaction", ""), (False, None))
            if answer is None or answer.done() or (said["janus"] == "ack" and waits_for_event):
                continue
            problem = said.get("error") or said.get("plugindata", {}).get("data", {}).get("error")
            if problem:
                answer.set_exception(JanusRefused(str(problem)))
            else:
                answer.set_result(said)

    async def _ask(self, what: str, *, waits_for_event: bool, **fields: Any) -> dict[str, Any]:
        transaction = str(next(self._numbers))
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = (waits_for_event, answer)
        session = {"session_id": self._session} if self._session else {}
        try:
            await self._ws.send_json({"janus": what, "transaction": transaction, **session, **fields})
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                return await answer
        finally:
            del self._waiting[transaction]


def _command() -> str:
    found = shutil.which("janus")
    if found is None:
        raise target.TargetFailed(
            "janus is not installed: run tools/system-packages bench, or apt-get install janus"
        )
    return found


def _own_ip() -> str:
    """The address that this machine has towards others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: the kernel only chooses the way
        except OSError as error:
            raise target.TargetFailed("janus needs a network interface besides loopback") from error
        ip: str = probe.getsockname()[0]
        return ip


def _configure(folder: Path, port: int, ip: str) -> None:
    homes = sorted(_PLUGINS_FOLDER.glob("*/janus/plugins"))
    plugins = homes[0] if homes else folder
    transports = plugins.parent / "transports"
    others = [item.name for item in plugins.glob("*.so*") if "videoroom" not in item.name]
    other_transports = [item.name for item in transports.glob("*.so*") if "websockets" not in item.name]
    low = 20_000 + target.free_port(socket.SOCK_DGRAM) % 20_000
    (folder / "janus.jcfg").write_text(
        _GENERAL.format(
            folder=folder,
            plugins=plugins,
            transports=transports,
            ip=ip,
            ports=f"{low}-{low + 8000}",
            others=",".join(others),
            other_transports=",".join(other_transports),
        )
    )
    (folder / "janus.transport.websockets.jcfg").write_text(_WEBSOCKETS.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: {\n}\n")
