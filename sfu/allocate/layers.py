"""The rule that picks layers: audio first and always whole, then the best layer that is wished for.

PURE: no I/O.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sfu.engine.types import Kind, TrackId

BEST: Final = -1
"""The engine's word for "the highest layer that is there"."""


SCREEN_PRIORITY: Final = 128
"""What people share to be read is worth more than a face."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a subscriber wants of one track; None: the best."""

    track: TrackId
    kind: Kind
    is_paused: bool = False
    spatial: int | None = None
    temporal: int | None = None
    height: int | None = None
    """Pixels that the picture is shown at; None: not known."""
    priority: int = 1
    """1 to 255; higher ones climb first. Screen shares have `SCREEN_PRIORITY` by default."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the engine is told for one track."""

    track: TrackId
    is_paused: bool
    spatial: int
    temporal: int
    is_starved: bool = False
    """Paused because the path does not carry it, not because the viewer wished so."""
    is_forced: bool = field(default=False, compare=False)
    """A step down because the path does not carry what is sent now: waiting for a keyframe costs more."""


def choose(wishes: Iterable[Wish]) -> list[Choice]:
    """One choice for each wish, the most important first: audio before video, older tracks before newer.

    Audio has no layers. A wish is an upper bound: the engine gives less when the publisher sends less.
    """
    ordered = sorted(wishes, key=lambda wish: (wish.kind != "audio", wish.track))
    return [_choice(wish) for wish in ordered]


def _choice(wish: Wish) -> Choice:
    if wish.kind == "audio":
        return Choice(wish.track, wish.is_paused, BEST, BEST)
    spatial = BEST if wish.spatial is None else wish.spatial
    temporal = BEST if wish.temporal is None else wish.temporal
    return Choice(wish.track, wish.is_paused, spatial, temporal)
