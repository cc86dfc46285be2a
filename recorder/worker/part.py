"""One media file while it grows: its open fragment sits here, in memory, until it is whole."""

from typing import Final

from media.containers import open_muxer
from media.gates import Gate
from media.mux import Sample, TrackFormat
from media.tap_stream import MediaFrame
from recorder.names import PartName
from recorder.worker.disk import Disk

FRAGMENT_NS: Final = 500_000_000
"""A fragment holds no more media time, and waits no longer for its end."""
FRAGMENT_MAX_BYTES: Final = 2 << 20
_MS_NS: Final = 1_000_000
_LAST_FRAME_NS: Final = 33_000_000


class Part:
    """Writes one file through the disk, behind one gate. Belongs to one thread."""

    def __init__(
        self, disk: Disk, person: str, source: str, number: int, track: TrackFormat, gate: Gate
    ) -> None:
        """Raises: MuxError when the format cannot be written."""
        self._muxer = open_muxer(track)
        self._disk = disk
        self._gate = gate
        self._person = person
        self._samples: list[Sample] = []
        self._sample_bytes = 0
        self._opened_ns = 0
        self._last_ns = -_MS_NS
        self._header: bytes | None = self._muxer.header()
        self.track = track
        self.name = str(PartName(person, source, number, self._muxer.extension))
        self.frames = 0
        """Frames handed to the disk."""

    def add(self, item: MediaFrame, time_ns: int, now_ns: int) -> bool:
        """Take a frame at its place on the time line; False when the disk refused the fragment before it."""
        time_ns = max(time_ns, self._last_ns + _MS_NS)
        is_taken = True
        if self._samples and (
            time_ns - self._samples[0].time_ns >= FRAGMENT_NS or self._sample_bytes >= FRAGMENT_MAX_BYTES
        ):
            is_taken = self.flush(time_ns)
        if not self._samples:
            self._opened_ns = now_ns
        self._samples.append(Sample(item.frame.data, time_ns, item.frame.is_keyframe))
        self._sample_bytes += len(item.frame.data)
        self._last_ns = time_ns
        return is_taken

    def due_ns(self) -> int | None:
        """CLOCK_MONOTONIC at which `flush` is to be called if no frame closes the fragment before."""
        return self._opened_ns + FRAGMENT_NS if self._samples else None

    def flush(self, end_ns: int | None = None) -> bool:
        """Close the open fragment and hand it to the disk; False when the disk refused it.

        Raises: MuxError when its frames cannot be written (the fragment is gone then).
        """
        samples, self._samples, self._sample_bytes = self._samples, [], 0
        if not samples:
            return True
        if end_ns is None:
            step_ns = samples[-1].time_ns - samples[-2].time_ns if len(samples) > 1 else _LAST_FRAME_NS
            end_ns = samples[-1].time_ns + step_ns
        # The last frame of a fragment ends where the next one begins, but not long after the fragment itself.
        data = self._muxer.fragment(samples, min(end_ns, samples[-1].time_ns + FRAGMENT_NS))
        if not self._disk.append(self.name, (self._header or b"") + data, self._gate, person=self._person):
            return False
        self._header = None
        self.frames += len(samples)
        return True

    def discard(self) -> None:
        """Forget the open fragment."""
        self._samples = []
        self._sample_bytes = 0

    def close(self) -> None:
        """Close the file behind what the disk has of it; the open fragment must be flushed or discarded."""
        self._disk.finish(self.name)
