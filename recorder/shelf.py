"""Where composed files lie: a folder for each, with a note of what it is, and a list of what was erased.

Everything here blocks on the disk.
"""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import structlog

from recorder import names
from recorder.errors import RecorderUnavailable
from recorder.files import replace_file
from recorder.keys import KeyStore
from recorder.render.messages import CAPTIONS
from recorder.render.storage import open_rendition
from recorder.types import ErasedCopy, RenderWish
from store import Store

ERASED: Final = "erased.jsonl"
_UNMADE: Final = frozenset({"queued", "rendering"})
_DAMAGED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_log = structlog.get_logger("recorder")


class Held(msgspec.Struct, kw_only=True):
    """What is noted of a rendition."""

    id: str
    recording: str
    wish: RenderWish
    created_ms: int
    state: str = "queued"
    reason: str | None = None
    people: tuple[str, ...] = ()
    """Who is in it."""
    name: str = ""
    size_bytes: int = 0
    sha256: str = ""
    beside: tuple[str, ...] = ()
    """Names of the files that belong to it."""

    @property
    def is_made(self) -> bool:
        """Whether nothing is left to be done."""
        return self.state not in _UNMADE

    @property
    def is_copy(self) -> bool:
        """Whether it is one person's own files put together."""
        return self.wish.layout == "copy"

    @property
    def is_of_one(self) -> bool:
        """Whether nobody but `wish.person` is in it."""
        return bool(self.wish.person) and self.wish.layout in {"single", "copy"}

    @property
    def files(self) -> tuple[str, ...]:
        """Names of what may be fetched."""
        return (self.name, CAPTIONS, *self.beside) if self.name else ()

    def unmake(self) -> None:
        """Nothing of it is there any more: it is to be made again."""
        self.state, self.reason, self.people = "queued", None, ()
        self.name, self.size_bytes, self.sha256, self.beside = "", 0, "", ()


def parse_note(data: bytes, recording: str, rendition: str) -> Held | None:
    """The note in a rendition's folder; None when it is damaged, or another's."""
    try:
        held = msgspec.json.decode(data, type=Held)
    except _DAMAGED:
        return None
    return held if (held.recording, held.id) == (recording, rendition) else None


def parse_erased(line: bytes) -> tuple[str, ErasedCopy] | None:
    """Whom a line of the list names, and what was erased; None when it is damaged."""
    try:
        plain = msgspec.json.decode(line, type=dict[str, Any])
        return str(plain.pop("person")), msgspec.convert(plain, ErasedCopy)
    except (*_DAMAGED, KeyError):
        return None


class Shelf:
    """The folders below `DATA_DIR/blobs/renditions/<recording>/`."""

    def __init__(self, store: Store, keys: KeyStore | None) -> None:
        self._store = store
        self._keys = keys

    def folder(self, held: Held) -> Path:
        """Where a rendition lies. Raises: RecorderUnavailable."""
        return self._root() / held.recording / held.id

    def notes(self) -> list[Held]:
        """Every rendition there is. Raises: OSError."""
        found = []
        for path in sorted(self._root().glob(f"*/*/{names.RENDITION}")):
            recording, rendition = path.parts[-3:-1]
            held = parse_note(path.read_bytes(), recording, rendition)
            if held is not None:
                found.append(held)
            else:
                _log.warning("rendition_unreadable", recording=recording, rendition=rendition)
        return found

    def note(self, held: Held) -> None:
        """Keep what it is now. Raises: OSError."""
        folder = self.folder(held)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(folder / names.RENDITION, msgspec.json.encode(held))

    def open(self, held: Held, name: str, elsewhere: Callable[[str], BinaryIO]) -> tuple[BinaryIO, int]:
        """A file of it as plain bytes, and its size; `elsewhere` opens what is not on the disk.

        Raises: SealError, OSError.
        """
        key = self._keys.of(held.recording).get(held.id) if self._keys is not None else None
        file = open_rendition(self.folder(held) / name, key, elsewhere)
        return file, file.seek(0, os.SEEK_END)

    def destroy_key(self, held: Held) -> None:
        """Before the files: what could not be removed cannot be read. Raises: OSError."""
        if self._keys is not None:
            self._keys.of(held.recording).destroy(held.id)

    def empty(self, held: Held) -> None:
        """Remove what was made of it; its note stays, so that a crash loses no wish. Raises: OSError."""
        for path in self.folder(held).glob("*"):
            if path.name != names.RENDITION:
                path.unlink(missing_ok=True)

    def destroy(self, held: Held) -> None:
        """Remove its folder. Raises: OSError."""
        folder = self.folder(held)
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others lie beside it
            folder.parent.rmdir()

    def forget(self, recording: str) -> None:
        """Remove what is left of a recording's renditions. Raises: OSError."""
        shutil.rmtree(self._root() / recording, ignore_errors=True)

    def note_erased(self, recording: str, person: str, copy: ErasedCopy) -> None:
        """Keep what came of a withdrawal, for whoever asks. Raises: OSError."""
        path = self._root() / recording / ERASED
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = {"person": person, **msgspec.to_builtins(copy)}
        before = path.read_bytes() if path.is_file() else b""
        replace_file(path, before + json.dumps(line).encode() + b"\n")

    def erased(self, recording: str, person: str) -> dict[str, ErasedCopy]:
        """What came of a person's withdrawals, by rendition. Raises: OSError."""
        path = self._root() / recording / ERASED
        found: dict[str, ErasedCopy] = {}
        for text in path.read_bytes().splitlines() if path.is_file() else ():
            line = parse_erased(text)
            if line is None:
                _log.warning("erasure_unreadable", recording=recording)
            elif line[0] == person:
                found[line[1].rendition] = line[1]
        return found

    def _root(self) -> Path:
        if self._store.blobs is None:
            raise RecorderUnavailable("this server keeps nothing on disk: start it with a data folder")
        return self._store.blobs.root / "renditions"
