"""Fuzz target: any bytes as a media file that is played again, and as a publisher's keyframe."""

import io
from contextlib import suppress
from dataclasses import dataclass

from media.parts import VideoSource, sounds
from rebroadcast.worker.encode import EncodeError, VideoFormat
from rebroadcast.worker.playback import _FAULTS
from tests.fuzz import harness


@dataclass(frozen=True)
class _Part:
    name: str
    start_ms: int = 0
    end_ms: int = 10_000


def one_input(data: bytes) -> None:
    for name in ("p-camera-001.mp4", "p-camera-001.webm"):
        source = VideoSource((_Part(name),), (), lambda _name: io.BytesIO(data))
        with suppress(*_FAULTS):
            for at_ms in (0, 40, 5_000):
                source.picture(at_ms, frames_most=4)
        source.close()
        with suppress(*_FAULTS):
            for start, samples in sounds(_Part(name), lambda _name: io.BytesIO(data), from_ms=5_000):
                assert samples.shape[1] == 2
                assert isinstance(start, int)
    with suppress(EncodeError):
        width, height = VideoFormat.of_keyframe(data, b"").size
        assert width > 0
        assert height > 0


if __name__ == "__main__":
    harness.run(one_input)
