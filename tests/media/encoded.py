"""Really encoded media for tests: small, deterministic, made once per process."""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from bench.studio.encoded import VIDEO_ENCODERS, lay_down_priority

VIDEO_CODECS = tuple(VIDEO_ENCODERS)


@dataclass(frozen=True)
class Encoded:
    """One encoded frame; `index` counts frames (video) or 20 ms packets (audio)."""

    data: bytes
    index: int
    is_keyframe: bool


@functools.cache
def video(codec, lumas, *, width=160, height=120, fps=25, gop=10_000, noise=False, bit_rate=0):
    """Frames of one grey level each (a tuple of 0..255), or of noise when the size matters."""
    name, options = VIDEO_ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, fps), fps
    context.gop_size, context.max_b_frames = gop, 0
    if bit_rate:
        context.bit_rate = bit_rate
    context.options = dict(options)
    context.thread_count = 1  # libvpx's threads spin while they wait: for minutes, on a busy machine
    random = np.random.default_rng(7)
    out = []

    def take(packets):
        out.extend(Encoded(bytes(packet), packet.pts, packet.is_keyframe) for packet in packets)

    for index, luma in enumerate(lumas):
        planes = np.full((height * 3 // 2, width), 128, np.uint8)
        planes[:height] = random.integers(16, 235, (height, width)) if noise else luma
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts = index
        take(context.encode(frame))
    take(context.encode(None))
    lay_down_priority()
    return tuple(out)


@functools.cache
def opus(levels, *, tone_hz=440):
    """20 ms packets, each a sine of the given amplitude (a tuple of 0..1)."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "s16"
    context.bit_rate = 64_000
    context.time_base = Fraction(1, 48_000)
    out = []

    def take(packets):
        out.extend(Encoded(bytes(packet), len(out) + at, True) for at, packet in enumerate(packets))

    for index, level in enumerate(levels):
        times = (np.arange(960) + 960 * index) / 48_000
        wave = (np.sin(2 * math.pi * tone_hz * times) * level * 30_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2).reshape(1, -1), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 960 * index, Fraction(1, 48_000)
        take(context.encode(frame))
    take(context.encode(None))
    return tuple(out)
