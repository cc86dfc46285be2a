"""A whole house for recorder tests: native plane, rooms, store, supervisor, recorder; aiortc publishers."""

import asyncio
import contextlib
import time

from aiortc import RTCPeerConnection, RTCSessionDescription

from policy import DEFAULT_TERMS, RECORD, Acceptance, Permission, RoomMode, RoomSettings
from recorder import RecorderConfig, RecorderService
from rooms import JoinRequest, RoomsConfig, RoomService, SystemClock
from server.supervise import Supervisor
from sfu import MediaConfig, MediaPlane
from store import Store, StoreConfig
from tests.sfu.aiortc_client import _CONFIGURATION, ColourTrack, ToneTrack
from tests.sfu.page_server import media_address

ROOM = "recorded"
PERSON = frozenset({Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT})
ACCEPTED = Acceptance(terms_version=DEFAULT_TERMS.version, age_18=True)
CONFIG = RecorderConfig(min_free_bytes=1 << 20, encrypts=False)
"""What is on the disk is looked at as it lies there."""
SEALED = RecorderConfig(min_free_bytes=1 << 20)


class Clock(SystemClock):
    async def sleep(self, s):
        await asyncio.sleep(s)


async def until(condition, what, patience_s=15.0):
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.02)
    return found


class Publisher:
    """A participant whose aiortc peer shows a colour and plays a tone."""

    def __init__(self, participant):
        self.participant = participant
        self.pc = RTCPeerConnection(_CONFIGURATION)

    @property
    def person(self):
        return self.participant.person

    async def publish(self, colour, hz):
        self.pc.addTrack(ToneTrack(hz))
        self.pc.addTrack(ColourTrack(colour))
        await self.connect()

    async def connect(self):
        """Publish the tracks that were added."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        published = await self.participant.publish(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(published.sdp, "answer"))

    async def acknowledge(self):
        for notice in self.participant.pending_notices():
            await self.participant.acknowledge(notice.notice_id)


class House:
    def __init__(self, plane, store, rooms, supervisor, recorder, stack):
        self.plane, self.store, self.rooms = plane, store, rooms
        self.supervisor, self.recorder = supervisor, recorder
        self._stack = stack

    async def enter(self, identity, *, agrees=True, colour=None, hz=440, name="", room=ROOM):
        """Join, answer for `record`, publish when there is a colour."""
        participant = await self.rooms.join(
            JoinRequest(
                room=room,
                identity=identity,
                name=name,
                permissions=PERSON,
                accept=ACCEPTED,
                choices={RECORD: agrees},
            )
        )
        publisher = Publisher(participant)
        self._stack.push_async_callback(publisher.pc.close)
        if colour is not None:
            await publisher.publish(colour, hz)
        return publisher

    def folder(self, info):
        return self.store.blobs.path("recordings", info.id)

    def media(self, info, person, source):
        return sorted(self.folder(info).glob(f"{person}-{source}-*"))

    async def grows(self, info, person, source, number=1):
        """Wait until that part has media on disk."""
        return await until(
            lambda: next(
                (
                    path
                    for path in self.media(info, person, source)
                    if f"-{number:03d}." in path.name and path.stat().st_size > 1000
                ),
                None,
            ),
            f"part {number} of {person} {source}",
        )

    def worker(self):
        return next(worker for worker in self.supervisor.workers if worker.module == "recorder.worker")

    async def crash(self, info):
        """As if the server had been killed: the worker dies with it, and nobody is told anything."""
        recording = self.recorder._runs._running.pop(info.id)
        recording._is_stopping = True
        worker = recording._worker
        worker.kill()
        await worker.wait()
        await recording._scope.close()
        await worker.control.close()
        await recording.activity.close()

    async def finished(self, info):
        async def is_finished():
            status = await self.recorder.status(info.id)
            return status.state in {"finished", "interrupted", "failed"}

        deadline = time.monotonic() + 30
        while not await is_finished():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        return await self.recorder.status(info.id)


@contextlib.asynccontextmanager
async def house(data_dir, config=CONFIG):
    clock = Clock()
    async with contextlib.AsyncExitStack() as stack:
        plane = await MediaPlane.start(MediaConfig(addresses=(media_address(),), port=0, gate_slots=256))
        stack.push_async_callback(plane.close)
        store = await Store.open(StoreConfig(data_dir=data_dir))
        stack.push_async_callback(store.close)
        defaults = RoomSettings(mode=RoomMode.EXPLICIT)
        rooms = await RoomService.start(plane, store, RoomsConfig(defaults=defaults), clock=clock)
        stack.push_async_callback(rooms.close)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        recorder = RecorderService(rooms, store, supervisor, config, clock)
        await recorder.open()
        stack.push_async_callback(recorder.close)
        yield House(plane, store, rooms, supervisor, recorder, stack)
