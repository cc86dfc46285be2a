"""The sound of a rendition: everyone mixed and encoded, and who was the loudest when."""

from collections.abc import Callable, Generator, Sequence
from fractions import Fraction
from typing import BinaryIO, Final, cast

import av
import numpy as np
from av.audio.stream import AudioStream

from media.mixer import SAMPLE_RATE, Mixer, Samples
from media.parts import Opener, sounds
from recorder.manifest import FileEntry
from recorder.render.messages import Format

BLOCK: Final = SAMPLE_RATE // 10
"""Samples between two looks at who is the loudest."""
_AUDIBLE: Final = 0.01
SOUND_CONTAINERS: Final = {"mp4": "mp4", "webm": "matroska"}
"""Containers that keep the encoder's delay."""
_CODECS: Final = {"mp4": ("aac", "fltp", 1024), "webm": ("libopus", "flt", 960)}
"""Codec, sample format and samples of a frame."""


class Voice:
    """One person's microphone over all its parts, read as far as it is needed."""

    def __init__(self, person: str, files: Sequence[FileEntry], opened: Opener) -> None:
        self.person = person
        self._pieces = self._read(sorted(files, key=lambda file: file.start_ms), opened)
        self._next = next(self._pieces, None)

    def until(self, end: int) -> list[tuple[int, Samples]]:
        """The pieces that begin before sample `end` and were not given yet."""
        found = []
        while self._next is not None and self._next[0] < end:
            found.append(self._next)
            self._next = next(self._pieces, None)
        return found

    def close(self) -> None:
        """Closes the file that is open."""
        self._pieces.close()

    @staticmethod
    def _read(files: Sequence[FileEntry], opened: Opener) -> Generator[tuple[int, Samples], None, None]:
        for file in files:
            yield from sounds(file, opened)


def mix_down(
    voices: Sequence[Voice],
    target: BinaryIO,
    format_: Format,
    duration_ms: int,
    progress: Callable[[float], None],
) -> list[str]:
    """Writes the sound as a file of its own; the loudest person of each tenth of a second, empty for nobody.

    Raises:
        OSError.
    """
    mixer = Mixer()
    loudest: list[str] = []
    codec, sample_format, size = _CODECS[format_]
    blocks = duration_ms * SAMPLE_RATE // 1000 // BLOCK + 1
    with av.open(target, "w", format=SOUND_CONTAINERS[format_]) as container:
        stream = cast("AudioStream", container.add_stream(codec, rate=SAMPLE_RATE))
        stream.codec_context.layout, stream.codec_context.format = "stereo", sample_format
        stream.codec_context.bit_rate = 128_000
        waiting: Samples = np.zeros((0, 2), dtype=np.float32)
        at = 0
        for block in range(blocks):
            loudest.append(_push(voices, mixer, (block + 1) * BLOCK))
            waiting = np.concatenate((waiting, mixer.pull(BLOCK)))
            whole = len(waiting) // size * size
            for start in range(0, whole, size):
                container.mux(stream.encode(_frame(waiting[start : start + size], sample_format, at)))
                at += size
            waiting = waiting[whole:]
            if block % 100 == 0:
                progress(block / blocks)
        container.mux(stream.encode(None))
    return loudest


def _push(voices: Sequence[Voice], mixer: Mixer, end: int) -> str:
    best, who = _AUDIBLE, ""
    for number, voice in enumerate(voices):
        level = 0.0
        for start, samples in voice.until(end):
            mixer.push(number, start, samples)
            level = max(level, float(np.sqrt(np.mean(samples**2)))) if len(samples) else level
        if level > best:
            best, who = level, voice.person
    return who


def _frame(samples: Samples, sample_format: str, at: int) -> av.AudioFrame:
    data = samples.T if sample_format == "fltp" else samples.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=sample_format, layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
    return frame
