"""When to ask publishers for keyframes: one request serves everyone who came within an interval.

PURE: time comes in by parameter. The engine throttles again for each encoding; this saves the commands.
"""

from collections.abc import Iterator
from typing import Final

from sfu.engine.types import TrackId

MIN_INTERVAL_S: Final = 0.5
"""A keyframe costs five to ten times a usual frame: two a second is as much as a publisher can bear."""


class KeyframeRequests:
    """Coalesces wishes for keyframes: the first is served at once, later ones at the end of the interval."""

    def __init__(self, *, min_interval_s: float = MIN_INTERVAL_S) -> None:
        self._interval_s = min_interval_s
        self._asked: dict[TrackId, float] = {}
        self._wanted: set[TrackId] = set()

    def receive(self, track: TrackId) -> None:
        """Somebody needs a keyframe of this track."""
        self._wanted.add(track)

    def remove(self, track: TrackId) -> None:
        """The track is gone."""
        self._wanted.discard(track)
        self._asked.pop(track, None)

    def poll(self, now: float) -> Iterator[TrackId]:
        """The tracks to ask now."""
        for track in sorted(self._wanted):
            if now - self._asked.get(track, -self._interval_s) >= self._interval_s:
                self._wanted.discard(track)
                self._asked[track] = now
                yield track

    def deadline(self) -> float | None:
        """When `poll` will have something; None when nobody waits."""
        due = [self._asked.get(track, -self._interval_s) + self._interval_s for track in self._wanted]
        return min(due, default=None)
