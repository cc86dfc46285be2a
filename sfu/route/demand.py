"""Which encodings of a simulcast track anybody has a use for, so that its publisher can rest the others.

PURE: no I/O; time comes in as seconds of any steady clock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sfu.allocate import BEST
from sfu.engine.types import TrackId

REST_AFTER_S: Final = 5.0
"""An encoding rests when nobody has had a use for it for so long; it wakes at once."""


@dataclass(slots=True)
class _Track:
    encodings: int
    told: int
    """Encodings that the publisher was asked for, from the lowest up."""
    needed: int
    rest_at: float | None = None


@dataclass(slots=True)
class LayerDemand:
    """`receive` what receivers have a use for, `poll` what publishers are to be asked for."""

    _tracks: dict[TrackId, _Track] = field(default_factory=dict)
    _changed: dict[TrackId, int] = field(default_factory=dict)

    def receive(self, track: TrackId, encodings: int, useful: Iterable[int | None], now: float) -> None:
        """Take the highest useful encoding of every receiver: an index, `BEST` for any, None for no use."""
        tops = [
            encodings - 1 if top == BEST else min(top, encodings - 1) for top in useful if top is not None
        ]
        state = self._tracks.setdefault(track, _Track(encodings, told=encodings, needed=encodings))
        state.needed = max(tops, default=-1) + 1
        if state.needed >= state.told:
            state.rest_at = None
            self._tell(track, state)
        elif state.rest_at is None:
            state.rest_at = now + REST_AFTER_S

    def remove(self, track: TrackId) -> None:
        """A track ended."""
        self._tracks.pop(track, None)
        self._changed.pop(track, None)

    def tick(self, now: float) -> None:
        """Let rest what has had no use for long enough, at `deadline`."""
        for track, state in self._tracks.items():
            if state.rest_at is not None and now >= state.rest_at:
                state.rest_at = None
                self._tell(track, state)

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        return min(
            (state.rest_at for state in self._tracks.values() if state.rest_at is not None), default=None
        )

    def poll(self) -> Iterator[tuple[TrackId, int]]:
        """(track, how many encodings from the lowest up are wanted) for each change."""
        changed, self._changed = self._changed, {}
        yield from changed.items()

    def wanted(self, track: TrackId) -> int | None:
        """How many encodings the publisher was asked for; None: it was never asked."""
        state = self._tracks.get(track)
        return None if state is None else state.told

    def _tell(self, track: TrackId, state: _Track) -> None:
        if state.told != state.needed:
            state.told = state.needed
            self._changed[track] = state.told
