"""The data keys of one recording: one for each person in it, wrapped by keys that the master keys give.

A key lies in a file of its own, `<root>/<recording>/<person>.key`, apart from the media, so that a copy of
the media alone (a backup, a bucket) opens nothing, and destroying one file erases one person everywhere.
Worker processes use these and never see a master key. Everything here blocks on the disk.
"""

import json
import os
from pathlib import Path
from typing import Final

import msgspec

from media.sealed import SealError, new_key, seal, unseal
from recorder import names
from recorder.errors import KeysUnusable
from recorder.files import replace_file, sync_path

SUFFIX: Final = ".key"


class KeyAccess(msgspec.Struct, frozen=True):
    """What a process needs to use the data keys of one recording."""

    folder: str
    wrapping: dict[str, bytes]
    """By the id of the master key that each was derived from."""
    current: str
    """The id that new data keys are wrapped with."""


class DataKeys:
    """The keys of one recording's people."""

    def __init__(self, access: KeyAccess) -> None:
        self._folder = Path(access.folder)
        self._wrapping = access.wrapping
        self._current = access.current
        self._known: dict[str, bytes] = {}

    def get(self, person: str) -> bytes | None:
        """A person's key; None when there is none, or none that opens. Raises: OSError."""
        if person in self._known:
            return self._known[person]
        try:
            text = self._path(person).read_bytes()
        except FileNotFoundError:
            return None
        try:
            stored = json.loads(text)
            wrapped, master = bytes.fromhex(stored["wrapped"]), self._wrapping.get(stored["master"])
            key = unseal(master, wrapped, person.encode()) if master is not None else None
        except (SealError, ValueError, KeyError, TypeError, RecursionError):
            return None
        if key is not None:
            self._known[person] = key
        return key

    def make(self, person: str) -> bytes:
        """A person's key, made and on the disk when there was none. Raises: OSError."""
        key = self.get(person)
        if key is None:
            key = new_key()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store(person, key)
            sync_path(self._folder.parent)
            self._known[person] = key
        return key

    def destroy(self, person: str) -> bool:
        """Overwrite and remove a person's key; whether there was one. Raises: OSError."""
        self._known.pop(person, None)
        path = self._path(person)
        try:
            with path.open("r+b") as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError:
            return False
        path.unlink()
        sync_path(self._folder)
        return True

    def rewrap(self) -> int:
        """Wrap every key with the current master key; how many were changed.

        Raises: KeysUnusable, OSError.
        """
        changed = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            person = path.name.removesuffix(SUFFIX)
            key = self.get(person)
            if key is None:
                raise KeysUnusable(f"{path} does not open with any master key: restore the key that made it")
            if json.loads(path.read_bytes())["master"] != self._current:
                self._store(person, key)
                changed += 1
        return changed

    def _store(self, person: str, key: bytes) -> None:
        wrapped = seal(self._wrapping[self._current], key, person.encode())
        text = json.dumps({"master": self._current, "wrapped": wrapped.hex()})
        replace_file(self._path(person), text.encode() + b"\n")

    def _path(self, person: str) -> Path:
        if not names.is_person(person):
            raise KeysUnusable("a person's id cannot name a key file")
        return self._folder / f"{person}{SUFFIX}"
