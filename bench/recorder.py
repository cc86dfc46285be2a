"""What recording costs: cores of the recorder's process for each recorded participant.

`parley bench recorder`. A real worker process,
started by the server's own supervisor, reads VP8 and Opus records from a real socket, batched as the core
does, at the pace of time, and seals what it writes unless told otherwise; its CPU time (all threads, user and
system) is what counts. The goal is 0.02 core at 1 Mb/s.
"""

import asyncio
import os
import resource
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.studio.payloads import video_payloads
from media.clock_map import SECOND_NS, ns_to_ntp
from media.gates import GatePage
from media.sealed import new_key
from media.tap_record import (
    CODEC_NAMES,
    FLAG_KEYFRAME_START,
    RtpRecord,
    SrRecord,
    TapHeader,
    encode_record,
)
from recorder import KeyAccess, KeyStore, MasterKeys
from recorder.worker.messages import Flushed, FromWorker, OpenTap, Person, Ready, RecordConfig, Stop
from server.supervise import Supervisor, Worker

GOAL_CORE: Final = 0.02
_FPS: Final = 25
_AUDIO_HZ: Final = 50
_AUDIO_BYTES: Final = 80
_TURN_S: Final = 0.005
_NTP_NS: Final = 3_900_000_000 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Figures:
    """One run's result."""

    participants: int
    kbps: int
    is_sealed: bool
    """Whether what was written was encrypted."""
    core_per_participant: float
    """Cores of the worker process for each participant."""
    core_idle: float
    """Cores of the same process with nobody in the room."""
    packets_per_s: float
    us_per_packet: float
    """CPU time of the worker for each RTP packet."""
    rss_mib: float
    written_mib: float
    goal: float = GOAL_CORE

    def lines(self) -> list[str]:
        """What to print."""
        how = "sealed" if self.is_sealed else "plain"
        took = f"{self.core_per_participant:.4f} core per participant at {self.kbps} kb/s"
        return [
            f"recorder, {how}: {took} (goal {self.goal})",
            f"  {self.us_per_packet:.1f} us a packet, {self.rss_mib:.0f} MiB",
        ]

    def problems(self) -> list[str]:
        """What was missed."""
        if self.core_per_participant <= self.goal:
            return []
        return [f"a participant takes {self.core_per_participant:.4f} core, the goal is {self.goal}"]


@dataclass(frozen=True, slots=True)
class Clip:
    """Encoded pictures to be played over and over."""

    codec: str
    frames: Sequence[tuple[bytes, bool]]
    """(frame, is_keyframe); the first is a keyframe."""


class Publisher:
    """One synthetic publisher: VP8 frames of equal size, a keyframe every ten seconds, Opus at 32 kb/s.

    `clip`: its pictures instead.
    """

    def __init__(self, index: int, kbps: int, start_ns: int, clip: Clip | None = None) -> None:
        self._clip = clip
        self._codec = clip.codec if clip is not None else "vp8"
        self.index = index
        self.frames = 0
        self.packets = 0
        self._start_ns = start_ns
        self._frame_bytes = (kbps * 1000 // 8 - _AUDIO_BYTES * _AUDIO_HZ) // _FPS
        self._seqs = [0, 0]

    def due(self, elapsed_ns: int, sent: list[int]) -> list[bytes]:
        """Records of everything due; `sent` counts frames and audio packets."""
        out: list[bytes] = []
        while sent[0] * SECOND_NS // _FPS <= elapsed_ns:
            at_ns = sent[0] * SECOND_NS // _FPS
            if sent[0] % _FPS == 0:
                out += [self._report(kind, at_ns) for kind in (0, 1)]
            out += self._video(sent[0], at_ns)
            sent[0] += 1
        while sent[1] * SECOND_NS // _AUDIO_HZ <= elapsed_ns:
            at_ns = sent[1] * SECOND_NS // _AUDIO_HZ
            payload = b"\xf8" + bytes([sent[1] & 0xFF]) * _AUDIO_BYTES
            out.append(self._rtp(1, payload, at_ns, is_last=True, flags=0))
            sent[1] += 1
        self.packets += len(out)
        return out

    def _video(self, number: int, at_ns: int) -> list[bytes]:
        frame, is_key = self._frame(number)
        payloads = video_payloads(self._codec, frame, is_keyframe=is_key, index=number)
        return [
            self._rtp(
                0,
                payload,
                at_ns,
                is_last=index == len(payloads) - 1,
                flags=FLAG_KEYFRAME_START if is_key and index == 0 else 0,
            )
            for index, payload in enumerate(payloads)
        ]

    def _frame(self, number: int) -> tuple[bytes, bool]:
        if self._clip is not None:
            return self._clip.frames[number % len(self._clip.frames)]
        is_key = number % (10 * _FPS) == 0
        head = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" if is_key else b"\x11\x02\x00"
        return head + bytes([number & 0xFF]) * (self._frame_bytes - len(head)), is_key

    def _header(self, kind: int, at_ns: int, flags: int = 0) -> TapHeader:
        return TapHeader(
            tap=2 * self.index + kind + 1,
            encoding_index=0,
            gate_slot=self.index + 1,
            gate_version=1,
            arrival_ns=self._start_ns + at_ns,
            ssrc=2 * self.index + kind + 1,
            flags=flags,
            codec=CODEC_NAMES.index("opus" if kind else self._codec),
        )

    def _rtp(self, kind: int, payload: bytes, at_ns: int, *, is_last: bool, flags: int) -> bytes:
        hz = 48_000 if kind else 90_000
        head = bytes([0x80, (111 if kind else 96) | (0x80 if is_last and not kind else 0)])
        head += (self._seqs[kind] & 0xFFFF).to_bytes(2, "big")
        head += (at_ns * hz // SECOND_NS & 0xFFFFFFFF).to_bytes(4, "big")
        head += (2 * self.index + kind + 1).to_bytes(4, "big")
        self._seqs[kind] += 1
        return encode_record(RtpRecord(self._header(kind, at_ns, flags), head + payload))

    def _report(self, kind: int, at_ns: int) -> bytes:
        hz = 48_000 if kind else 90_000
        rtp_ts = at_ns * hz // SECOND_NS & 0xFFFFFFFF
        return encode_record(SrRecord(self._header(kind, at_ns), ns_to_ntp(_NTP_NS + at_ns), rtp_ts, 0))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


class WorkerBench:
    """One worker with its folder, sink and gate page."""

    def __init__(self, worker: Worker, page: GatePage, near: socket.socket, origin_ns: int) -> None:
        self.worker = worker
        self.page = page
        self.near = near
        self.origin_ns = origin_ns
        self.decoder = msgspec.msgpack.Decoder(FromWorker)

    @classmethod
    async def start(
        cls, supervisor: Supervisor, folder: Path, participants: int, keys: KeyAccess | None
    ) -> "WorkerBench":
        """Start the worker and wait until it listens."""
        page = GatePage.create(participants + 2)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        near.setblocking(False)
        gates = page.read_only_fd()
        origin_ns = time.monotonic_ns()
        config = RecordConfig(str(folder), "rec_bench", "rm_bench", "bench", origin_ns, 0, 32 << 20, keys)
        fds = {"sink": far.fileno(), "gates": gates}
        worker = await supervisor.spawn("recorder.worker", fds, msgspec.to_builtins(config))
        os.close(gates)
        far.close()
        bench = cls(worker, page, near, origin_ns)
        while not isinstance(await worker.control.receive(bench.decoder), Ready):
            pass
        return bench

    def enter(self, index: int) -> None:
        """Grant one participant and open their taps."""
        person = f"u_{index}"
        self.page.store_open(index + 1, 1)
        self.worker.control.send(Person(person, f"p_{index}", f"Person {index}", True))
        for kind, source in (("video", "camera"), ("audio", "mic")):
            tap = 2 * index + (kind == "audio") + 1
            message = OpenTap(tap, person, f"p_{index}", tap, "video", source, index + 1, 1, "bench")
            if kind == "audio":
                message = msgspec.structs.replace(message, kind="audio")
            self.worker.control.send(message)

    async def play(self, participants: int, kbps: int, seconds: float, clip: Clip | None = None) -> int:
        """Send in real time, a datagram for each participant and turn; packets sent."""
        start_ns = time.monotonic_ns()
        people = [Publisher(index, kbps, start_ns, clip) for index in range(participants)]
        sent = [[0, 0] for _ in people]
        loop = asyncio.get_running_loop()
        while (elapsed_ns := time.monotonic_ns() - start_ns) < seconds * SECOND_NS:
            for person in people:
                records = person.due(elapsed_ns, sent[person.index])
                for at in range(0, len(records), 40):
                    await loop.sock_sendall(self.near, b"".join(records[at : at + 40]))
            await asyncio.sleep(_TURN_S)
        return sum(person.packets for person in people)

    async def kill(self) -> None:
        """End the worker as a crash does."""
        self.worker.kill()
        await self.worker.wait()
        await self.worker.control.close()
        self.near.close()
        self.page.close()

    async def stop(self) -> int:
        """Stop the worker; bytes that it wrote."""
        self.worker.control.send(Stop("stopped"))
        written = 0
        while (message := await self.worker.control.receive(self.decoder)) is not None:
            if isinstance(message, Flushed):
                written = message.size_bytes
        await self.worker.wait()
        self.near.close()
        self.page.close()
        return written


async def measure(participants: int, kbps: int, seconds: float, *, is_sealed: bool) -> Figures:
    """Run once."""
    supervisor = Supervisor()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as key_folder:
        store = KeyStore(Path(key_folder), MasterKeys([new_key()]))
        keys = store.access("rec_bench") if is_sealed else None
        bench = await WorkerBench.start(supervisor, Path(folder), participants, keys)
        pid = bench.worker.pid
        idle = _cpu_s(pid)
        await asyncio.sleep(2)
        idle = (_cpu_s(pid) - idle) / 2
        for index in range(participants):
            bench.enter(index)
        before, started = _cpu_s(pid), time.monotonic()
        packets = await bench.play(participants, kbps, seconds)
        cpu_s, elapsed_s = _cpu_s(pid) - before, time.monotonic() - started
        rss_mib = _rss_mib(pid)
        written = await bench.stop()
    await supervisor.close()
    return Figures(
        participants=participants,
        kbps=kbps,
        is_sealed=is_sealed,
        core_per_participant=cpu_s / elapsed_s / participants,
        core_idle=idle,
        packets_per_s=packets / elapsed_s,
        us_per_packet=cpu_s / packets * 1e6,
        rss_mib=rss_mib,
        written_mib=written / (1 << 20),
    )
