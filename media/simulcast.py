"""Which simulcast encoding of a track a consumer follows: the best one that is being sent. PURE.

Encodings are numbered from low to high quality. A change happens only at a keyframe of the new one.
"""

from typing import Final

SILENT_NS: Final = 1_000_000_000
"""An encoding without packets for so long is not being sent any more."""
BETTER_WAIT_NS: Final = 500_000_000
"""How long the first keyframe of a lower encoding waits for one of a higher that is being sent."""
_WISH_EVERY_NS: Final = 1_000_000_000


class EncodingChoice:
    """Decides for one track; times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(self) -> None:
        self.selected: int | None = None
        """The encoding in use; None before its first keyframe."""
        self._seen_ns: dict[int, int] = {}
        self._first_keyframe_ns: int | None = None
        self._wished_ns: int | None = None

    def packet(self, index: int, at_ns: int) -> bool:
        """Note a packet of an encoding; whether it is worth assembling."""
        self._seen_ns[index] = at_ns
        if self.selected is None or index >= self.selected:
            return True
        return self._is_silent(self.selected, at_ns)

    def keyframe(self, index: int, at_ns: int) -> bool:
        """Note a whole keyframe of an encoding; whether its frames are used from here on."""
        if index == self.selected:
            return True
        if self.selected is None and self._waits_for_better(index, at_ns):
            return False
        if self.selected is not None and index < self.selected and not self._is_silent(self.selected, at_ns):
            return False
        self.selected = index
        return True

    def wants_keyframe(self, at_ns: int) -> bool:
        """Whether a keyframe should be asked for, so that a better (or any) encoding can be used."""
        is_better_there = any(
            (self.selected is None or index > self.selected or self._is_silent(self.selected, at_ns))
            and index != self.selected
            and not self._is_silent(index, at_ns)
            for index in self._seen_ns
        )
        if not is_better_there or (self._wished_ns is not None and at_ns - self._wished_ns < _WISH_EVERY_NS):
            return False
        self._wished_ns = at_ns
        return True

    def _waits_for_better(self, index: int, at_ns: int) -> bool:
        if self._first_keyframe_ns is None:
            self._first_keyframe_ns = at_ns
        is_better_there = any(other > index and not self._is_silent(other, at_ns) for other in self._seen_ns)
        return is_better_there and at_ns - self._first_keyframe_ns < BETTER_WAIT_NS

    def _is_silent(self, index: int, at_ns: int) -> bool:
        return at_ns - self._seen_ns.get(index, -SILENT_NS) >= SILENT_NS
