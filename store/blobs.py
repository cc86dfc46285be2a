"""Folders for media on disk: names come from random ids and a fixed set of file names, never from people."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from store.errors import BlobError
from store.ids import is_id

_KINDS: Final = frozenset({"recordings", "renditions", "broadcasts", "exports"})
_FILE: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,99}")


class Blobs:
    """The blob folder of one installation: `<root>/<kind>/<id>/<file>`. Symbolic links are never followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """Where everything lies."""
        return self._root

    def folder(self, kind: str, owner: str) -> Path:
        """The folder of one recording or broadcast, made when it is missing (mode 0700).

        Raises: BlobError when the kind or id is outside the rules, or a symbolic link is in the way; OSError.
        """
        path = self.path(kind, owner)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        self._check(path)
        return path

    def path(self, kind: str, owner: str, name: str | None = None) -> Path:
        """Where a folder, or a file in it, belongs; nothing is made.

        Raises: BlobError when a part is outside the rules.
        """
        if kind not in _KINDS or not is_id(owner):
            raise BlobError("no such kind or id of a blob folder")
        folder = self._root / kind / owner
        if name is None:
            return folder
        if not _FILE.fullmatch(name) or ".." in name:
            raise BlobError(
                "a blob's file name has lower-case letters, digits, dots, hyphens and underscores"
            )
        return folder / name

    def open(self, kind: str, owner: str, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a file of a folder and return its descriptor; the last part must not be a symbolic link.

        Raises: BlobError; OSError.
        """
        path = self.path(kind, owner, name)
        self._check(path.parent)
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def remove(self, kind: str, owner: str) -> None:
        """Delete a folder with everything in it; a missing one is fine.

        Raises: BlobError; OSError.
        """
        path = self.path(kind, owner)
        if path.is_symlink():
            raise BlobError("a blob folder is a symbolic link: look at the data folder")
        if path.exists():
            self._check(path)
            shutil.rmtree(path)

    def _check(self, folder: Path) -> None:
        if not folder.resolve().is_relative_to(self._root.resolve()) or folder.is_symlink():
            raise BlobError("a blob folder leads outside the data folder")
