"""A real recorder worker process, fed with tap records over a real socket pair."""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import struct
import termios
import time

import av
import msgspec

from media.clock_map import SECOND_NS
from media.gates import Gate, GatePage
from media.tap_record import encode_record
from recorder.data_keys import DataKeys
from recorder.keys import KeyStore, MasterKeys
from recorder.parts import open_part
from recorder.worker.messages import (
    ChatLine,
    CloseTap,
    CutDone,
    CutPerson,
    FinishConfig,
    FromWorker,
    KeyframeWanted,
    OpenTap,
    Person,
    Ready,
    RecordConfig,
    Stop,
)
from server.supervise import Supervisor
from tests.media import encoded
from tests.media.tapped import TapWriter

MS = 1_000_000
DECODER = msgspec.msgpack.Decoder(FromWorker)
PATIENCE_S = 20.0
START_UNIX_MS = 1_800_000_000_000


def key_access(folder, recording="rec_test"):
    """Fresh keys for what is recorded."""
    return KeyStore(folder / "keys", MasterKeys.load_or_create(folder / "recordings.key")).access(recording)


class Tapped:
    """One tap of a person, with its media clock at the recording's time line."""

    def __init__(self, rig, tap, person, source, codec, gate, **options):
        self.rig, self.tap, self.person, self.source = rig, tap, person, source
        self.kind = "audio" if source in {"mic", "screen_audio"} else "video"
        self.gate = gate
        options.setdefault("start_ns", rig.origin_ns)
        self.writer = TapWriter(
            tap, codec, slot=gate.slot, version=gate.version, ssrc=0x1000 + tap, **options
        )

    def open_message(self):
        return OpenTap(
            self.tap, self.person, f"p_{self.person}", 100 + self.tap, self.kind, self.source,
            self.gate.slot, self.gate.version, "2026-11",
        )  # fmt: skip


class WorkerRig:
    """Starts the worker by the server's own supervisor; `close` ends it."""

    def __init__(self, folder, *, queue_max_bytes=32 << 20, keys=None):
        """`keys` (KeyAccess): what is recorded is sealed with these."""
        self.folder = folder
        self.keys = keys
        self.queue_max_bytes = queue_max_bytes
        self.page = GatePage.create(64)
        self.supervisor = Supervisor()
        self.origin_ns = time.monotonic_ns()
        self.messages = []
        self.worker = None
        self._versions = {}
        self._taps = 0
        self._near = self._far = None
        self._reader = None

    async def start(self):
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._near.setblocking(False)
        self._near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        gates = self.page.read_only_fd()
        config = RecordConfig(
            str(self.folder),
            "rec_test",
            "rm_test",
            "2026-11",
            self.origin_ns,
            1_800_000_000_000,
            self.queue_max_bytes,
            self.keys,
        )
        fds = {"sink": self._far.fileno(), "gates": gates}
        self.worker = await self.supervisor.spawn("recorder.worker", fds, msgspec.to_builtins(config))
        os.close(gates)
        self._far.close()
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: Ready() in self.messages, "the worker")

    async def _read(self):
        while (message := await self.worker.control.receive(DECODER)) is not None:
            self.messages.append(message)

    async def close(self):
        if self.worker is not None:
            self.worker.kill()
            await self.worker.wait()
            await asyncio.wait([self._reader])
            await self.worker.control.close()
        await self.supervisor.close()
        if self._near is not None:
            self._near.close()
        self.page.close()

    # What the server does

    def tell(self, message):
        self.worker.control.send(message)

    def grant(self, slot):
        """Open a slot's gate under its next version."""
        version = self._versions[slot] = self._versions.get(slot, 0) + 1
        self.page.store_open(slot, version)
        return Gate(slot, version)

    def tap(self, person, source, codec, gate, **options):
        self._taps += 1
        return Tapped(self, self._taps, person, source, codec, gate, **options)

    def join(self, person, name, slot):
        self.tell(Person(person, f"p_{person}", name, True))
        return self.grant(slot)

    def open(self, tapped):
        self.tell(tapped.open_message())
        return tapped

    def close_tap(self, tapped, reason="unpublished"):
        self.tell(CloseTap(tapped.tap, reason))

    def chat(self, person, name, text, gate):
        self.tell(ChatLine("c_1", person, name, text, START_UNIX_MS + 500, gate.slot, gate.version))

    async def cut(self, person, gate, cut_id=1):
        """What the consent service does; milliseconds from the call to the acknowledgement."""
        started = time.monotonic()
        version = self._versions[gate.slot] = gate.version + 1
        self.page.store_closed(gate.slot, version)
        self.tell(CutPerson(cut_id, person, ((gate.slot, gate.version),), "revoked"))
        await self.until(lambda: CutDone(cut_id) in self.messages, "the cut's acknowledgement")
        return (time.monotonic() - started) * 1000

    async def stop(self):
        """Stop and wait for the process; its exit code."""
        self.tell(Stop("stopped"))
        code = await asyncio.wait_for(self.worker.wait(), PATIENCE_S)
        await asyncio.wait_for(self._reader, PATIENCE_S)
        return code

    # What the core does

    async def send(self, records):
        loop = asyncio.get_running_loop()
        for record in records:
            await loop.sock_sendall(self._near, encode_record(record))

    async def sent(self):
        """Wait until the worker has taken everything from the socket."""
        await self.until(lambda: _unread_bytes(self._near) == 0, "an empty sink")

    async def holds(self, name, payload):
        """Wait until a file has these bytes: a frame's, which is on disk with the fragment that it is in."""
        path, data = self.folder / name, getattr(payload, "data", payload)
        await self.until(lambda: path.exists() and data in path.read_bytes(), f"the frame in {name}")

    async def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"never came: {what}"
            await asyncio.sleep(0.005)

    def keyframes_wanted(self, tapped):
        return self.messages.count(KeyframeWanted(tapped.tap))

    # What comes of it

    async def finish(self):
        """Run a finishing worker on the folder; its messages."""
        return await finish(self.supervisor, self.folder, FinishConfig(str(self.folder), self.keys))

    def plain(self, name):
        """A file as it was before it was sealed."""
        return open_part(self.folder / name, DataKeys(self.keys) if self.keys is not None else None)

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def media_names(self):
        return [name for name in self.names() if name.endswith((".webm", ".mp4"))]

    def events(self, kind=None):
        lines = self.plain("events.jsonl").read().splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["event"] == kind]


async def finish(supervisor, folder, config=None):
    config = config or FinishConfig(str(folder))
    worker = await supervisor.spawn("recorder.worker", {}, msgspec.to_builtins(config))
    messages = []
    with contextlib.suppress(asyncio.TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while (message := await worker.control.receive(DECODER)) is not None:
                messages.append(message)
    await worker.wait()
    await worker.control.close()
    return messages


def _unread_bytes(sock):
    return struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0]


def video_records(tapped, frames, *, fps=25, first=0, report_every=25):
    """The records of encoded frames, a sender report first and then every second."""
    records = []
    for number, frame in enumerate(frames):
        at_ns = (first + number) * SECOND_NS // fps
        if number % report_every == 0:
            records.append(tapped.writer.report(at_ns))
        records += tapped.writer.video(frame, at_ns)
    return records


def audio_records(tapped, packets, *, first=0, report_every=50):
    records = []
    for number, packet in enumerate(packets):
        at_ns = (first + number) * 20 * MS
        if number % report_every == 0:
            records.append(tapped.writer.report(at_ns))
        records += tapped.writer.audio(packet, at_ns)
    return records


def frame_times(path):
    """Seconds of each frame of a file, without decoding."""
    with av.open(path if hasattr(path, "read") else str(path)) as container:
        return [float(packet.pts * packet.time_base) for packet in container.demux() if packet.size]


def decoded_times(path):
    """Seconds of each frame of a file that a player shows."""
    with av.open(path if hasattr(path, "read") else str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(container.streams[0])]


def lumas(path):
    """(time in seconds, mean luma) of each frame of a file."""
    with av.open(path if hasattr(path, "read") else str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), float(frame.to_ndarray(format="gray").mean()))
            for frame in container.decode(video=0)
        ]


def loudness(path):
    """(time in seconds, peak 0..1) of each decoded audio frame of a file."""
    with av.open(path if hasattr(path, "read") else str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), float(abs(frame.to_ndarray()).max()))
            for frame in container.decode(audio=0)
        ]


def picture(codec, seconds=2, *, fps=25, luma=120, **options):
    return encoded.video(codec, (luma,) * (seconds * fps), fps=fps, **options)


def sound(seconds=2, level=0.5):
    return encoded.opus((level,) * (seconds * 50))[: seconds * 50]
