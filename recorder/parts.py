"""Opens the files of a recording as plain bytes, sealed or not: for downloads, checks, finishing, rendering.

Blocks on the disk.
"""

import io
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, cast

from media.sealed import SealedReader, SealError, is_sealed
from recorder import names
from recorder.data_keys import DataKeys
from recorder.journal import plain_lines, without_person

JOURNAL_MAX_BYTES = 256 << 20
_HEAD_BYTES = 16


def open_part(
    path: Path,
    keys: DataKeys | None,
    *,
    writable: bool = False,
    without: Collection[str] = (),
    elsewhere: Callable[[str], BinaryIO] | None = None,
) -> BinaryIO:
    """Open a media file or journal of a recording, readable and seekable, as it was before it was sealed.

    `keys`: of its recording; None opens what is not sealed. A journal (`events.jsonl`, `chat.jsonl`) has only
    the lines whose key is there, and none of the people `without`. `writable`: a plain file may be cut by
    `truncate`; of a sealed one the view is cut. `elsewhere`: opens by its name what is not on the disk.
    Raises: SealError without the key, or when the file is damaged; OSError.
    """
    if path.name in {names.CHAT, names.EVENTS}:
        lines = plain_lines(read_journal(path), keys.get if keys is not None else None)
        for person in without:
            lines = without_person(lines, person)
        return io.BytesIO(lines)
    file = _opened(path, elsewhere, writable=writable)
    try:
        if not is_sealed(file.read(_HEAD_BYTES)):
            file.seek(0)
            return file
        return cast("BinaryIO", SealedReader(file, _key(path.name, keys)))
    except BaseException:
        file.close()
        raise


def _opened(path: Path, elsewhere: Callable[[str], BinaryIO] | None, *, writable: bool) -> BinaryIO:
    try:
        return path.open("rb+" if writable else "rb")
    except FileNotFoundError:
        if elsewhere is None:
            raise
    return elsewhere(path.name)


def _key(name: str, keys: DataKeys | None) -> bytes:
    part = names.PartName.parse(name.removesuffix(names.TEMPORARY))
    key = keys.get(part.person) if keys is not None and part is not None else None
    if key is None:
        raise SealError(f"there is no key for {name}: it was destroyed, or belongs to another server")
    return key


def read_journal(path: Path) -> bytes:
    """A journal as it lies on the disk; nothing when it is not there. Raises: OSError."""
    if not path.is_file() or path.is_symlink():
        return b""
    with path.open("rb") as file:
        return file.read(JOURNAL_MAX_BYTES)
