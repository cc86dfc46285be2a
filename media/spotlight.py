"""Who has the large place: the dominant speaker, without flicker. PURE."""

from collections.abc import Sequence
from typing import Final

from media.clock_map import SECOND_NS

TAKES_NS: Final = SECOND_NS
"""Somebody else must have been the loudest for so long."""
KEEPS_NS: Final = 2 * SECOND_NS
"""Whoever has the place keeps it so long at least."""


class Spotlight:
    """Follows who is loudest; a cough, a laugh or silence moves nothing."""

    def __init__(self) -> None:
        self._main: str | None = None
        self._since_ns = 0
        self._rival: str | None = None
        self._rival_since_ns = 0

    def hear(self, speakers: Sequence[str], now_ns: int) -> None:
        """Takes who speaks now, loudest first."""
        loudest = speakers[0] if speakers else None
        if loudest != self._rival:
            self._rival, self._rival_since_ns = loudest, now_ns

    def main(self, present: Sequence[str], now_ns: int) -> str | None:
        """Who has the place, of those that are present; the first of them when nobody has spoken."""
        if self._main not in present:
            self._main = self._rival if self._rival in present else (present[0] if present else None)
            self._since_ns = now_ns
        elif (
            self._rival in present
            and self._rival != self._main
            and now_ns - self._rival_since_ns >= TAKES_NS
            and now_ns - self._since_ns >= KEEPS_NS
        ):
            self._main, self._since_ns = self._rival, now_ns
        return self._main
