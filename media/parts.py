"""What the parts of a recording show and sound like at a time of its time line. Belongs to one thread."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import BinaryIO, Final, Protocol

import av
import numpy as np
from av.container import InputContainer

from media.mixer import SAMPLE_RATE, Samples

Opener = Callable[[str], BinaryIO]
"""Opens a file of the recording by its name, as plain bytes."""
HOLD_MS: Final = 1_000
"""How long the last picture of a part stays."""
BRIDGED_MS: Final = 3_000
"""It stays until the next part where that begins so soon: a change of simulcast encoding takes a second of
silence and a keyframe."""
_SEEK_FROM_MS: Final = 3_000


class Part(Protocol):
    """One media file of a recording. Its own timestamps are on the recording's time line."""

    @property
    def name(self) -> str:
        """Of the file."""

    @property
    def start_ms(self) -> int:
        """First frame."""

    @property
    def end_ms(self) -> int:
        """Last frame."""


def container_of(name: str) -> str:
    """The demuxer of a part: never guessed from what is in it."""
    return "mp4" if name.endswith(".mp4") else "matroska"


class VideoSource:
    """Pictures of one person's camera or screen over all its parts; times are asked in rising order."""

    def __init__(
        self, files: Sequence[Part], mutes: Sequence[Mapping[str, int | bool]], opened: Opener
    ) -> None:
        self._files = sorted(files, key=lambda file: file.start_ms)
        self._mutes = sorted(mutes, key=lambda mute: int(mute["at_ms"]))
        self._open = opened
        self._current: Part | None = None
        self._frames: Iterator[tuple[float, av.VideoFrame]] = iter(())
        self._next: tuple[float, av.VideoFrame] | None = None
        self._shown: av.VideoFrame | None = None
        self._container: InputContainer | None = None
        self._file: BinaryIO | None = None

    def add(self, file: Part, mutes: Sequence[Mapping[str, int | bool]]) -> None:
        """One more part, with what is known of mutes besides."""
        self._files = sorted([*self._files, file], key=lambda file: file.start_ms)
        self._mutes = sorted([*self._mutes, *mutes], key=lambda mute: int(mute["at_ms"]))

    def picture(self, at_ms: float, *, frames_most: int | None = None) -> av.VideoFrame | None:
        """What is shown at that time; None when nothing is.

        `frames_most`: decode no more than so many; None is shown until the time is reached.
        """
        file = next((file for file in reversed(self._files) if file.start_ms <= at_ms), None)
        if file is not self._current:
            self._begin(file, at_ms)
        if file is None or at_ms > self._stays_until_ms(file):
            self.close()
            return None
        decoded = 0
        while self._next is not None and self._next[0] <= at_ms and decoded != frames_most:
            self._shown = self._next[1]
            self._next = next(self._frames, None)
            decoded += 1
        is_behind = self._next is not None and self._next[0] <= at_ms
        return None if is_behind or self._is_muted(at_ms) else self._shown

    def close(self) -> None:
        """Closes the file that is open."""
        self._frames = iter(())
        self._shown = self._next = None
        if self._container is not None:
            self._container.close()
        if self._file is not None:
            self._file.close()
        self._container = self._file = None

    def _begin(self, file: Part | None, at_ms: float) -> None:
        self.close()
        self._current = file
        if file is None:
            return
        self._file = self._open(file.name)
        container = self._container = av.open(self._file, "r", format=container_of(file.name))
        if at_ms - file.start_ms > _SEEK_FROM_MS:
            container.seek(int(at_ms * 1000), backward=True)
        self._frames = _pictures(container)
        self._next = next(self._frames, None)

    def _stays_until_ms(self, file: Part) -> int:
        after = next((later for later in self._files if later.start_ms > file.start_ms), None)
        stays_ms = file.end_ms + HOLD_MS
        if after is None or after.start_ms - file.end_ms > BRIDGED_MS:
            return stays_ms
        return max(after.start_ms, stays_ms)

    def _is_muted(self, at_ms: float) -> bool:
        said = [bool(mute["is_muted"]) for mute in self._mutes if int(mute["at_ms"]) <= at_ms]
        return bool(said) and said[-1]


def _pictures(container: InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
    stream = container.streams.video[0]
    stream.thread_count = 1
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue  # a damaged picture costs itself
        for frame in frames:
            if isinstance(frame, av.VideoFrame) and frame.time is not None:
                yield frame.time * 1000, frame


def sounds(file: Part, opened: Opener, *, from_ms: float = 0) -> Generator[tuple[int, Samples], None, None]:
    """(sample number on the time line, 48 kHz stereo) of an audio part, in order; from about a time on."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
    with opened(file.name) as source, av.open(source, "r", format=container_of(file.name)) as container:
        if from_ms - file.start_ms > _SEEK_FROM_MS:
            container.seek(int(from_ms * 1000), backward=True)
        for packet in container.demux(container.streams.audio[0]):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue  # silence of its own length
            for frame in frames:
                if not isinstance(frame, av.AudioFrame) or frame.time is None:
                    continue
                start = round(frame.time * SAMPLE_RATE)
                for piece in resampler.resample(frame):
                    samples = np.ascontiguousarray(piece.to_ndarray().T, dtype=np.float32)
                    yield start, samples
                    start += len(samples)
