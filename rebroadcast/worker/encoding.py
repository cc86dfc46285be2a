"""Encoding beside the program's thread: each encoding has a thread, and all are made of the same picture.

x264 and libvpx encode without the GIL. A picture is composed only when every encoding has room for it, so
that none falls behind the others and their keyframes are the same pictures.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import av
from av.video.reformatter import Interpolation, VideoReformatter

from rebroadcast.worker.encode import VideoEncoder
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import Encoding

_NEVER: Final = -1_000_000
_PICTURES_MOST: Final = 2
"""Of one encoding: one that is being encoded and one that waits."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A composed picture; nobody draws on it any more."""

    frame: av.VideoFrame
    index: int
    """Its number since the program began, at the program's own rate."""
    is_keyframe: bool
    epoch: int
    persons: frozenset[str]


class EncodingThread:
    """Makes one encoding. `offer` and `close` are called on the program's thread."""

    def __init__(
        self, wanted: Encoding, epoch: Epoch, deliver: Callable[[Sequence[FeedItem]], None], *, fps: int
    ) -> None:
        """`fps`: of the pictures' numbers; `deliver` is called on the encoding's thread."""
        self._wanted = wanted
        self._epoch = epoch
        self._deliver = deliver
        self._fps = fps
        self._queue: SimpleQueue[Drawn | None] = SimpleQueue()
        self._inside = 0
        self._lock = threading.Lock()
        self._last = _NEVER
        self.busy_ns = 0
        """How long its thread has worked."""
        self._thread = threading.Thread(target=self._run, name=f"encode {wanted.name}", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether one more picture can be offered."""
        with self._lock:
            return self._inside < _PICTURES_MOST

    @property
    def has_room_for_key(self) -> bool:
        """Whether a picture that begins a segment can be offered: there is a place more for it."""
        with self._lock:
            return self._inside <= _PICTURES_MOST

    def offer(self, drawn: Drawn) -> None:
        """Takes a picture that is due at the encoding's own rate; keyframes always are, the first is one."""
        is_due = self._last != _NEVER and (drawn.index - self._last) * self._wanted.fps >= self._fps
        if not drawn.is_keyframe and not is_due:
            return
        self._last = drawn.index
        with self._lock:
            self._inside += 1
        self._queue.put(drawn)

    def close(self) -> None:
        """Ends the thread; what waits is not encoded."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        wanted = self._wanted
        encoder = VideoEncoder(
            codec=wanted.codec,
            width=wanted.width,
            height=wanted.height,
            fps=wanted.fps,
            clock_fps=self._fps,
            bps=wanted.bps,
        )
        try:
            reformatter = VideoReformatter()
            while (drawn := self._queue.get()) is not None:
                began_ns = time.monotonic_ns()
                if drawn.epoch == self._epoch.now():
                    self._encode(encoder, reformatter, drawn)
                with self._lock:
                    self._inside -= 1
                self.busy_ns += time.monotonic_ns() - began_ns
        finally:
            encoder.close()

    def _encode(self, encoder: VideoEncoder, reformatter: VideoReformatter, drawn: Drawn) -> None:
        frame = drawn.frame
        if (frame.width, frame.height) != (self._wanted.width, self._wanted.height):
            frame = reformatter.reformat(
                frame, self._wanted.width, self._wanted.height, interpolation=Interpolation.AREA
            )
        made = encoder.encode(frame, drawn.index, is_keyframe=drawn.is_keyframe)
        items = [FeedItem(picture, drawn.epoch, drawn.persons, self._wanted) for picture in made]
        if items:
            self._deliver(items)
