"""Files of a recording's folder: replaced whole or not at all, known by their hash. Blocks on the disk."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Final

from recorder import names

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk that takes no more."""


def replace_file(path: Path, data: bytes) -> None:
    """Write a file anew: after a crash there is the old one or the new one. Raises: OSError."""
    temporary = path.with_name(path.name + names.TEMPORARY)
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    temporary.replace(path)
    sync_path(path.parent)


def sync_path(path: Path) -> None:
    """Wait until a file (or a folder's list of names) is on the disk. Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
