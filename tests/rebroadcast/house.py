"""A whole house for broadcast tests: native plane, rooms, store, supervisor; real publishers and sites."""

import asyncio
import contextlib
import time

from bench.studio.peer import RtpPeer
from bench.studio.rtmp_site import RtmpSite
from policy import DEFAULT_TERMS, LIVE, Acceptance, Permission, RoomMode, RoomSettings
from rebroadcast import RebroadcastConfig, RebroadcastService
from recorder import RecorderConfig, RecorderService
from rooms import JoinRequest, RoomsConfig, RoomService, SystemClock
from server.supervise import Supervisor
from sfu import MediaConfig, MediaPlane
from store import Store, StoreConfig
from tests.sfu.page_server import media_address
from tests.support.h264_camera import H264Camera

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
    def __init__(self, stack, folder, plane, store, rooms, supervisor, recorder, broadcasts):
        self._stack, self._folder = stack, folder
        self.plane, self.store, self.rooms = plane, store, rooms
        self.supervisor, self.recorder, self.broadcasts = supervisor, recorder, broadcasts
        self.partners = {}

    async def enter(self, identity, *, luma=160, hz=440, choices=None):
        """Join, acknowledge what runs already, and publish H.264."""
        participant = await self.rooms.join(
            JoinRequest(
                room=ROOM,
                identity=identity,
                permissions=PERSON,
                accept=ACCEPTED,
                choices={LIVE: True} if choices is None else choices,
            )
        )
        for notice in participant.pending_notices():
            await participant.acknowledge(notice.notice_id)
        return await self.publish(participant, luma=luma, hz=hz)

    async def publish(self, participant, *, luma=160, hz=440):
        """Connect, or connect anew, a camera and a microphone of somebody who is there."""
        peer = RtpPeer(codec="H264")
        published = await participant.publish(peer.offer())
        await peer.open(published.sdp)
        camera = H264Camera(peer, luma=luma, hz=hz)
        person = Person(participant, peer, camera, asyncio.create_task(camera.run()))
        self._stack.push_async_callback(person.silence)
        return person

    async def site(self, name="site"):
        """A partner's RTMP server that runs."""
        server = RtmpSite(self._folder / name)
        await server.start()
        self._stack.push_async_callback(server.stop)
        return server

    async def partner(self, site="partner.example", uses=("live", "replay")):
        """Id of the partner of that site."""
        if site not in self.partners:
            added = await self.broadcasts.partners.add(
                name=site,
                site=site,
                policy_url=f"https://{site}/privacy",
                uses=uses,
                terms_version="1",
            )
            self.partners[site] = added.id
        return self.partners[site]

    async def destination(
        self,
        server=None,
        *,
        key="stream-key-0123456789",
        application="live",
        site="partner.example",
        **more,
    ):
        """A destination on that server, or one of kind hls; its id."""
        kind = "hls" if server is None else "rtmp"
        url = None if server is None else server.url("", application).rstrip("/")
        body = {"name": "There", "partner": await self.partner(site), "kind": kind, "rooms": ()}
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

    def goes_to(self, partner):
        """Ids of the destinations of a partner that something goes to."""
        return [
            destination
            for bundle in self.broadcasts._running.values()
            for program in bundle.open_programs
            for destination, target in program.targets.items()
            if target.partner.id == partner
        ]

    def fetch(self, info, name):
        """What a player of the first HLS destination gets."""
        status = next(status for status in info.destinations if status.kind == "hls")
        return self.broadcasts.get(status.program, status.destination, name)

    def playlist(self, info):
        return self.fetch(info, "video.m3u8").decode()

    def segments(self, info):
        """(name, bytes of a playable file) of every listed segment."""
        found, init = [], b""
        for line in self.playlist(info).splitlines():
            if line.startswith("#EXT-X-MAP"):
                init = self.fetch(info, line.split('"')[1])
            elif not line.startswith("#"):
                found.append((line, init + self.fetch(info, line)))
        return found

    def workers(self):
        return [worker for worker in self.supervisor.workers if worker.module == WORKER]


@contextlib.asynccontextmanager
async def house(folder, config=CONFIG, *, spawner=None, machine=lambda _: None):
    """`spawner` and `machine`: make what starts workers, and what measures them, of the supervisor."""
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
        recorder = RecorderService(rooms, store, supervisor, RecorderConfig(min_free_bytes=1 << 20), clock)
        await recorder.open()
        stack.push_async_callback(recorder.close)
        broadcasts = RebroadcastService(
            rooms, store, spawning, config, clock, recorder.reels, machine(supervisor)
        )
        await broadcasts.open()
        stack.push_async_callback(broadcasts.close)
        yield House(stack, folder, plane, store, rooms, supervisor, recorder, broadcasts)
