"""A whole house for broadcast tests: native plane, rooms, store, supervisor; real publishers and sites."""

import asyncio
import contextlib
import time

from policy import DEFAULT_TERMS, LIVE, Acceptance, Permission, RoomMode, RoomSettings
from rebroadcast import RebroadcastConfig, RebroadcastService
from rooms import JoinRequest, RoomsConfig, RoomService, SystemClock
from server.supervise import Supervisor
from sfu import MediaConfig, MediaPlane
from store import Store, StoreConfig
from tests.sfu.page_server import media_address
from tests.support.h264_camera import H264Camera
from tests.support.rtmp_server import RtmpServer
from tests.support.rtp_peer import RtpPeer

ROOM = "stage"
PERSON = frozenset({Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT})
ACCEPTED = Acceptance(terms_version=DEFAULT_TERMS.version, age_18=True)
CONFIG = RebroadcastConfig(
    width=320,
    height=180,
    fps=15,
    video_bps=400_000,
    audio_bps=64_000,
    segment_s=0.5,
    allow_private_destinations=True,
)
WORKER = "rebroadcast.worker"


class Clock(SystemClock):
    async def sleep(self, s):
        await asyncio.sleep(s)


async def until(condition, what, patience_s=20.0):
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)
    return found


class Person:
    """A participant with a camera and a microphone of their own."""

    def __init__(self, participant, peer, camera, task):
        self.participant, self.peer, self.camera, self._task = participant, peer, camera, task

    async def acknowledge(self):
        for notice in self.participant.pending_notices():
            await self.participant.acknowledge(notice.notice_id)

    async def revoke(self):
        return await self.participant.consent({LIVE: False})

    async def leave(self):
        await self.silence()
        await self.participant.leave()

    async def silence(self):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.peer.close()


class House:
    def __init__(self, stack, folder, plane, store, rooms, supervisor, broadcasts):
        self._stack, self._folder = stack, folder
        self.plane, self.store, self.rooms = plane, store, rooms
        self.supervisor, self.broadcasts = supervisor, broadcasts
        self._partner = None

    async def enter(self, identity, *, luma=160, hz=440, choices=None):
        """Join and publish H.264."""
        participant = await self.rooms.join(
            JoinRequest(
                room=ROOM,
                identity=identity,
                permissions=PERSON,
                accept=ACCEPTED,
                choices={LIVE: True} if choices is None else choices,
            )
        )
        peer = RtpPeer(codec="H264")
        published = await participant.publish(peer.offer())
        await peer.open(published.sdp)
        camera = H264Camera(peer, luma=luma, hz=hz)
        person = Person(participant, peer, camera, asyncio.create_task(camera.run()))
        self._stack.push_async_callback(person.silence)
        return person

    async def site(self, name="site"):
        """A partner's RTMP server that runs."""
        server = RtmpServer(self._folder / name)
        await server.start()
        self._stack.push_async_callback(server.stop)
        return server

    async def destination(self, server=None, *, key="stream-key-0123456789", application="live", **more):
        """A destination on that server, or one of kind hls; its id."""
        if self._partner is None:
            self._partner = await self.broadcasts.add_partner(
                name="Partner",
                site="partner.example",
                policy_url="https://partner.example/privacy",
                uses=["live"],
                terms_version="1",
            )
        kind = "hls" if server is None else "rtmp"
        url = None if server is None else server.url("", application).rstrip("/")
        body = {"name": "There", "partner": self._partner.id, "kind": kind, "rooms": ()}
        added = await self.broadcasts.add_destination(
            **(body | {"url": url, "key": None if server is None else key} | more)
        )
        return added.id

    def running(self, info):
        return self.broadcasts._running[info.id]

    def states(self, info):
        """State of each destination, in their order."""
        return [status.state for status in self.running(info).destinations]

    async def live(self, info, *states):
        """Wait until the destinations are in these states, all live when none is given."""
        wanted = list(states) or ["live"] * len(self.states(info))
        await until(lambda: self.states(info) == wanted, f"{wanted}, only {self.running(info).destinations}")

    def playlist(self, info):
        return self.broadcasts.get(info.id, "index.m3u8").decode()

    def segments(self, info):
        """(name, bytes of a playable file) of every listed segment."""
        found, init = [], b""
        for line in self.playlist(info).splitlines():
            if line.startswith("#EXT-X-MAP"):
                init = self.broadcasts.get(info.id, line.split('"')[1])
            elif not line.startswith("#"):
                found.append((line, init + self.broadcasts.get(info.id, line)))
        return found

    def workers(self):
        return [worker for worker in self.supervisor.workers if worker.module == WORKER]


@contextlib.asynccontextmanager
async def house(folder, config=CONFIG, *, spawner=None):
    """`spawner`: makes what starts worker processes of the supervisor."""
    clock = Clock()
    async with contextlib.AsyncExitStack() as stack:
        plane = await MediaPlane.start(MediaConfig(addresses=(media_address(),), port=0, gate_slots=256))
        stack.push_async_callback(plane.close)
        store = await Store.open(StoreConfig(data_dir=folder / "data"))
        stack.push_async_callback(store.close)
        defaults = RoomSettings(mode=RoomMode.EXPLICIT)
        rooms = await RoomService.start(plane, store, RoomsConfig(defaults=defaults), clock=clock)
        stack.push_async_callback(rooms.close)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        spawning = supervisor if spawner is None else spawner(supervisor)
        broadcasts = RebroadcastService(rooms, store, spawning, config, clock)
        await broadcasts.open()
        stack.push_async_callback(broadcasts.close)
        yield House(stack, folder, plane, store, rooms, supervisor, broadcasts)
