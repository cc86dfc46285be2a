"""Counters of the media plane, as the engine reports them.

PURE: no I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass

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
    track: TrackId
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
