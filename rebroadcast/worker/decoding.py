"""Decoding beside the program's thread: a few threads, which decode each track's frames in their order.

FFmpeg decodes without the GIL, so that tracks are decoded on as many cores as there are threads.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import av

from media.decode import DecodeError, VideoDecoder
from media.tap_stream import MediaFrame

FRAMES_WAITING: Final = 64
"""Of one track. When decoding is that far behind, what waits is dropped and a keyframe is wanted."""
PICTURES_WAITING: Final = 16

Picture = tuple[int, av.VideoFrame]
"""A time (CLOCK_MONOTONIC, ns) and what was to be seen then."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Something is missing: nothing can be decoded before the next keyframe."""


class DecodeThreads:
    """Threads that all tracks share: each takes the track whose turn it is, and decodes its next frame."""

    def __init__(self, count: int) -> None:
        self._turns: SimpleQueue[DecodedTrack | None] = SimpleQueue()
        self._busy_ns = [0] * count
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"decode {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy_ns(self) -> int:
        """How long each of the threads has worked, on average."""
        return sum(self._busy_ns) // len(self._busy_ns)

    def track(self) -> "DecodedTrack":
        """A new track."""
        return DecodedTrack(self._turns)

    def close(self) -> None:
        """Ends the threads; what waits is not decoded."""
        for _ in self._threads:
            self._turns.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        while (track := self._turns.get()) is not None:
            began_ns = time.monotonic_ns()
            track.step()
            self._busy_ns[number] += time.monotonic_ns() - began_ns


class DecodedTrack:
    """Frames in, pictures out. All but `step` is called on the program's thread."""

    def __init__(self, turns: "SimpleQueue[DecodedTrack | None]") -> None:
        self._turns = turns
        self._lock = threading.Lock()
        self._waiting: deque[MediaFrame | _Gap] = deque()
        self._pictures: deque[Picture] = deque(maxlen=PICTURES_WAITING)
        self._is_scheduled = False
        self._life = 0
        self._decoder: VideoDecoder | None = None
        self._wants_keyframe = False

    def push(self, frame: MediaFrame) -> None:
        """Takes the next frame."""
        with self._lock:
            if len(self._waiting) >= FRAMES_WAITING:
                self._waiting.clear()
                self._waiting.append(_Gap())
                self._wants_keyframe = True
            self._put(frame)

    def gap(self) -> None:
        """Frames are missing here."""
        with self._lock:
            self._wants_keyframe = True
            self._put(_Gap())

    def take_keyframe_wish(self) -> bool:
        """Whether a keyframe should be asked for; says so once for each need."""
        with self._lock:
            wants, self._wants_keyframe = self._wants_keyframe, False
        return wants

    def take(self, until_ns: int) -> Picture | None:
        """The newest picture of that time or before; older ones are dropped."""
        found = None
        with self._lock:
            while self._pictures and self._pictures[0][0] <= until_ns:
                found = self._pictures.popleft()
        return found

    def discard(self) -> None:
        """Forgets every frame and picture, also the one that is being decoded at this moment."""
        with self._lock:
            self._life += 1
            self._waiting.clear()
            self._pictures.clear()

    def step(self) -> None:
        """Decodes the next frame, on a thread of the pool; no two steps of a track run at once."""
        with self._lock:
            life = self._life
            item = self._waiting.popleft() if self._waiting else None
        pictures = list(self._decoded(item)) if item is not None else []
        with self._lock:
            if life == self._life:
                self._pictures.extend(pictures)
            else:
                self._decoder = None
            self._is_scheduled = bool(self._waiting)
            if self._is_scheduled:
                self._turns.put(self)

    def _put(self, item: MediaFrame | _Gap) -> None:
        self._waiting.append(item)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._turns.put(self)

    def _decoded(self, item: MediaFrame | _Gap) -> Iterator[Picture]:
        if isinstance(item, _Gap):
            if self._decoder is not None:
                self._decoder.reset()
            return
        if self._decoder is None or self._decoder.codec != item.codec:
            try:
                self._decoder = VideoDecoder(item.codec)
            except DecodeError:
                return
        picture = self._decoder.decode(item.frame)
        if self._decoder.needs_keyframe:
            with self._lock:
                self._wants_keyframe = True
        if picture is not None:
            yield item.time_ns, picture
