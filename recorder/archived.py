"""What of a recording's or rendition's folder is, or is to be, in the archive. Blocks on the disk.

The folder stays the index: manifest, journals and a note of what is archived lie there whatever else was
moved. Keys never leave this machine.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from media.sealed import is_sealed
from recorder import names
from recorder.errors import ManifestInvalid, NotArchived
from recorder.files import replace_file, sha256_of
from recorder.journal import read_lines
from recorder.manifest import FileEntry, OtherEntry, parse_signed
from recorder.parts import read_journal
from store import Archive, ArchiveUnavailable, Stored

_HEAD_BYTES: Final = 16
_PLAIN: Final = frozenset({"name", "text"})
"""What a line of a journal that is not sealed has of a person."""
_MADE: Final = frozenset({"finished", "withheld"})
_DAMAGED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
Opener = Callable[[str], BinaryIO]


class Kept(msgspec.Struct, frozen=True):
    """One file in the archive."""

    sha256: str
    size_bytes: int
    piece_bytes: int


class Note(msgspec.Struct, frozen=True):
    """What is noted in a folder. It is there before the first object is."""

    where: str
    files: dict[str, Kept] = {}
    """All of the folder; empty until all is there."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file of a folder."""

    stored: Stored
    path: Path | None
    """None when it is in the archive only."""
    is_sealed: bool


def read_note(folder: Path) -> Note | None:
    """The note of a folder; None without one. Raises: NotArchived when it is damaged; OSError."""
    try:
        return msgspec.json.decode((folder / names.ARCHIVE).read_bytes(), type=Note)
    except FileNotFoundError:
        return None
    except _DAMAGED as error:
        raise NotArchived(f"{folder / names.ARCHIVE} is damaged: {error}") from error


def write_note(folder: Path, note: Note) -> None:
    """Raises: OSError."""
    replace_file(folder / names.ARCHIVE, msgspec.json.encode(note))


def is_finished(folder: Path) -> bool:
    """Whether a folder is one for the archive. Raises: OSError."""
    return (folder / names.MANIFEST).exists() or _is_made(folder)


def _is_made(folder: Path) -> bool:
    try:
        note = json.loads((folder / names.RENDITION).read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return False
    state = note.get("state") if isinstance(note, dict) else None
    return isinstance(state, str) and state in _MADE


def contents(folder: Path) -> dict[str, str]:
    """Files that belong into the archive, with the digest that each must have; empty: whatever it has.

    Raises: NotArchived when the recording is not finished; OSError.
    """
    if not (folder / names.MANIFEST).exists():
        return _of_rendition(folder)
    try:
        manifest = parse_signed((folder / names.MANIFEST).read_bytes())
    except ManifestInvalid as error:
        raise NotArchived(str(error)) from error
    entries: list[FileEntry | OtherEntry] = [*manifest.files, *manifest.others]
    return {names.MANIFEST: ""} | {entry.name: entry.stored_sha256 or entry.sha256 for entry in entries}


def _of_rendition(folder: Path) -> dict[str, str]:
    if not _is_made(folder):
        raise NotArchived("it is not finished")
    note = read_note(folder)
    found = {path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    found |= set(note.files) if note is not None else set()
    own = {names.RENDITION, names.ARCHIVE}
    return {name: "" for name in sorted(found - own) if not name.endswith(names.TEMPORARY)}


def inventory(folder: Path, shelf: str, wanted: Mapping[str, str], piece_bytes: int) -> list[Item]:
    """Every wanted file where it is, those on the disk compared with their digests.

    Raises: NotArchived when one is damaged or nowhere; OSError.
    """
    note = read_note(folder)
    items = []
    for name, expected in wanted.items():
        path = folder / name
        there = note.files.get(name) if note is not None else None
        if path.is_file() and not path.is_symlink():
            digest = sha256_of(path)
            if expected and digest != expected:
                raise NotArchived(f"{name} is not as the manifest says: look at it, or restore it")
            stored = Stored(shelf, name, digest, path.stat().st_size, piece_bytes)
            items.append(Item(stored, path, _is_sealed(path)))
        elif there is not None and expected in {"", there.sha256}:
            items.append(Item(_stored(shelf, name, there), None, is_sealed=True))
        else:
            raise NotArchived(f"{name} is neither on the disk nor in the archive")
    return items


def kept(stored: Stored) -> Kept:
    """What is noted of a file."""
    return Kept(stored.sha256, stored.size_bytes, stored.piece_bytes)


def _stored(shelf: str, name: str, there: Kept) -> Stored:
    return Stored(shelf, name, there.sha256, there.size_bytes, there.piece_bytes)


def _is_sealed(path: Path) -> bool:
    """Whether nothing of a person can be read in a file without their key."""
    if path.name == names.MANIFEST:
        return True  # its names are sealed where anything is
    if path.name in {names.CHAT, names.EVENTS}:
        return not any(_PLAIN & line.keys() for line in read_lines(read_journal(path)))
    with path.open("rb") as file:
        return is_sealed(file.read(_HEAD_BYTES))


def found(root: Path, where: str, *, keeps_local: bool) -> list[tuple[str, bool]]:
    """Finished folders below the blob folder, and whether each is in that archive as it is.

    What a crash left half fetched is removed. Raises: OSError.
    """
    folders = (*sorted(root.glob("recordings/*")), *sorted(root.glob("renditions/*/*")))
    finished = [folder for folder in folders if folder.is_dir() and is_finished(folder)]
    for path in (path for folder in finished for path in folder.glob(f"*{names.TEMPORARY}")):
        path.unlink()
    return [
        (str(folder.relative_to(root)), _is_done(folder, where, keeps_local=keeps_local))
        for folder in finished
    ]


def _is_done(folder: Path, where: str, *, keeps_local: bool) -> bool:
    try:
        note, wanted = read_note(folder), contents(folder)
    except (NotArchived, OSError):  # told when it is tried
        return False
    if note is None or note.where != where or wanted.keys() != note.files.keys():
        return False
    manifest = folder / names.MANIFEST
    if manifest.exists() and note.files[names.MANIFEST].sha256 != sha256_of(manifest):
        return False
    return keeps_local or not any((folder / name).exists() for name in wanted if names.is_moved(name))


def trim(items: list[Item]) -> None:
    """Remove from the disk what is in the archive. Raises: OSError."""
    for item in items:
        if item.path is not None and names.is_moved(item.stored.name):
            item.path.unlink(missing_ok=True)


def opener(folder: Path, shelf: str, archive: Archive | None) -> Opener:
    """Opens files of a folder that are not on the disk any more, as they were stored there.

    The opener raises FileNotFoundError for any other name; ArchiveUnavailable.
    """

    def opened(name: str) -> BinaryIO:
        note = read_note(folder)
        if note is None or name not in note.files:
            raise FileNotFoundError(name)
        return reached(archive, note).open(_stored(shelf, name, note.files[name]))

    return opened


def reached(archive: Archive | None, note: Note) -> Archive:
    """The note's archive. Raises: ArchiveUnavailable when it is not the configured one."""
    if archive is None or archive.config.where != note.where:
        raise ArchiveUnavailable(f"it lies in {note.where}: configure [archive] with that bucket and prefix")
    return archive
