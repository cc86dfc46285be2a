"""What `kill -9` of a recorder costs: many workers, each killed at a random moment, each folder finished.

`parley bench kills`. Two people with pictures of one codec, by turns of each, and Opus are recorded by a real
worker process in real time; the loss of a file is the time from its last frame to the kill. Every file must
be finished and decode to its last frame. The loss is to stay under a second.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import msgspec
import numpy as np
from av.video.codeccontext import VideoCodecContext

from bench.recorder import Clip, WorkerBench
from bench.studio.encoded import VIDEO_ENCODERS, lay_down_priority
from media.clock_map import SECOND_NS
from media.sealed import new_key
from recorder import DataKeys, KeyAccess, KeyStore, MasterKeys, open_part
from recorder.worker.messages import FinishConfig, Finished, FromWorker
from server.supervise import Supervisor

LOST_MAX_S: Final = 1.0
_PEOPLE: Final = 2
_KBPS: Final = 500
_SHORTEST_S: Final = 1.5
_LONGEST_S: Final = 4.5
_FPS: Final = 25
_PICTURES: Final = 2 * _FPS


@dataclass(frozen=True, slots=True)
class Kill:
    """One worker's end."""

    after_s: float
    """From the start of the media to the kill."""
    files: int
    lost_s: float
    """The most that one of its files lost."""
    problems: list[str]
    """Files that do not play, and the like."""
    away_s: float = 0.0
    """How long a broadcast was off the air."""
    codec: str = "vp8"
    """Of the pictures."""


def clip(codec: str) -> Clip:
    """Two seconds of pictures."""
    name, options = VIDEO_ENCODERS[codec]
    encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, _FPS), Fraction(_FPS)
    encoder.thread_count = 1
    encoder.max_b_frames, encoder.options = 0, dict(options)
    rng = np.random.default_rng(1)
    packets = []
    for number in range(_PICTURES):
        image = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8) // 4 + number
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    lay_down_priority()
    return Clip(codec, [(bytes(packet), packet.is_keyframe) for packet in packets])


async def kill_one(after_s: float, shown: Clip, *, is_sealed: bool) -> Kill:
    """Record for a while, kill the worker, finish the folder, look at every file."""
    supervisor = Supervisor()
    try:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as key_folder:
            store = KeyStore(Path(key_folder), MasterKeys([new_key()]))
            keys = store.access("rec_bench") if is_sealed else None
            bench = await WorkerBench.start(supervisor, Path(folder), _PEOPLE, keys)
            for index in range(_PEOPLE):
                bench.enter(index)
            await bench.play(_PEOPLE, _KBPS, after_s, shown)
            bench.worker.kill()
            killed_s = (time.monotonic_ns() - bench.origin_ns) / SECOND_NS
            await bench.kill()
            kill = await _judge(supervisor, Path(folder), keys, after_s, killed_s)
            return replace(kill, codec=shown.codec)
    finally:
        await supervisor.close()


async def _judge(
    supervisor: Supervisor, folder: Path, keys: KeyAccess | None, after_s: float, killed_s: float
) -> Kill:
    worker = await supervisor.spawn(
        "recorder.worker", {}, msgspec.to_builtins(FinishConfig(str(folder), keys))
    )
    decoder, is_finished = msgspec.msgpack.Decoder(FromWorker), False
    while (message := await worker.control.receive(decoder)) is not None:
        is_finished |= isinstance(message, Finished)
    await worker.wait()
    await worker.control.close()
    if not is_finished:
        return Kill(after_s, 0, killed_s, ["the folder was not finished"])
    manifest = json.loads((folder / "manifest.draft.json").read_bytes())
    held = DataKeys(keys) if keys is not None else None
    problems = [f"{name} is put aside" for name in manifest["quarantined"]]
    if len(manifest["files"]) != 2 * _PEOPLE:
        problems.append(f"{len(manifest['files'])} files instead of {2 * _PEOPLE}")
    for entry in manifest["files"]:
        if entry["kind"] == "video":
            with open_part(folder / entry["name"], held) as file, av.open(file, "r") as container:
                decoded = len(list(container.decode(video=0)))
            if decoded != entry["frames"]:
                problems.append(f"{entry['name']}: {decoded} of {entry['frames']} frames decode")
    lost_s = max((killed_s - entry["end_ms"] / 1000 for entry in manifest["files"]), default=killed_s)
    return Kill(after_s, len(manifest["files"]), lost_s, problems)


async def measure(
    kills: int,
    seed: int,
    *,
    is_sealed: bool,
    note: Callable[[str], None],
    codecs: Sequence[str] = tuple(VIDEO_ENCODERS),
) -> list[Kill]:
    """Kill one after the other, telling each; the codecs take turns."""
    rng, clips = random.Random(seed), [clip(codec) for codec in codecs]
    found = []
    for number in range(kills):
        shown = clips[number % len(clips)]
        kill = await kill_one(rng.uniform(_SHORTEST_S, _LONGEST_S), shown, is_sealed=is_sealed)
        found.append(kill)
        told = "; ".join(kill.problems) or "all play"
        lost = f"lost {kill.lost_s * 1000:4.0f} ms"
        note(f"{number + 1:3}: {kill.codec:4} after {kill.after_s:.2f} s {lost}, {told}")
    return found


def line(kills: Sequence[Kill]) -> str:
    """What to print."""
    lost = sorted(kill.lost_s for kill in kills)
    away = sorted(kill.away_s for kill in kills)
    told = f"lost by kill -9: median {lost[len(lost) // 2] * 1000:.0f} ms, most {lost[-1] * 1000:.0f} ms"
    if away[-1]:
        told += f"; off the air: median {away[len(away) // 2]:.2f} s, most {away[-1]:.2f} s"
    return told


def problems(kills: Sequence[Kill]) -> list[str]:
    """Files that do not play, and losses of more than is allowed."""
    late = [f"{kill.lost_s:.2f} s were lost" for kill in kills if kill.lost_s > LOST_MAX_S]
    return [problem for kill in kills for problem in kill.problems] + late
