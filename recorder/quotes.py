"""Chats of recordings that were read just now, so that the pages of one are not each read from the start."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KEPT_MOST_BYTES: Final = 16 << 20
"""Of the files that chats were read from; a longer one is read anew each time."""
KEPT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """A chat line, whoever may see it."""

    at_ms: int
    person: str
    text: str


@dataclass(frozen=True, slots=True)
class _Kept:
    digest: str
    lines: tuple[Said, ...]
    size_bytes: int
    expiry: asyncio.TimerHandle


class Quotes:
    """Keeps the lines of a few chats for a short while; the oldest go first. Belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, recording: str, digest: str) -> Sequence[Said] | None:
        """The lines of a recording's chat, as it is in the file with that digest; None: read it."""
        kept = self._kept.get(recording)
        return kept.lines if kept is not None and kept.digest == digest else None

    def keep(self, recording: str, digest: str, lines: Sequence[Said], size_bytes: int) -> None:
        """Keep what was read from a file of that size."""
        self.forget(recording)
        if size_bytes > KEPT_MOST_BYTES:
            return
        while sum(kept.size_bytes for kept in self._kept.values()) + size_bytes > KEPT_MOST_BYTES:
            self.forget(next(iter(self._kept)))
        expiry = asyncio.get_running_loop().call_later(KEPT_S, self.forget, recording)
        self._kept[recording] = _Kept(digest, tuple(lines), size_bytes, expiry)

    def forget(self, recording: str) -> None:
        """Nothing of a recording is kept, or (empty) of any."""
        for known in [known for known in self._kept if recording in {"", known}]:
            self._kept.pop(known).expiry.cancel()
