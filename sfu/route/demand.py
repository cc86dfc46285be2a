"""Which encodings of a video anybody has a use for, so that its publisher can rest the others.

Of a video of one encoding the same is asked of the spatial layers inside it.

PURE: no I/O; time comes in as seconds of any steady clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sfu.engine.types import TrackId

REST_AFTER_S: Final = 5.0
"""An encoding rests when nobody has had a use for it for so long; it wakes at once."""


@dataclass(slots=True)
class _Track:
    told: frozenset[int]
    """Encodings that the publisher was asked for, by their indices."""
    known: int
    """How many encodings there are."""
    rest_at: dict[int, float] = field(default_factory=dict)
    """When those of them rest that nobody has a use for."""


@dataclass(slots=True)
class LayerDemand:
    """`receive` what receivers have a use for, `poll` what publishers are to be asked for."""

    _tracks: dict[TrackId, _Track] = field(default_factory=dict)
    _changed: dict[TrackId, frozenset[int]] = field(default_factory=dict)

    def receive(self, track: TrackId, encodings: int, needed: frozenset[int], now: float) -> None:
        """Take which of a track's encodings somebody has a use for, by their indices."""
        state = self._tracks.setdefault(track, _Track(frozenset(range(encodings)), encodings))
        if encodings != state.known:
            # What turns out to be in it is sent, if anything is.
            new = range(state.known, encodings) if state.told else ()
            state.told = (state.told | frozenset(new)) & frozenset(range(encodings))
            state.known = encodings
        self._tell(track, state, state.told | needed)
        state.rest_at = {
            encoding: state.rest_at.get(encoding, now + REST_AFTER_S) for encoding in state.told - needed
        }

    def remove(self, track: TrackId) -> None:
        """A track ended."""
        self._tracks.pop(track, None)
        self._changed.pop(track, None)

    def tick(self, now: float) -> None:
        """Let rest what has had no use for long enough, at `deadline`."""
        for track, state in self._tracks.items():
            resting = frozenset(encoding for encoding, due in state.rest_at.items() if now >= due)
            for encoding in resting:
                del state.rest_at[encoding]
            self._tell(track, state, state.told - resting)

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        return min((due for state in self._tracks.values() for due in state.rest_at.values()), default=None)

    def poll(self) -> Iterator[tuple[TrackId, frozenset[int]]]:
        """(track, which of its encodings are wanted) for each change."""
        changed, self._changed = self._changed, {}
        yield from changed.items()

    def wanted(self, track: TrackId) -> frozenset[int] | None:
        """Which encodings the publisher was asked for; None: it was never asked."""
        state = self._tracks.get(track)
        return None if state is None else state.told

    def _tell(self, track: TrackId, state: _Track, wanted: frozenset[int]) -> None:
        if state.told != wanted:
            state.told = wanted
            self._changed[track] = wanted
