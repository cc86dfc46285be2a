"""The one place where a recording's bytes reach the disk: behind the gate, in order, synced, bounded.

A writer thread writes, a second one syncs what was written. The gate of each piece is looked at just before
its write; after `discard` returned true nothing of those gates will be written. Files are made with their
first byte.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from media.gates import Gate, GatePage
from recorder.files import NO_ROOM

_MODE: Final = 0o600


class Appender(Protocol):
    """A file that only grows; a sealed one (`recorder.worker.sealing`) is another of these."""

    def write(self, data: bytes, person: str = "") -> None:
        """Append all of `data`, or nothing of it; `person`: whom it is about. Raises: OSError."""
        ...

    def sync(self) -> None:
        """Wait until everything written is on the disk. Raises: OSError."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class PlainFile:
    """An appender that writes what it is given."""

    def __init__(self, folder_fd: int, name: str) -> None:
        """Opens or makes the file. Raises: OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(name, flags, _MODE, dir_fd=folder_fd)
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes, person: str = "") -> None:  # noqa: ARG002 - plain for everybody
        """Append; a write that the disk took only in part is taken back. Raises: OSError."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def sync(self) -> None:
        """Raises: OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


@dataclass(frozen=True, slots=True)
class DiskFailure:
    """Why nothing more can be written."""

    reason: str
    """`disk_full` or `io_error`."""
    detail: str


@dataclass(frozen=True, slots=True)
class _Piece:
    name: str
    data: bytes
    gate: Gate | None
    person: str
    is_essential: bool
    is_last: bool


class Disk:
    """Writes the files of one folder.

    Its methods are called by one thread; none of them waits for the disk except `discard` and `close`.
    """

    def __init__(
        self,
        folder: Path,
        gates: GatePage,
        *,
        queue_max_bytes: int,
        open_file: Callable[[int, str], Appender] = PlainFile,
    ) -> None:
        """Raises: OSError when the folder cannot be opened."""
        self._gates = gates
        self._queue_max_bytes = queue_max_bytes
        self._open_file = open_file
        self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._lock = threading.Condition()
        self._queue: deque[_Piece] = deque()
        self._queue_bytes = 0
        self._in_flight: Gate | None = None
        self._files: dict[str, Appender] = {}
        self._dirty: dict[str, Appender] = {}
        self._leaving: list[Appender] = []
        self._has_new_name = False
        self._is_closing = False
        self._is_written = False
        self._failure: DiskFailure | None = None
        self._size_bytes = 0
        self._dropped_by_gate = 0
        self._writer = threading.Thread(target=self._write_all, name="disk-writer", daemon=True)
        self._syncer = threading.Thread(target=self._sync_all, name="disk-syncer", daemon=True)
        self._writer.start()
        self._syncer.start()

    @property
    def failure(self) -> DiskFailure | None:
        """Set once, when the disk refused a write; from then on only essential pieces are tried."""
        return self._failure

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        return self._size_bytes

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._queue_bytes

    @property
    def dropped_by_gate(self) -> int:
        """Pieces whose gate was closed when their turn came."""
        return self._dropped_by_gate

    def append(
        self,
        name: str,
        data: bytes,
        gate: Gate | None,
        *,
        person: str = "",
        is_essential: bool = False,
        is_last: bool = False,
    ) -> bool:
        """Queue a piece of a file; False when the disk is too slow (or failed): then all of it was dropped.

        `gate` None: nobody's media or words are in it. `person`: whom it is about.
        `is_essential`: small, and tried even on a failed disk. `is_last`: the file is closed behind it.
        """
        with self._lock:
            is_refused = self._failure is not None or self._queue_bytes + len(data) > self._queue_max_bytes
            if is_refused and not is_essential:
                return False
            self._queue.append(_Piece(name, data, gate, person, is_essential, is_last))
            self._queue_bytes += len(data)
            self._lock.notify_all()
        return True

    def finish(self, name: str) -> None:
        """Close a file behind what is queued for it; an unknown one is fine."""
        self.append(name, b"", None, is_essential=True, is_last=True)

    def discard(self, gates: Collection[tuple[int, int]], patience_s: float) -> bool:
        """Drop what is queued behind these (slot, closed version) gates; wait for a write that is under way.

        False when that write did not end in time: then nothing may be promised.
        """

        def is_cut(gate: Gate | None) -> bool:
            return gate is not None and any(
                gate.slot == slot and gate.version <= version for slot, version in gates
            )

        with self._lock:
            kept: deque[_Piece] = deque()
            for piece in self._queue:
                if is_cut(piece.gate):
                    self._queue_bytes -= len(piece.data)
                    self._dropped_by_gate += 1
                else:
                    kept.append(piece)
            self._queue = kept
            return self._lock.wait_for(lambda: not is_cut(self._in_flight), patience_s)

    def close(self, patience_s: float) -> bool:
        """Write and sync what is queued, close every file; whether it was done in time. Idempotent."""
        with self._lock:
            self._is_closing = True
            self._lock.notify_all()
        self._writer.join(patience_s)
        self._syncer.join(patience_s)
        is_done = not (self._writer.is_alive() or self._syncer.is_alive())
        if is_done and self._folder_fd >= 0:
            os.close(self._folder_fd)
            self._folder_fd = -1
        return is_done

    # The writer's thread

    def _write_all(self) -> None:
        while (piece := self._next_piece()) is not None:
            try:
                self._write(piece)
            except OSError as error:
                self._fail(error)
            finally:
                with self._lock:
                    self._in_flight = None
                    self._lock.notify_all()
        with self._lock:
            self._leaving.extend(self._files.values())
            self._files.clear()
            self._is_written = True
            self._lock.notify_all()

    def _next_piece(self) -> _Piece | None:
        with self._lock:
            self._lock.wait_for(lambda: self._queue or self._is_closing)
            if not self._queue:
                return None
            piece = self._queue.popleft()
            self._queue_bytes -= len(piece.data)
            self._in_flight = piece.gate
            return piece

    def _write(self, piece: _Piece) -> None:
        is_tried = piece.data and (piece.is_essential or self._failure is None)
        if (
            is_tried
            and piece.gate is not None
            and not self._gates.is_open(piece.gate.slot, piece.gate.version)
        ):
            self._dropped_by_gate += 1
            is_tried = False
        file = self._files.get(piece.name)
        if is_tried:
            if file is None:
                file = self._files[piece.name] = self._open_file(self._folder_fd, piece.name)
                self._has_new_name = True
            file.write(piece.data, piece.person)
            self._size_bytes += len(piece.data)
        with self._lock:
            if is_tried and file is not None:
                self._dirty[piece.name] = file
            if piece.is_last and file is not None:
                del self._files[piece.name]
                self._dirty.pop(piece.name, None)
                self._leaving.append(file)

    def _fail(self, error: OSError) -> None:
        reason = "disk_full" if error.errno in NO_ROOM else "io_error"
        with self._lock:
            if self._failure is None:
                self._failure = DiskFailure(reason, error.strerror or type(error).__name__)
            kept = deque(piece for piece in self._queue if piece.is_essential)
            self._queue = kept
            self._queue_bytes = sum(len(piece.data) for piece in kept)

    # The syncer's thread

    def _sync_all(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._dirty or self._leaving or self._is_written)
                dirty, self._dirty = list(self._dirty.values()), {}
                leaving, self._leaving = self._leaving, []
                is_end = self._is_written and not dirty and not leaving
                has_new_name, self._has_new_name = self._has_new_name, False
            if is_end:
                return
            self._sync(dirty, leaving, has_new_name=has_new_name)

    def _sync(self, dirty: list[Appender], leaving: list[Appender], *, has_new_name: bool) -> None:
        try:
            for file in (*dirty, *leaving):
                file.sync()
            if has_new_name:
                os.fsync(self._folder_fd)
        except OSError as error:
            self._fail(error)
        finally:
            for file in leaving:
                file.close()
