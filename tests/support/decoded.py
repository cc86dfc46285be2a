"""What a picture shows and a sound holds: the colours of a frame's parts, the tones of samples."""

import av
import numpy as np


def colours(path_or_file, *, at=None):
    """RGB pictures of a file's video, as arrays; only the last one when `at` is -1."""
    with av.open(path_or_file) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return frames if at is None else frames[at]


def share_of_colour(picture, rgb, tolerance=40):
    """Which part of a picture's pixels has about this colour, 0..1."""
    distance = np.abs(picture.astype(np.int16) - np.array(rgb, dtype=np.int16)).max(axis=2)
    return float((distance < tolerance).mean())


def samples(path_or_file):
    """A file's sound as mono float at 48 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    parts = []
    with av.open(path_or_file) as container:
        for frame in container.decode(audio=0):
            parts += [out.to_ndarray().reshape(-1) for out in resampler.resample(frame)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def tone_level(sound, hz, *, rate=48_000):
    """Amplitude of one tone in a sound, by correlation over the whole of it."""
    if not len(sound):
        return 0.0
    t = np.arange(len(sound)) / rate
    window = np.hanning(len(sound))
    return float(2 * np.abs(np.sum(sound * window * np.exp(-2j * np.pi * hz * t))) / np.sum(window))
