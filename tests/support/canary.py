"""Watches for bytes that must never be in any file: written, renamed, deleted while open, or only mapped."""

import contextlib
import os
import re
import select
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.held_files import family, held_files
from tests.support.inotify import EventsLostError, FolderEvents

SAMPLE_S = 0.1
_TURN_S = 0.02
_FILES_A_TURN = 8
"""So many are searched before the kernel's queue is emptied again."""
_CHUNK_BYTES = 1 << 22
_SMALL_BYTES = 1 << 16
_NOT_FILES = ("/proc/", "/sys/")


class CanaryWatch:
    """Searches what is written under `folders`, and what `processes` and their children hold.

    A file is searched when inotify tells of a write; a file that processes hold is searched every SAMPLE_S,
    whether or not it still has a name. `skip` names folders that belong to the test itself.
    Raises EventsLostError, here or from `found`, as soon as anything may have been missed.
    """

    def __init__(self, folders, canaries, *, processes=(), skip=()):
        self._canaries = dict(canaries)
        self._processes = tuple(processes)
        self._found = {name: set() for name in canaries}
        self._overlap = max(map(len, self._canaries.values())) - 1
        self._failure = None
        self._searched = {}
        self._is_stopping = threading.Event()
        self.samples = 0
        self.watched_s = 0.0
        self.longest_pause_s = 0.0
        self._events = FolderEvents(folders, skip=skip)
        self._threads = [
            threading.Thread(target=self._guard, args=(work,), name=f"canary-{work.__name__}")
            for work in (self._watch, self._sample)
        ]
        for thread in self._threads:
            thread.start()

    def follow(self, pid):
        """Searches from now on also what this process and its children hold."""
        self._processes = (*self._processes, pid)

    @property
    def found(self):
        """Names of canaries to the files that held them; complete once the watch is closed."""
        if self._failure is not None:
            raise self._failure
        return self._found

    def close(self):
        """Searches what is still to be searched and ends. May be called again."""
        if self._is_stopping.is_set():
            return
        self._is_stopping.set()
        for thread in self._threads:
            thread.join()
        self._events.close()

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - from here on nothing is watched
            self._failure = error if isinstance(error, EventsLostError) else EventsLostError(repr(error))

    def _watch(self):
        waiting = {}
        while not self._is_stopping.is_set():
            if not waiting:
                select.select([self._events], [], [], _TURN_S)
            waiting |= dict.fromkeys(self._events.read())
            for path in list(waiting)[:_FILES_A_TURN]:
                del waiting[path]
                self._search_path(path)
        for path in [*waiting, *self._events.read()]:
            self._search_path(path)

    def _search_path(self, path):
        with contextlib.suppress(OSError), _opened(path, os.O_NOFOLLOW) as file:
            if stat.S_ISREG(os.fstat(file).st_mode):
                self._search(file, str(path))

    def _sample(self):
        before = time.monotonic()
        while not self._is_stopping.wait(max(before + SAMPLE_S - time.monotonic(), 0)):
            now = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now - before)
            self.watched_s += now - before
            before = now
            seen = set()
            for process in self._processes:
                for pid in family(process):
                    self._search_held(pid, seen)
            self.samples += 1

    def _search_held(self, pid, seen):
        for held in held_files(pid):
            if held.key in seen or held.shown.startswith(_NOT_FILES):
                continue
            seen.add(held.key)
            with contextlib.suppress(OSError), _opened(held.source) as file:
                if held.size is not None:
                    self._search(file, held.shown, held.start, held.size)
                elif self._is_news(held.key, os.fstat(file)):
                    self._search(file, held.shown)

    def _is_news(self, key, status):
        """Whether a file has changed since it was last searched.

        A mapping changes a file without touching its times: small files are always news.
        """
        state = (status.st_size, status.st_mtime_ns)
        is_same = self._searched.get(key) == state
        self._searched[key] = state
        return not is_same or status.st_size <= _SMALL_BYTES or status.st_nlink == 0

    def _search(self, file, shown, start=0, size=None):
        at, tail = 0, b""
        while size is None or at < size:
            chunk = os.pread(file, _CHUNK_BYTES if size is None else min(_CHUNK_BYTES, size - at), start + at)
            if not chunk:
                return
            at += len(chunk)
            data = tail + chunk
            self._look(data, shown)
            tail = data[-self._overlap :]

    def _look(self, data, shown):
        for name, canary in self._canaries.items():
            if canary in data:
                self._found[name].add(shown)


STAMP_BYTES = 8


def stamps_behind(mark):
    """The pattern of a mark and the STAMP_BYTES bytes behind it, which are its group."""
    return re.compile(re.escape(mark) + b"(.{%d})" % STAMP_BYTES, re.DOTALL)


class StampWatch(CanaryWatch):
    """Collects what stands behind a mark: `stamps`, to the files that held them."""

    def __init__(self, folders, mark, *, processes=(), skip=()):
        self.stamps = {}
        self._pattern = stamps_behind(mark)
        super().__init__(folders, {"mark": mark + bytes(STAMP_BYTES)}, processes=processes, skip=skip)

    def _look(self, data, shown):
        for stamp in set(self._pattern.findall(data)):
            self.stamps.setdefault(stamp, set()).add(shown)


@contextlib.contextmanager
def _opened(path, flags=0):
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        yield file
    finally:
        os.close(file)


_HOLDER = """
import os, sys
folder, content = sys.argv[1], bytes.fromhex(sys.argv[2])
path = os.path.join(folder, f"holder-{os.getpid()}")
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
os.unlink(path)
os.write(file, content)
print(flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def deleted_while_open(folder: Path, content: bytes):
    """The pid of a process that holds a file which was deleted before `content` was written to it."""
    command = [sys.executable, "-c", _HOLDER, str(folder), content.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()
        process.wait()
