"""How the recorder is doing, for whoever operates it: room on the disk, what waits, and why."""

import shutil

from recorder.archivist import Archivist
from recorder.recover import Books
from recorder.types import RecorderConfig
from store import Store


class Condition:
    """Looks when it is asked."""

    def __init__(self, store: Store, config: RecorderConfig, books: Books, archivist: Archivist) -> None:
        self._store = store
        self._config = config
        self._books = books
        self._archivist = archivist

    @property
    def free_bytes(self) -> int | None:
        """Room on the disk for recordings; None when it cannot be told."""
        if self._store.blobs is None:
            return None
        try:
            return shutil.disk_usage(self._store.blobs.root).free
        except OSError:  # nothing was recorded yet
            return None

    @property
    def archive_waiting(self) -> int:
        """Recordings and renditions that are not archived yet."""
        return self._archivist.waiting

    @property
    def archive_failed(self) -> int:
        """How many of them cannot go there as they are."""
        return self._archivist.failed[0]

    @property
    def complaints(self) -> list[str]:
        """What must be looked at, in words."""
        said = []
        if (free := self.free_bytes) is not None and free < self._config.min_free_bytes:
            needed = self._config.min_free_bytes >> 20
            said.append(f"{free >> 20} MiB of disk are free, a recording needs {needed}: none can start")
        if self._books.unfinished:
            said.append(f"{self._books.unfinished} recordings wait for room on the disk to be finished")
        if self._archivist.failure is not None:
            waiting = f"{self._archivist.waiting} recordings and renditions wait for the archive"
            said.append(f"{waiting}: {self._archivist.failure}")
        failed, reason = self._archivist.failed
        if failed:
            said.append(f"{failed} of what waits for the archive cannot go there as it is: {reason}")
        return said
