"""Watches folders for bytes that must never be written to any file, open, renamed or deleted.

inotify tells of each write; the file is then searched, also through the descriptors of processes that hold
it, so that a file that was deleted while open is seen too.
"""

import contextlib
import ctypes
import os
import select
import struct
import threading
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x8, 0x80, 0x100
_MASK = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_TO | _IN_CREATE
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class CanaryWatch:
    """Searches what is written under `folders` for each canary; `found` maps a name to files that held it.

    `skip` names folders that belong to the test itself.
    """

    def __init__(self, folders, canaries, *, skip=()):
        self._canaries = dict(canaries)
        self._skip = tuple(str(path) for path in skip)
        self.found = {name: set() for name in canaries}
        self.files_seen = 0
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._watches = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        for folder in folders:
            self._add(Path(folder))
        self._thread = threading.Thread(target=self._run, name="canary")
        self._thread.start()

    def close(self):
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        os.close(self._wake)
        os.close(self._fd)

    def search_open_files(self, pids):
        """Searches every regular file that the processes hold open, deleted ones and memfds included."""
        for pid in pids:
            for link in self._descriptors(pid):
                with contextlib.suppress(OSError):
                    target = str(link.readlink())
                    if target.startswith(("/proc", "/sys", "/dev/null", "socket:", "pipe:", "anon_inode:")):
                        continue
                    self._search(link, target)

    @staticmethod
    def _descriptors(pid):
        try:
            return list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            return []

    def _add(self, folder):
        if str(folder).startswith(self._skip) and self._skip:
            return
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK)
        if watch < 0:
            return
        self._watches[watch] = folder
        with contextlib.suppress(OSError):
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    self._add(entry)
                elif entry.is_file():
                    self._search(entry, str(entry))

    def _run(self):
        while True:
            ready, _, _ = select.select([self._fd, self._wake], [], [])
            if self._fd in ready:
                self._read()
            if self._wake in ready:
                return

    def _read(self):
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        touched = set()
        at = 0
        while at < len(data):
            watch, _, _, size = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
            at += _EVENT.size + size
            if watch in self._watches and name:
                touched.add(self._watches[watch] / os.fsdecode(name))
        for path in touched:
            if path.is_dir() and not path.is_symlink():
                self._add(path)
            else:
                self._search(path, str(path))

    def _search(self, path, shown):
        if self._skip and shown.startswith(self._skip):
            return
        try:
            data = path.read_bytes() if path.is_file() else b""
        except OSError:
            return
        self.files_seen += 1
        for name, canary in self._canaries.items():
            if canary in data:
                self.found[name].add(shown)
