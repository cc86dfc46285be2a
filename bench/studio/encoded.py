"""Media encoded beforehand, to be played over and over: pictures in VP8, sounds in Opus."""

import contextlib
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np

from bench.studio.decoded import RATE, Picture, Sound

VIDEO_ENCODERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:lp=1"}),
}
"""Encoders that cost little and hold nothing back, with their options, by codec."""
_VIDEO_BPS: Final = 200_000
_PACKET_SAMPLES: Final = RATE // 50


def encode_colour(
    rgb: tuple[int, int, int], *, fps: int = 15, seconds: int = 2, width: int = 320, height: int = 180
) -> list[tuple[bytes, bool]]:
    """VP8 frames (data, is_keyframe) of one colour, in which a small white square moves."""
    pictures = []
    for index in range(fps * seconds):
        picture = np.full((height, width, 3), rgb, dtype=np.uint8)
        picture[:8, (index * 8) % width :][:, :8] = 255
        pictures.append(picture)
    return encode_pictures(pictures, fps=fps)


def encode_pictures(
    pictures: Sequence[Picture], *, fps: int, keyframe_every: int = 0
) -> list[tuple[bytes, bool]]:
    """VP8 frames (data, is_keyframe) of RGB pictures, one each; `keyframe_every`: 0 is the first alone."""
    height, width, _ = pictures[0].shape
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, fps), Fraction(fps)
    context.bit_rate = _VIDEO_BPS
    context.thread_count = 1
    context.options = {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
    frames: list[tuple[bytes, bool]] = []
    for index, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts = index
        if keyframe_every and index % keyframe_every == 0:
            frame.pict_type = av.video.frame.PictureType.I
        frames += [(bytes(packet), packet.is_keyframe) for packet in context.encode(frame)]
    return frames


def encode_tone(hz: float, *, seconds: int = 2, level: float = 0.3) -> list[bytes]:
    """Opus packets of 20 ms with one tone; `hz` times `seconds` should be whole, to repeat cleanly."""
    t = np.arange(RATE * seconds) / RATE
    return encode_sound((level * np.sin(2 * np.pi * hz * t)).astype(np.float32))


def encode_sound(sound: Sound, *, application: str = "audio") -> list[bytes]:
    """Opus packets of 20 ms, stereo, of mono samples at 48 kHz."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = RATE, "stereo", "flt"
    context.options = {"application": application}
    context.open()
    packets: list[bytes] = []
    for start in range(0, len(sound), _PACKET_SAMPLES):
        both = np.repeat(sound[start : start + _PACKET_SAMPLES], 2)
        frame = av.AudioFrame.from_ndarray(both.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate, frame.pts = RATE, start
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def lay_down_priority() -> None:
    """Give every thread of this process its usual scheduling back.

    SVT-AV1, run by root, gives the thread that calls it the highest real-time priority, for good. Processes
    that are started later would inherit it, and two browsers of that kind can lock up two cores.
    """
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
