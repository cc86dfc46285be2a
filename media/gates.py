"""Consent gates: one shared page of u64 slots that every process checks before it passes media on.

The page is a memfd. The media core writes it (or the in-memory engine in tests); consumer processes map it
read-only and check it at each stage and just before each write, so that a revocation needs no message to take
effect. A gate slot holds `version << 1 | is_open`, an epoch slot `epoch << 1 | 1`. Slot 0 is reserved and
never open here.
"""

import heapq
import mmap
import os
import sys
from dataclasses import dataclass
from typing import Final, Self

SLOT_BYTES: Final = 8
VERSION_MAX: Final = 2**63 - 1
_MAX_SLOTS: Final = 1 << 24

if sys.byteorder != "little":  # pragma: no cover - the page is little endian and read as native integers
    raise ImportError("media.gates needs a little-endian machine")


class GateError(Exception):
    """A gate page or slot was used outside its bounds."""

    code = "gate_error"


class GatesExhausted(GateError):
    """Every slot of the page is handed out."""

    code = "gates_exhausted"


@dataclass(frozen=True, slots=True)
class Gate:
    """One consent decision as packets carry it: open while the slot still shows this version as open."""

    slot: int
    """Index into the page, 1 upward."""
    version: int
    """The grant's version; a revocation moves the slot to a newer one."""


class GatePage:
    """A map of the shared gate page; readers see a store by the owner at their next look.

    A slot is one aligned 8-byte load, so a reader never sees half a value. Any thread may read.
    """

    def __init__(self, fd: int, *, writable: bool) -> None:
        size = os.fstat(fd).st_size
        if size < 2 * SLOT_BYTES or size % SLOT_BYTES or size > _MAX_SLOTS * SLOT_BYTES:
            raise GateError(f"a gate page of {size} bytes")
        self.fd = fd
        """The memfd. Pass `read_only_fd()` to other processes, never this one."""
        self.slots = size // SLOT_BYTES
        """Number of slots, the reserved slot 0 included."""
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self._map = mmap.mmap(fd, size, mmap.MAP_SHARED, protection)
        self._values = memoryview(self._map).cast("Q")
        self._is_writable = writable
        self._is_closed = False

    @classmethod
    def create(cls, slots: int) -> Self:
        """Make a page with every gate closed at version 0; the caller owns it and closes it.

        Raises: GateError when `slots` is below 2 or above 2**24.
        """
        if not 2 <= slots <= _MAX_SLOTS:
            raise GateError(f"a gate page of {slots} slots")
        fd = os.memfd_create("parley-gates", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, slots * SLOT_BYTES)
            return cls(fd, writable=True)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open(cls, fd: int) -> Self:
        """Map a page that another process owns, read-only; takes over `fd`.

        Raises: GateError when the file is not a whole page; OSError when it cannot be mapped.
        """
        return cls(fd, writable=False)

    def read_only_fd(self) -> int:
        """Open the same page once more without the right to write, for a worker; the caller closes it."""
        return os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)

    def value(self, slot: int) -> int:
        """Read the raw u64 of a slot. Raises: GateError outside the page."""
        if not 0 <= slot < self.slots:
            raise GateError(f"slot {slot} of {self.slots}")
        return self._values[slot]

    def is_open(self, slot: int, version: int) -> bool:
        """Whether material of this version may pass now; False for slot 0 and outside the page."""
        return 0 < slot < self.slots and self._values[slot] == (version << 1 | 1)

    def read(self, slot: int) -> int:
        """Read an epoch slot (or a gate's version, open or not). Raises: GateError outside the page."""
        return self.value(slot) >> 1

    def store_open(self, slot: int, version: int) -> None:
        """Open a gate, or advance an epoch; for engines without a native core. Raises: GateError."""
        self._store(slot, version, version << 1 | 1)

    def store_closed(self, slot: int, version: int) -> None:
        """Close a gate under `version`; for engines without a native core. Raises: GateError."""
        self._store(slot, version, version << 1)

    def _store(self, slot: int, version: int, value: int) -> None:
        if not self._is_writable:
            raise GateError("the page is mapped read-only")
        if not 0 < slot < self.slots or not 0 <= version <= VERSION_MAX:
            raise GateError(f"slot {slot} version {version}")
        self._values[slot] = value

    def close(self) -> None:
        """Unmap the page and close its descriptor; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._values.release()
            self._map.close()
            os.close(self.fd)


class GateAllocator:
    """Hands out gate slots and their versions; a slot's version only grows, also when the slot is used again.

    Deterministic: the lowest free slot first. Not thread-safe; belongs to one event loop.
    """

    def __init__(self, slots: int) -> None:
        if slots < 2:
            raise GateError(f"an allocator of {slots} slots")
        self._slots = slots
        self._next = 1
        self._free: list[int] = []
        self._taken: set[int] = set()
        self._versions: dict[int, int] = {}

    def allocate(self) -> int:
        """Take a slot; it is closed until its first version is opened. Raises: GatesExhausted."""
        if self._free:
            slot = heapq.heappop(self._free)
        elif self._next < self._slots:
            slot = self._next
            self._next += 1
        else:
            raise GatesExhausted(f"all {self._slots - 1} gate slots are in use")
        self._taken.add(slot)
        return slot

    def next_version(self, slot: int) -> Gate:
        """Advance the slot: the returned gate supersedes every earlier one of the slot. Raises: GateError."""
        if slot not in self._taken:
            raise GateError(f"slot {slot} is not handed out")
        version = self._versions.get(slot, 0) + 1
        self._versions[slot] = version
        return Gate(slot, version)

    def version(self, slot: int) -> int:
        """The newest version handed out for a slot, 0 when none was."""
        return self._versions.get(slot, 0)

    def release(self, slot: int) -> None:
        """Give a slot back; its gate must be closed. Raises: GateError when it was not handed out."""
        if slot not in self._taken:
            raise GateError(f"slot {slot} is not handed out")
        self._taken.remove(slot)
        heapq.heappush(self._free, slot)
