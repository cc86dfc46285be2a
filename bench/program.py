"""What a composed program costs beside the `ffmpeg` command with the same graph, and whether it keeps pace.

`parley bench program`. A real program process, started by the server's own
supervisor, takes 1280 x 720 VP8 at 30 pictures a second and Opus of each person from a real socket at the
pace of time, and makes 1280 x 720 H.264 (veryfast) and AAC for HLS. Then the command decodes, scales, stacks,
mixes and encodes the same clips with one thread for each codec. CPU time of each (user and system, all
threads) for a second of program is compared; the goal is 1.15. The pictures are counted in what came out.
"""

import asyncio
import io
import itertools
import math
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import msgspec
import numpy as np

from bench.target import TargetFailed
from media.clock_map import SECOND_NS, ns_to_ntp
from media.gates import GatePage
from media.layout import arrange
from media.tap_record import CODEC_NAMES, FLAG_KEYFRAME_START, RtpRecord, SrRecord, TapHeader, encode_record
from rebroadcast.worker.messages import (
    FromWorker,
    HlsPiece,
    HlsStart,
    OpenTap,
    OutputConfig,
    Person,
    ProgramConfig,
    Progress,
    Stop,
)
from server.supervise import Supervisor, Worker

GOAL_RATIO: Final = 1.15
_HELD: Final = 0.98
"""Share of the pictures that make a rate that is held."""
_WIDTH: Final = 1280
_HEIGHT: Final = 720
_FPS: Final = 30
_VIDEO_BPS: Final = 2_500_000
_CLIPS: Final = 2
"""Different ones; more people show them again."""
_CLIP_S: Final = 2
_CLIP_BPS: Final = 1_500_000
_MTU: Final = 1_100
_TURN_S: Final = 0.005
_WARM_S: Final = 3
_TOLD_S: Final = 2.5
"""By then a program has said that it lost pictures."""
_EPOCH_SLOT: Final = 1
_NTP_NS: Final = 3_900_000_000 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a program made, and took for it."""

    people: int
    cores: float
    """CPU time of the program process for a second of program."""
    fps: float
    """Pictures a second in what came out."""
    longest_gap_ms: float
    """Between two pictures of it."""
    skipped: int
    lowered: str
    """What the program said that it lowered."""
    rss_mib: float

    def line(self) -> str:
        """What to print of it."""
        held = f"{self.fps:.2f} pictures a second, at most {self.longest_gap_ms:.0f} ms apart"
        return f"  {held}, {self.skipped} left out; {self.lowered or 'nothing lowered'}"

    def problems(self) -> list[str]:
        """A lower rate that nobody was told of."""
        if self.lowered or self.fps >= _HELD * _FPS:
            return []
        return [f"{self.fps:.1f} pictures a second instead of {_FPS}, and nothing is said to be lowered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A program beside the command."""

    made: Made
    ffmpeg_cores: float
    """CPU time of the `ffmpeg` command for a second of program."""
    ratio: float
    goal: float = GOAL_RATIO

    def lines(self) -> list[str]:
        """What to print."""
        took = f"{self.made.cores:.3f} cores, ffmpeg {self.ffmpeg_cores:.3f}, ratio {self.ratio:.2f}"
        return [
            f"program of {self.made.people}: {took} (goal {self.goal}); {self.made.rss_mib:.0f} MiB",
            self.made.line(),
        ]

    def problems(self) -> list[str]:
        """What was missed; the cost is judged at the whole rate alone."""
        found = self.made.problems()
        if not self.made.lowered and self.ratio > self.goal:
            found.append(f"the program takes {self.ratio:.2f} of what the ffmpeg command takes")
        return found


class Clip:
    """Somebody's camera and microphone: a few seconds, to be repeated."""

    def __init__(self, index: int) -> None:
        self.video = _encode_video(index)
        self.audio = _encode_audio(220 + 55 * index)

    def write(self, path: Path) -> None:
        """As a file for the command."""
        with av.open(str(path), "w", format="webm") as container:
            video = container.add_stream("libvpx", rate=_FPS)
            video.width, video.height = _WIDTH, _HEIGHT
            audio = container.add_stream("libopus", rate=48_000)
            for stream, frames, rate in (
                (video, self.video, _FPS),
                (audio, [(a, True) for a in self.audio], 50),
            ):
                for number, (data, is_keyframe) in enumerate(frames):
                    packet = av.Packet(data)
                    packet.pts = packet.dts = number
                    packet.time_base, packet.is_keyframe, packet.stream = (
                        Fraction(1, rate),
                        is_keyframe,
                        stream,
                    )
                    container.mux(packet)


class _Feed:
    """Writes one person's clip to the sink as the core would."""

    def __init__(self, index: int, clip: Clip, start_ns: int) -> None:
        self._index = index
        self._clip = clip
        self._start_ns = start_ns
        self._seqs = [0, 0]
        self._sent = [0, 0]
        self._reported_s = -1

    def due(self, elapsed_ns: int) -> list[bytes]:
        """Records of everything due."""
        out: list[bytes] = []
        if elapsed_ns // SECOND_NS > self._reported_s:
            self._reported_s = elapsed_ns // SECOND_NS
            out += [self._report(kind, elapsed_ns) for kind in (0, 1)]
        while self._sent[0] * SECOND_NS // _FPS <= elapsed_ns:
            out += self._picture(self._sent[0])
            self._sent[0] += 1
        while self._sent[1] * SECOND_NS // 50 <= elapsed_ns:
            payload = self._clip.audio[self._sent[1] % len(self._clip.audio)]
            out.append(self._rtp(1, payload, self._sent[1] * SECOND_NS // 50, is_last=True, flags=0))
            self._sent[1] += 1
        return out

    def _picture(self, number: int) -> list[bytes]:
        data, is_keyframe = self._clip.video[number % len(self._clip.video)]
        pieces = [data[at : at + _MTU] for at in range(0, len(data), _MTU)]
        return [
            self._rtp(
                0,
                (b"\x00" if place else b"\x10") + piece,
                number * SECOND_NS // _FPS,
                is_last=place == len(pieces) - 1,
                flags=FLAG_KEYFRAME_START if is_keyframe and not place else 0,
            )
            for place, piece in enumerate(pieces)
        ]

    def _header(self, kind: int, at_ns: int, flags: int = 0) -> TapHeader:
        tap = 2 * self._index + kind + 1
        codec = CODEC_NAMES.index("opus" if kind else "vp8")
        return TapHeader(tap, 0, self._index + 2, 1, self._start_ns + at_ns, tap, flags, codec)

    def _rtp(self, kind: int, payload: bytes, at_ns: int, *, is_last: bool, flags: int) -> bytes:
        head = bytes([0x80, (111 if kind else 96) | (0x80 if is_last and not kind else 0)])
        head += (self._seqs[kind] & 0xFFFF).to_bytes(2, "big")
        head += _rtp_ts(kind, at_ns).to_bytes(4, "big") + (2 * self._index + kind + 1).to_bytes(4, "big")
        self._seqs[kind] += 1
        return encode_record(RtpRecord(self._header(kind, at_ns, flags), head + payload))

    def _report(self, kind: int, at_ns: int) -> bytes:
        return encode_record(
            SrRecord(self._header(kind, at_ns), ns_to_ntp(_NTP_NS + at_ns), _rtp_ts(kind, at_ns), 0)
        )


def _rtp_ts(kind: int, at_ns: int) -> int:
    return at_ns * (48_000 if kind else 90_000) // SECOND_NS & 0xFFFFFFFF


def _encode_video(index: int) -> list[tuple[bytes, bool]]:
    """A moving texture with some noise: neither still nor impossible."""
    context = av.VideoCodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, _FPS), Fraction(_FPS)
    context.bit_rate, context.gop_size, context.thread_count = _CLIP_BPS, _FPS * _CLIP_S, 1
    context.options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    random = np.random.default_rng(index)
    rows, columns = np.mgrid[0 : _HEIGHT * 3 // 2, 0:_WIDTH].astype(np.float32)
    frames: list[tuple[bytes, bool]] = []
    for number in range(_FPS * _CLIP_S):
        wave = 110 + 70 * np.sin(columns / (23 + index) + number / 5) * np.cos(rows / 31 - number / 9)
        noise = random.normal(0, 3, (1, _WIDTH)).astype(np.float32)
        picture = np.clip(wave + noise, 16, 235).astype(np.uint8)
        picture[_HEIGHT:] = 110 + 10 * (index % 4)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        frames += [(bytes(packet), packet.is_keyframe) for packet in context.encode(frame)]
    return frames


def _encode_audio(hz: int) -> list[bytes]:
    context = av.AudioCodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "flt"
    context.bit_rate = 32_000
    times = np.arange(48_000 * _CLIP_S) / 48_000
    sound = np.repeat((0.2 * np.sin(2 * math.pi * hz * times)).astype(np.float32), 2)
    packets: list[bytes] = []
    for start in range(0, len(sound), 1920):
        data = sound[start : start + 1920].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, start // 2
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


class _Heard:
    """What the program process told: how it does, and what it made."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self._made = bytearray()

    async def listen(self, worker: Worker) -> None:
        """Take it all, until the process ends."""
        decoder = msgspec.msgpack.Decoder(FromWorker)
        while (message := await worker.control.receive(decoder)) is not None:
            if isinstance(message, Progress):
                self.progress.append(message)
            elif isinstance(message, HlsStart):
                self._made += message.init
            elif isinstance(message, HlsPiece):
                self._made += message.data

    def pictures(self, from_s: float, until_s: float) -> tuple[float, float]:
        """Pictures a second between these times, and the longest time between two of them in ms."""
        with av.open(io.BytesIO(self._made), "r") as container:
            stream = container.streams.video[0]
            times = [
                float(packet.pts * packet.time_base)
                for packet in container.demux(stream)
                if packet.pts is not None and packet.time_base is not None
            ]
        times = [at for at in times if from_s <= at <= until_s]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        return len(gaps) / sum(gaps), max(gaps) * 1000


async def measure(people: int, seconds: float) -> Figures:
    """Run both once."""
    clips = _clips(people)
    made = await _program(clips, seconds)
    ffmpeg_cores = await asyncio.to_thread(_command, clips, seconds)
    return Figures(made=made, ffmpeg_cores=ffmpeg_cores, ratio=made.cores / ffmpeg_cores)


async def hold(people: int, seconds: float) -> Made:
    """Run the program alone."""
    return await _program(_clips(people), seconds)


def _clips(people: int) -> list[Clip]:
    made = [Clip(index) for index in range(min(people, _CLIPS))]
    return [made[index % _CLIPS] for index in range(people)]


async def _program(clips: list[Clip], seconds: float) -> Made:
    supervisor = Supervisor()
    page = GatePage.create(len(clips) + 3)
    page.store_open(_EPOCH_SLOT, 1)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    near.setblocking(False)
    gates = page.read_only_fd()
    config = ProgramConfig(_EPOCH_SLOT, width=_WIDTH, height=_HEIGHT, fps=_FPS, video_bps=_VIDEO_BPS)
    fds = {"sink": far.fileno(), "gates": gates}
    worker = await supervisor.spawn("rebroadcast.worker", fds, msgspec.to_builtins(config))
    os.close(gates)
    far.close()
    for index in range(len(clips)):
        _enter(worker, page, index)
    worker.control.send(OutputConfig("out", "hls"))
    heard = _Heard()
    listening = asyncio.create_task(heard.listen(worker))
    playing = asyncio.create_task(_play(near, clips, _WARM_S + seconds + _TOLD_S))
    await asyncio.sleep(_WARM_S)
    before, started = _cpu_s(worker.pid), time.monotonic()
    await playing
    cores = (_cpu_s(worker.pid) - before) / (time.monotonic() - started)
    rss_mib = _rss_mib(worker.pid)
    worker.control.send(Stop())
    await listening
    await worker.wait()
    near.close()
    page.close()
    await supervisor.close()
    fps, longest_gap_ms = await asyncio.to_thread(heard.pictures, _WARM_S, _WARM_S + seconds)
    return Made(
        people=len(clips),
        cores=cores,
        fps=fps,
        longest_gap_ms=longest_gap_ms,
        skipped=heard.progress[-1].skipped,
        lowered=next((said.lowered for said in reversed(heard.progress[_WARM_S:]) if said.lowered), ""),
        rss_mib=rss_mib,
    )


def _enter(worker: Worker, page: GatePage, index: int) -> None:
    person = f"u_{index}"
    page.store_open(index + 2, 1)
    worker.control.send(Person(person, f"p_{index}", f"Person {index}", True))
    worker.control.send(OpenTap(2 * index + 1, person, f"p_{index}", "video", "camera", index + 2, 1))
    worker.control.send(OpenTap(2 * index + 2, person, f"p_{index}", "audio", "mic", index + 2, 1))


async def _play(near: socket.socket, clips: list[Clip], seconds: float) -> None:
    start_ns = time.monotonic_ns()
    feeds = [_Feed(index, clip, start_ns) for index, clip in enumerate(clips)]
    loop = asyncio.get_running_loop()
    while (elapsed_ns := time.monotonic_ns() - start_ns) < seconds * SECOND_NS:
        for feed in feeds:
            records = feed.due(elapsed_ns)
            for at in range(0, len(records), 40):
                await loop.sock_sendall(near, b"".join(records[at : at + 40]))
        await asyncio.sleep(_TURN_S)


def _command(clips: list[Clip], seconds: float) -> float:
    """CPU time of `ffmpeg` for each second of the same program."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise TargetFailed("the ffmpeg command is not installed: it is what the program is compared with")
    rects = arrange("grid", 0, len(clips), _WIDTH, _HEIGHT)
    scaled = "".join(
        f"[{n}:v]fps={_FPS},scale={rect.width}:{rect.height}[v{n}];" for n, rect in enumerate(rects)
    )
    places = "|".join(f"{rect.x}_{rect.y}" for rect in rects)
    stacked = "".join(f"[v{n}]" for n in range(len(rects)))
    graph = (
        f"{scaled}{stacked}xstack=inputs={len(rects)}:layout={places}:fill=black,"
        f"pad={_WIDTH}:{_HEIGHT}[video];" + "".join(f"[{n}:a]" for n in range(len(rects)))
    )
    graph += f"amix=inputs={len(rects)}[audio]"
    with tempfile.TemporaryDirectory() as folder:
        inputs: list[str] = []
        for number, clip in enumerate(clips):
            path = Path(folder) / f"{number}.webm"
            clip.write(path)
            inputs += ["-threads", "1", "-stream_loop", "-1", "-i", str(path)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        options = (
            f"-map [video] -map [audio] -t {seconds} -c:v libx264 -threads:v 1 -preset veryfast "
            f"-tune zerolatency -profile:v main -bf 0 -sc_threshold 0 -b:v {_VIDEO_BPS} "
            f"-maxrate {_VIDEO_BPS} -bufsize {_VIDEO_BPS} -g {2 * _FPS} -c:a aac -b:a 128k -f mp4 -y"
        )
        filtering = ["-filter_complex_threads", "1", "-filter_complex", graph]
        target = str(Path(folder) / "out.mp4")
        subprocess.run(
            [ffmpeg, "-v", "error", "-nostdin", *inputs, *filtering, *options.split(), target], check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)
