"""Flash and beep: a white flash and a beep at the same instant of each second, and what became of them."""

from fractions import Fraction

import av
import numpy as np

FPS, RATE = 15, 48_000
FLASH_PICTURES = 2
BEEP_HZ, BEEP_MS = 1_500, 100
SECONDS = 4


def flash_and_beep(*, width=320, height=180):
    """VP8 frames and Opus packets of SECONDS seconds; each begins with a keyframe, a flash and a beep."""
    return _video(width, height), _audio()


def _video(width, height):
    context = av.CodecContext.create("libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.bit_rate = 200_000
    context.thread_count = 1
    context.options = {"deadline": "realtime", "lag-in-frames": "0", "g": str(FPS)}
    frames = []
    for index in range(FPS * SECONDS):
        level = 235 if index % FPS < FLASH_PICTURES else 30
        frame = av.VideoFrame.from_ndarray(np.full((height, width), level, dtype=np.uint8), format="gray")
        frame = frame.reformat(format="yuv420p")
        frame.pts = index
        if index % FPS == 0:
            frame.pict_type = av.video.frame.PictureType.I
        frames += [(bytes(p), p.is_keyframe) for p in context.encode(frame)]
    return frames


def _audio():
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = RATE, "stereo", "flt"
    context.options = {"application": "lowdelay"}
    context.open()
    t = np.arange(RATE * SECONDS) / RATE
    sound = np.where(t % 1.0 < BEEP_MS / 1000, 0.5 * np.sin(2 * np.pi * BEEP_HZ * t), 0.0).astype(np.float32)
    stereo = np.repeat(sound, 2)
    packets = []
    for start in range(0, len(stereo), 1920):
        frame = av.AudioFrame.from_ndarray(
            stereo[start : start + 1920].reshape(1, -1), format="flt", layout="stereo"
        )
        frame.sample_rate, frame.pts = RATE, start // 2
        packets += [bytes(p) for p in context.encode(frame)]
    return packets


def flash_times(path):
    """Seconds at which the picture turns white."""
    times, was_white = [], True
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            is_white = frame.to_ndarray(format="gray").mean() > 130
            if is_white and not was_white:
                times.append(float(frame.pts * frame.time_base))
            was_white = is_white
    return times


def beep_times(path):
    """Seconds at which the beep sets in."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        times, was_loud, last_loud = [], False, -1.0
        for frame in container.decode(stream):
            start = float(frame.pts * frame.time_base)
            sound = np.concatenate(
                [out.to_ndarray().reshape(-1) for out in resampler.resample(frame)] or [np.zeros(0)]
            )
            for offset in range(0, len(sound) - 47, 48):
                is_loud = np.abs(sound[offset : offset + 48]).max() > 0.1
                at = start + offset / RATE
                if is_loud and not was_loud and at - last_loud > 0.5:
                    times.append(at)
                if is_loud:
                    last_loud = at
                was_loud = is_loud
    return times


def av_offset_ms(flashes, beeps):
    """Median of (beep - flash) in ms over those that belong together."""
    pairs = [(beep - flash) * 1000 for flash in flashes for beep in beeps if abs(beep - flash) < 0.5]
    if not pairs:
        raise ValueError(f"no flash with its beep: {flashes[:5]} {beeps[:5]}")
    return float(np.median(pairs))
