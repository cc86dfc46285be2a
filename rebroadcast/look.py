"""What a program looks and sounds like, as callers set it: validated, changed in steps. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, get_args

from media.png import PngError, check_png
from policy import normalize_identity
from rebroadcast.errors import BroadcastInvalid
from rebroadcast.types import Corner, Layout, LookChange, LookInfo
from rebroadcast.worker.messages import Look

_LAYOUTS: Final[Mapping[str, Layout]] = {layout: layout for layout in get_args(Layout)}
_CORNERS: Final[Mapping[str, Corner]] = {corner: corner for corner in get_args(Corner)}
GAIN_MOST: Final = 4.0
GAINS_MOST: Final = 100
"""People whose gain is set, in one broadcast."""


@dataclass(frozen=True, slots=True)
class ProgramLook:
    """The look of one program. People are named by identity, whether or not they are there."""

    layout: Layout = "grid"
    person: str = ""
    has_names: bool = True
    has_chat: bool = True
    logo: bytes = b""
    corner: Corner = "top_right"
    gains: Mapping[str, float] = field(default_factory=dict)

    def changed(self, change: LookChange) -> "ProgramLook":
        """The look after a change.

        Raises:
            BroadcastInvalid: a value that cannot be used; NameRefused: an identity that nobody can have.
        """
        look = self
        if change.layout is not None:
            look = replace(look, layout=_layout(change.layout))
        if change.person is not None:
            look = replace(look, person=normalize_identity(change.person) if change.person else "")
        if change.names is not None:
            look = replace(look, has_names=change.names)
        if change.chat is not None:
            look = replace(look, has_chat=change.chat)
        if change.logo is not None:
            look = replace(look, logo=_logo(change.logo))
        if change.corner is not None:
            look = replace(look, corner=_corner(change.corner))
        if change.gains is not None:
            look = replace(look, gains=_gains(self.gains, change.gains))
        return look

    def message(self) -> Look:
        """What the program process is told; of people it learns by their own messages."""
        return Look(
            layout=self.layout,
            is_bound=bool(self.person),
            has_names=self.has_names,
            has_chat=self.has_chat,
            logo=self.logo,
            corner=self.corner,
        )

    def gain(self, identity: str | None) -> float:
        """By what somebody's sound is multiplied."""
        return 1.0 if identity is None else self.gains.get(identity, 1.0)

    def info(self) -> LookInfo:
        """As callers see it."""
        return LookInfo(
            layout=self.layout,
            person=self.person or None,
            names=self.has_names,
            chat=self.has_chat,
            has_logo=bool(self.logo),
            corner=self.corner,
            gains=dict(self.gains),
        )


def _layout(name: str) -> Layout:
    if name not in _LAYOUTS:
        raise BroadcastInvalid(f"no layout is called {name[:40]!r}: use {', '.join(_LAYOUTS)}")
    return _LAYOUTS[name]


def _corner(name: str) -> Corner:
    if name not in _CORNERS:
        raise BroadcastInvalid(f"no corner is called {name[:40]!r}: use {', '.join(_CORNERS)}")
    return _CORNERS[name]


def _logo(data: bytes) -> bytes:
    if data:
        try:
            check_png(data)
        except PngError as error:
            raise BroadcastInvalid(f"logo: {error}") from error
    return data


def _gains(before: Mapping[str, float], change: Mapping[str, float]) -> dict[str, float]:
    gains = dict(before)
    for name, gain in change.items():
        if not 0 <= gain <= GAIN_MOST:
            raise BroadcastInvalid(
                f"the gain of {name[:64]!r} must be 0 (silent) to {GAIN_MOST:g}; 1 is as sent"
            )
        gains[normalize_identity(name)] = gain
    gains = {name: gain for name, gain in gains.items() if gain != 1.0}
    if len(gains) > GAINS_MOST:
        raise BroadcastInvalid(f"gains of {len(gains)} people: {GAINS_MOST} at most; 1 forgets one")
    return gains
