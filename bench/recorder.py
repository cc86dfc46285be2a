"""What recording costs: cores of the recorder's process for each recorded participant.

`python -m bench.recorder --participants 10 --kbps 1000 --seconds 10`. A real worker process, started by the
server's own supervisor, reads VP8 and Opus records from a real socket, batched as the core does, at the
pace of time; its CPU time (all threads, user and system) is what counts. The goal is 0.02 core at 1 Mb/s.
"""

import argparse
import asyncio
import json
import os
import resource
import socket
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import msgspec

from media.clock_map import SECOND_NS, ns_to_ntp
from media.gates import GatePage
from media.tap_record import (
    CODEC_NAMES,
    FLAG_KEYFRAME_START,
    RtpRecord,
    SrRecord,
    TapHeader,
    encode_record,
)
from recorder.worker.messages import Flushed, FromWorker, OpenTap, Person, Ready, RecordConfig, Stop
from server.supervise import Supervisor, Worker

GOAL_CORE: Final = 0.02
_OUT: Final = Path(__file__).parent / "out"
_FPS: Final = 25
_AUDIO_HZ: Final = 50
_AUDIO_BYTES: Final = 80
_MTU: Final = 1_100
_TURN_S: Final = 0.005
_NTP_NS: Final = 3_900_000_000 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Figures:
    """One run's result."""

    participants: int
    kbps: int
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


class _Person:
    """One synthetic publisher: VP8 frames of equal size, a keyframe every ten seconds, Opus at 32 kb/s."""

    def __init__(self, index: int, kbps: int, start_ns: int) -> None:
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
        is_key = number % (10 * _FPS) == 0
        head = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" if is_key else b"\x11\x02\x00"
        frame = head + bytes([number & 0xFF]) * (self._frame_bytes - len(head))
        chunks = [frame[at : at + _MTU] for at in range(0, len(frame), _MTU)]
        return [
            self._rtp(
                0,
                bytes([0x90 if index == 0 else 0x80, 0x80, 0x80 | number >> 8 & 0x7F, number & 0xFF]) + chunk,
                at_ns,
                is_last=index == len(chunks) - 1,
                flags=FLAG_KEYFRAME_START if is_key and index == 0 else 0,
            )
            for index, chunk in enumerate(chunks)
        ]

    def _header(self, kind: int, at_ns: int, flags: int = 0) -> TapHeader:
        return TapHeader(
            tap=2 * self.index + kind + 1,
            encoding_index=0,
            gate_slot=self.index + 1,
            gate_version=1,
            arrival_ns=self._start_ns + at_ns,
            ssrc=2 * self.index + kind + 1,
            flags=flags,
            codec=CODEC_NAMES.index("opus" if kind else "vp8"),
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


class _Bench:
    """One worker with its folder, sink and gate page."""

    def __init__(self, worker: Worker, page: GatePage, near: socket.socket, origin_ns: int) -> None:
        self.worker = worker
        self.page = page
        self.near = near
        self.origin_ns = origin_ns
        self.decoder = msgspec.msgpack.Decoder(FromWorker)

    @classmethod
    async def start(cls, supervisor: Supervisor, folder: Path, participants: int) -> "_Bench":
        """Start the worker and wait until it listens."""
        page = GatePage.create(participants + 2)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        near.setblocking(False)
        gates = page.read_only_fd()
        origin_ns = time.monotonic_ns()
        config = RecordConfig(str(folder), "rec_bench", "rm_bench", "bench", origin_ns, 0, 32 << 20)
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

    async def play(self, participants: int, kbps: int, seconds: float) -> int:
        """Send in real time, a datagram for each participant and turn; packets sent."""
        start_ns = time.monotonic_ns()
        people = [_Person(index, kbps, start_ns) for index in range(participants)]
        sent = [[0, 0] for _ in people]
        loop = asyncio.get_running_loop()
        while (elapsed_ns := time.monotonic_ns() - start_ns) < seconds * SECOND_NS:
            for person in people:
                records = person.due(elapsed_ns, sent[person.index])
                for at in range(0, len(records), 40):
                    await loop.sock_sendall(self.near, b"".join(records[at : at + 40]))
            await asyncio.sleep(_TURN_S)
        return sum(person.packets for person in people)

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


async def measure(participants: int, kbps: int, seconds: float) -> Figures:
    """Run once."""
    supervisor = Supervisor()
    with tempfile.TemporaryDirectory() as folder:
        bench = await _Bench.start(supervisor, Path(folder), participants)
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
        core_per_participant=cpu_s / elapsed_s / participants,
        core_idle=idle,
        packets_per_s=packets / elapsed_s,
        us_per_packet=cpu_s / packets * 1e6,
        rss_mib=rss_mib,
        written_mib=written / (1 << 20),
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--participants", type=int, default=10)
    parser.add_argument("--kbps", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    figures = asyncio.run(measure(options.participants, options.kbps, options.seconds))
    verdict = "reached" if figures.core_per_participant <= GOAL_CORE else "missed"
    print(f"recorder: {figures.core_per_participant:.4f} core per participant at {figures.kbps} kb/s")
    print(f"  goal {GOAL_CORE} {verdict}; {figures.us_per_packet:.1f} us a packet, {figures.rss_mib:.0f} MiB")
    _OUT.mkdir(exist_ok=True)
    (_OUT / "recorder.json").write_text(json.dumps(asdict(figures), indent=2) + "\n")


if __name__ == "__main__":
    main()
