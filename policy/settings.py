"""What the owner of a room decides about it. PURE."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from policy.errors import SettingsError
from policy.uses import LIVE, RECORD, REPLAY, Use

_AUDIO_CODECS = frozenset({"red", "opus"})
_VIDEO_CODECS = frozenset({"vp8", "h264", "vp9", "av1"})


class RoomMode(StrEnum):
    """How people are asked: `notice` covers the uses by accepted terms, `explicit` asks for each use."""

    NOTICE = "notice"
    EXPLICIT = "explicit"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The settings of one room; immutable, a change makes a new value.

    Raises: SettingsError at construction, with every problem listed.
    """

    title: str = ""
    """What people see as the room's title; empty = the room's name."""
    mode: RoomMode = RoomMode.NOTICE
    uses: frozenset[Use] = frozenset({LIVE, RECORD, REPLAY})
    """Uses that may be started in this room at all."""
    audio_codecs: tuple[str, ...] = ("red", "opus")
    """RED repeats each Opus frame, against loss, for about twice the bits."""
    video_codecs: tuple[str, ...] = ("vp8", "h264", "vp9", "av1")
    """Publish codecs in order of preference."""
    loudest: int = 8
    """Voices that are heard at once, the loudest; 0 = all."""
    max_participants: int = 100
    """People who can be in the room at once; external viewers are counted apart."""
    max_viewers: int = 500
    """External viewers (WHEP, embed) at once."""
    max_tracks: int = 8
    """Tracks that one participant may publish at once."""
    chat: bool = True
    grace_s: float = 30.0
    """How long a lost participant keeps their place; 0 ends it at once."""
    empty_s: float = 60.0
    """How long an empty room stays before it closes."""
    retention_days: int | None = None
    """Days that recordings of this room are kept; None = until deleted."""

    def __post_init__(self) -> None:
        problems = [
            text
            for failed, text in (
                (not 1 <= self.max_participants <= 10_000, "max_participants must be 1..10000"),
                (not 0 <= self.max_viewers <= 100_000, "max_viewers must be 0..100000"),
                (not 1 <= self.max_tracks <= 32, "max_tracks must be 1..32"),
                (not 0.0 <= self.grace_s <= 600.0, "grace_s must be 0..600"),
                (not 0.0 <= self.empty_s <= 86_400.0, "empty_s must be 0..86400"),
                (
                    self.retention_days is not None and not 1 <= self.retention_days <= 3650,
                    "retention_days must be 1..3650 or none",
                ),
                (
                    not _in_order(self.audio_codecs, _AUDIO_CODECS) or "opus" not in self.audio_codecs,
                    "audio_codecs must be opus, alone or with red",
                ),
                (not 0 <= self.loudest <= 64, "loudest must be 0..64"),
                (
                    not _in_order(self.video_codecs, _VIDEO_CODECS),
                    "video_codecs must be of: vp8, h264, vp9, av1, each once",
                ),
                (any(not _is_use(use) for use in self.uses), "uses must be short lower-case names"),
            )
            if failed
        ]
        if problems:
            raise SettingsError("; ".join(problems))

    def to_json(self) -> str:
        """The settings as JSON: what is stored."""
        plain = asdict(self)
        plain["uses"] = sorted(self.uses)
        return json.dumps(plain, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "RoomSettings":
        """The settings that `to_json` wrote; unknown names are an error, missing ones take their default.

        Raises: SettingsError when the text is not such settings.
        """
        try:
            values = {**json.loads(text)}
            if "mode" in values:
                values["mode"] = RoomMode(values["mode"])
            if "uses" in values:
                values["uses"] = frozenset(Use(str(use)) for use in values["uses"])
            for name in ("audio_codecs", "video_codecs"):
                if name in values:
                    values[name] = tuple(str(codec) for codec in values[name])
            return cls(**values)
        except (ValueError, TypeError, RecursionError) as error:
            raise SettingsError(f"not room settings: {type(error).__name__}") from error


def _in_order(codecs: tuple[str, ...], known: frozenset[str]) -> bool:
    return bool(codecs) and len(set(codecs)) == len(codecs) and set(codecs) <= known


def _is_use(use: str) -> bool:
    return 1 <= len(use) <= 32 and use.isascii() and use.replace("_", "").isalnum() and use == use.lower()
