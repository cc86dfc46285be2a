"""What a picture shows and a sound holds: the colours of a frame's parts, the tones of samples."""

import av
import numpy as np

RATE = 48_000


def pictures(path_or_file, *, size=None):
    """(seconds, RGB array) of each picture of a file; `size`: (width, height) to scale it to."""
    width, height = size or (None, None)
    with av.open(path_or_file) as container:
        for frame in container.decode(video=0):
            yield frame.time, frame.reformat(width, height, format="rgb24").to_ndarray()


def colours(path_or_file, *, at=None):
    """RGB pictures of a file's video, as arrays; only the last one when `at` is -1."""
    frames = [picture for _, picture in pictures(path_or_file)]
    return frames if at is None else frames[at]


def share_of_colour(picture, rgb, tolerance=40):
    """Which part of a picture's pixels has about this colour, 0..1."""
    distance = np.abs(picture.astype(np.int16) - np.array(rgb, dtype=np.int16)).max(axis=2)
    return float((distance < tolerance).mean())


class Mono:
    """Turns decoded audio frames into mono float at RATE."""

    def __init__(self):
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)

    def samples(self, frame):
        return np.concatenate(
            [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)] or [_NONE]
        )


def sounds(path_or_file):
    """(seconds, samples as mono float at RATE) of each piece of a file's sound."""
    with av.open(path_or_file) as container:
        mono = Mono()
        for frame in container.decode(audio=0):
            yield frame.time, mono.samples(frame)


def samples(path_or_file):
    """A file's sound as mono float at RATE, without regard to its times."""
    return np.concatenate([_NONE, *(piece for _, piece in sounds(path_or_file))])


def tone_level(sound, hz, *, rate=RATE):
    """Amplitude of one tone in a sound, by correlation over the whole of it."""
    if not len(sound):
        return 0.0
    t = np.arange(len(sound)) / rate
    window = np.hanning(len(sound))
    return float(2 * np.abs(np.sum(sound * window * np.exp(-2j * np.pi * hz * t))) / np.sum(window))


def loudest(sound, hz, window_s):
    """The largest amplitude that a tone has in any window of a sound; windows overlap by half."""
    return max(tone_level(window, hz) for window in windows(sound, window_s))


def windows(sound, window_s):
    """A sound in windows that overlap by half; all of it when it is shorter than one."""
    size = int(window_s * RATE)
    starts = range(0, max(len(sound) - size, 0) + 1, size // 2)
    return [sound[start : start + size] for start in starts]


_NONE = np.zeros(0, dtype=np.float32)
