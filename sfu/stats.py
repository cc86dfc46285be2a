"""Counters of the media plane, as the engine reports them.

PURE: no I/O.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfu.engine.events import Stats
from sfu.engine.types import ForwardId, TapId, TrackId
from sfu.route.events import PeerId


@dataclass(frozen=True, slots=True)
class PeerStats:
    """Counters of one peer's transport."""

    peer: PeerId
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TrackStats:
    """Counters of one published track."""

    track: TrackId
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ForwardStats:
    """Counters of one track to one peer."""

    forward: ForwardId
    track: TrackId | None
    """None while nothing goes through."""
    peer: PeerId
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TapStats:
    """Counters of one tap."""

    tap: TapId
    track: TrackId
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RouterStats:
    """One room's counters."""

    peers: tuple[PeerStats, ...]
    tracks: tuple[TrackStats, ...]
    forwards: tuple[ForwardStats, ...]
    taps: tuple[TapStats, ...]


@dataclass(frozen=True, slots=True)
class PlaneStats:
    """The whole plane: one mapping of counters for each worker, and Python's own."""

    workers: tuple[Mapping[str, int], ...]
    plane: Mapping[str, int]


def router_stats(
    stats: Sequence[Stats],
    peers: Collection[PeerId],
    tracks: Collection[TrackId],
    forwards: Mapping[ForwardId, tuple[PeerId, TrackId | None]],
    taps: Mapping[TapId, TrackId],
) -> RouterStats:
    """Pick one room's rows out of all workers'."""
    return RouterStats(
        tuple(
            PeerStats(row["transport"], _counters(row))
            for worker in stats
            for row in worker.transports
            if row["transport"] in peers
        ),
        tuple(
            TrackStats(row["track"], _counters(row))
            for worker in stats
            for row in worker.tracks
            if row["track"] in tracks
        ),
        tuple(
            ForwardStats(
                row["forward"], forwards[row["forward"]][1], forwards[row["forward"]][0], _counters(row)
            )
            for worker in stats
            for row in worker.forwards
            if row["forward"] in forwards
        ),
        tuple(
            TapStats(row["tap"], taps[row["tap"]], _counters(row))
            for worker in stats
            for row in worker.taps
            if row["tap"] in taps
        ),
    )


def _counters(row: Mapping[str, Any]) -> dict[str, int]:
    names = {"transport", "track", "forward", "tap"}
    return {key: value for key, value in row.items() if key not in names and isinstance(value, int)}
