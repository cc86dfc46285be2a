"""Appenders that encrypt what reaches the disk: parts in frames, journals line by line.

Runs on the disk's writer thread: a person's key is made, and on the disk, before the first byte that needs
it.
"""

from collections.abc import Callable

from media.sealed import Sealer
from recorder import names
from recorder.data_keys import DataKeys
from recorder.journal import seal_line
from recorder.worker.disk import Appender, PlainFile


class SealedPart:
    """A media file of one person: each piece becomes a frame."""

    def __init__(self, file: Appender, key: bytes) -> None:
        self._file = file
        self._sealer = Sealer(key)
        self._head = self._sealer.header
        self._count = 0

    def write(self, data: bytes, person: str = "") -> None:  # noqa: ARG002 - it is one person's file
        """Append one frame. Raises: OSError, and then nothing was written."""
        self._file.write(self._head + self._sealer.frame(self._count, data))
        self._head = b""
        self._count += 1

    def sync(self) -> None:
        """Raises: OSError."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class SealedJournal:
    """A journal: lines about a person are sealed with that person's key, others are plain."""

    def __init__(self, file: Appender, keys: DataKeys) -> None:
        self._file = file
        self._keys = keys

    def write(self, data: bytes, person: str = "") -> None:
        """Append one line. Raises: OSError, and then nothing was written."""
        self._file.write(seal_line(data, person, self._keys.make(person)) if person else data)

    def sync(self) -> None:
        """Raises: OSError."""
        self._file.sync()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def sealed_files(keys: DataKeys) -> Callable[[int, str], Appender]:
    """How `Disk` opens the files of a recording whose people have these keys."""

    def open_file(folder_fd: int, name: str) -> Appender:
        part = names.PartName.parse(name)
        if part is None:
            return SealedJournal(PlainFile(folder_fd, name), keys)
        key = keys.make(part.person)
        return SealedPart(PlainFile(folder_fd, name), key)

    return open_file
