"""Fuzz target: notes in the folders of recordings and renditions, and the objects of an archive they name."""

import tempfile
from contextlib import suppress
from pathlib import Path

from recorder import names
from recorder.archived import contents, found, is_finished, read_note
from recorder.errors import NotArchived
from recorder.shelf import parse_erased, parse_note
from store import ArchiveUnavailable, Stored
from store.archive import PIECES_MOST
from tests.fuzz import harness

_ROOT = Path(tempfile.mkdtemp(prefix="fuzz-notes-"))
_SHELVES = ("recordings/rc_aaaaaaaaaaaaaaaa", "renditions/rc_aaaaaaaaaaaaaaaa/rn_aaaaaaaaaaaaaaaa")
for _shelf in _SHELVES:
    (_ROOT / _shelf).mkdir(parents=True)


def one_input(data: bytes) -> None:
    for shelf, own in zip(_SHELVES, (names.MANIFEST, names.RENDITION), strict=True):
        folder = _ROOT / shelf
        (folder / own).write_bytes(data)
        (folder / names.ARCHIVE).write_bytes(data)
        is_finished(folder)
        with suppress(NotArchived):
            contents(folder)
        with suppress(NotArchived):
            note = read_note(folder)
            for name, kept in note.files.items() if note is not None else ():
                _take(Stored(shelf, name, kept.sha256, kept.size_bytes, kept.piece_bytes))
    list(found(_ROOT, "s3://bucket/parley", keeps_local=False))
    held = parse_note(data, "rc_aaaaaaaaaaaaaaaa", "rn_aaaaaaaaaaaaaaaa")
    if held is not None and (held.recording, held.id) != ("rc_aaaaaaaaaaaaaaaa", "rn_aaaaaaaaaaaaaaaa"):
        raise AssertionError("a note of another folder")
    parse_erased(data)


def _take(stored: Stored) -> None:
    with suppress(ArchiveUnavailable):
        pieces = list(stored.pieces())
        if len(pieces) > PIECES_MOST or any(".." in piece.key or piece.size_bytes < 0 for piece in pieces):
            raise AssertionError("objects outside the rules")
        if sum(piece.size_bytes for piece in pieces) != stored.size_bytes:
            raise AssertionError("objects that are not the file")


if __name__ == "__main__":
    harness.run(one_input)
