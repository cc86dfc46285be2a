"""What the kernel tells of a tree of folders: every path in it that is written, created or moved in."""

import contextlib
import ctypes
import errno
import os
import struct
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x8, 0x80, 0x100
_IN_Q_OVERFLOW, _IN_IGNORED = 0x4000, 0x8000
_IN_ONLYDIR, _IN_DONT_FOLLOW, _IN_ISDIR = 0x0100_0000, 0x0200_0000, 0x4000_0000
_MASK = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE | _IN_ONLYDIR | _IN_DONT_FOLLOW
_GONE = {errno.ENOENT, errno.ENOTDIR}
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class EventsLostError(Exception):
    """The kernel dropped events, or gives no more watches: what was not told cannot be known."""


class FolderEvents:
    """Watches some folders with everything below them, folders that come later included.

    `skip`: folders that are left out. Raises EventsLostError where a folder cannot be watched.
    """

    def __init__(self, folders, *, skip=()):
        self._skip = {Path(folder) for folder in skip}
        self._folders = {}
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise EventsLostError(f"inotify_init1: {os.strerror(ctypes.get_errno())}")
        try:
            for folder in folders:
                self._add(Path(folder), set())
        except EventsLostError:
            self.close()
            raise

    def fileno(self):
        return self._fd

    def close(self):
        os.close(self._fd)

    def read(self):
        """The files that were touched since the last call. Raises EventsLostError."""
        touched = set()
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return touched
            for watch, mask, name in _parse(data):
                self._take(watch, mask, name, touched)

    def _take(self, watch, mask, name, touched):
        if mask & _IN_Q_OVERFLOW or watch == -1:
            raise EventsLostError("the inotify queue overflowed")
        if mask & _IN_IGNORED:
            self._folders.pop(watch, None)
        if watch not in self._folders or not name:
            return
        path = self._folders[watch] / os.fsdecode(name)
        if not mask & _IN_ISDIR:
            touched.add(path)
        elif mask & (_IN_CREATE | _IN_MOVED_TO):
            self._add(path, touched)

    def _add(self, folder, files):
        """Watches a folder and what is below it; files that are there already go into `files`."""
        if folder in self._skip:
            return
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK)
        if watch < 0:
            if ctypes.get_errno() in _GONE:
                return
            raise EventsLostError(f"{folder}: {os.strerror(ctypes.get_errno())}")
        self._folders[watch] = folder
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    self._add(Path(entry.path), files)
                else:
                    files.add(Path(entry.path))


def _parse(data):
    at = 0
    while at < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, at)
        at += _EVENT.size + size
        yield watch, mask, data[at - size : at].rstrip(b"\0")
