"""When a program's pictures are due, which of them are made, and what gives way when time is short. PURE.

Picture `n` is due at `start + n / fps`, computed anew each time: nothing adds up over hours. Each index gets
its sound; a picture is left out when it would come late, and while a program lowers its frame rate.
"""

from dataclasses import dataclass
from typing import Final

from media.clock_map import SECOND_NS

LATE_PICTURES: Final = 3
"""A picture later than this many periods is not made."""
STRIDES: Final = (1, 2, 3, 6)
"""Every so manieth picture is made."""
_WINDOW_S: Final = 2
_TOO_MUCH: Final = 0.95
_ENOUGH: Final = 0.8
_LEFT_OUT_MOST: Final = 0.1
"""Share of its pictures that a rate may lose before it is lowered."""
_LEFT_OUT_UNTOLD: Final = 0.02
_CALM_WINDOWS: Final = 3
_CALM_WINDOWS_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Work:
    """What the threads beside the program's own have done since it began."""

    decoding_ns: int = 0
    """How long each of those that decode has worked."""
    encoding_ns: int = 0
    """The same of the busiest that encodes."""


@dataclass(slots=True)
class _Window:
    """What was measured since the rate was last judged."""

    began_ns: int
    before: Work
    waited_ns: int = 0
    drew_ns: int = 0
    pictures: int = 0
    left_out: int = 0


class Pacer:
    """Counts picture times. `due_ns`, `is_due` and `done` are called in turn for each."""

    def __init__(self, start_ns: int, fps: int) -> None:
        """`start_ns`: the instant of picture 0, on the clock of all other times."""
        self._start_ns = start_ns
        self._fps = fps
        self._step = 0
        self._window = _Window(start_ns, Work())
        self._calm = 0
        self._calm_needed = _CALM_WINDOWS
        self._held = 1.0
        self.index = 0
        """Number of the picture that is next."""
        self.drawn = 0
        self.left_out = 0
        """Pictures that came too late; those that the lowered rate leaves out are not counted."""

    @property
    def due_ns(self) -> int:
        """When the next picture is due."""
        return self._start_ns + self.index * SECOND_NS // self._fps

    @property
    def fps(self) -> float:
        """Pictures a second that are made now."""
        return round(self._fps / STRIDES[self._step] * self._held, 1)

    @property
    def lowered(self) -> str:
        """What is lowered and why; empty when nothing is."""
        if not self._step and self._held >= 1 - _LEFT_OUT_UNTOLD:
            return ""
        return f"{self.fps:g} of {self._fps} pictures a second: making them takes more time than there is"

    def is_due(self, now_ns: int, *, has_room: bool = True) -> bool:
        """Whether the next picture is made now; without it its sound alone is.

        `has_room`: whether there is time to encode it.
        """
        if self.index % STRIDES[self._step]:
            return False
        if not has_room or (now_ns - self.due_ns) * self._fps > LATE_PICTURES * SECOND_NS:
            self.left_out += 1
            self._window.left_out += 1
            return False
        self.drawn += 1
        return True

    def done(self, now_ns: int, *, waited_ns: int, drew_ns: int, work: Work | None = None) -> None:
        """The next picture time is over.

        `waited_ns`: how much of it was spent waiting for its time; `drew_ns`: how much on the picture;
        `work`: what was done beside it.
        """
        work = work or Work()
        self.index += 1
        window = self._window
        window.pictures += 1
        window.waited_ns += waited_ns
        window.drew_ns += drew_ns
        if window.pictures >= _WINDOW_S * self._fps:
            self._judge(window, now_ns, work)
            self._window = _Window(now_ns, work)

    def _judge(self, window: _Window, now_ns: int, work: Work) -> None:
        took_ns = max(now_ns - window.began_ns, 1)
        self._held = 1 - min(window.left_out * STRIDES[self._step] / window.pictures, 1.0)
        own = 1 - window.waited_ns / took_ns
        decoding = (work.decoding_ns - window.before.decoding_ns) / took_ns
        encoding = (work.encoding_ns - window.before.encoding_ns) / took_ns
        is_short = max(own, decoding, encoding) > _TOO_MUCH or self._held < 1 - _LEFT_OUT_MOST
        if is_short:
            self._calm = 0
            if self._step + 1 < len(STRIDES):
                self._step += 1
                self._held = 1.0
                self._calm_needed = min(2 * self._calm_needed, _CALM_WINDOWS_MOST)
        elif self._step:
            drawing = window.drew_ns / took_ns
            faster = STRIDES[self._step] / STRIDES[self._step - 1]
            expected = max(own + drawing * (faster - 1), decoding, encoding * faster)
            self._calm = self._calm + 1 if expected < _ENOUGH else 0
            if self._calm >= self._calm_needed:
                self._step -= 1
                self._calm = 0
        elif self._calm_needed > _CALM_WINDOWS:
            self._calm += 1
            if self._calm > _CALM_WINDOWS_MOST:
                self._calm_needed = _CALM_WINDOWS
