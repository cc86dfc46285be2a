"""What the files of a recording's folder are called: only random ids and fixed words. PURE."""

import re
from dataclasses import dataclass
from typing import Final, Self

CHAT: Final = "chat.jsonl"
EVENTS: Final = "events.jsonl"
MANIFEST: Final = "manifest.json"
DRAFT: Final = "manifest.draft.json"
RENDITION: Final = "rendition.json"
"""What a rendition's folder has instead of a manifest."""
ARCHIVE: Final = "archive.json"
RESERVE: Final = "reserve.tmp"
QUARANTINE: Final = "quarantine"
ERASE: Final = "erase."
"""How the request to erase a person begins; their id follows."""
TEMPORARY: Final = ".tmp"
"""How every temporary file ends; what a crash left of them is removed."""
PARTS_MAX: Final = 9_999

SOURCES: Final = frozenset({"camera", "mic", "screen", "screen_audio"})
_PART: Final = re.compile(r"([a-z0-9_]{1,40})-([a-z_]{1,16})-([0-9]{3,4})\.(mp4|webm)")


@dataclass(frozen=True, slots=True)
class PartName:
    """A media file: one part of what one person sent from one source."""

    person: str
    source: str
    number: int
    """Counts up from 1 for each person and source."""
    extension: str

    def __str__(self) -> str:
        return f"{self.person}-{self.source}-{self.number:03d}.{self.extension}"

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """The parts of a name; None for any other file."""
        match = _PART.fullmatch(name)
        if match is None or match[2] not in SOURCES:
            return None
        return cls(match[1], match[2], int(match[3]), match[4])

    @property
    def kind(self) -> str:
        """`audio` or `video`."""
        return "audio" if self.source in {"mic", "screen_audio"} else "video"


def is_moved(name: str) -> bool:
    """Whether a file leaves the disk once it is archived; the others are small, and read or changed often."""
    return name not in {MANIFEST, CHAT, EVENTS, RENDITION, ARCHIVE}


def is_person(text: str) -> bool:
    """Whether an id can be part of a file name."""
    return re.fullmatch(r"[a-z0-9_]{1,40}", text) is not None
