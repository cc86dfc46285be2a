"""What processes hold of files: open descriptors and shared mappings, deleted and memory files included."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARED_MAPPING = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ...s [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) ([1-9]\d*) +(/.*)$", re.MULTILINE
)


@dataclass(frozen=True)
class HeldFile:
    """One file that a process holds, and where its bytes can be read."""

    shown: str
    """Its path; `(deleted)` stands behind the path of one that has none any more."""
    key: tuple[int, int]
    """Device and inode."""
    source: str
    start: int = 0
    size: int | None = None
    """Bytes from `start` on; None: to the end."""


def family(pid) -> list[int]:
    """A process and all that it started, and they."""
    pids = [pid]
    for one in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                with contextlib.suppress(OSError):
                    pids += [int(child) for child in (task / "children").read_text().split()]
    return pids


def held_files(pid) -> Iterator[HeldFile]:
    """The regular files that a process has open or maps to share; devices and sockets are passed over."""
    try:
        links = list(Path(f"/proc/{pid}/fd").iterdir())
        maps = Path(f"/proc/{pid}/maps").read_bytes()
    except OSError:
        return
    for link in links:
        with contextlib.suppress(OSError):
            found = link.stat()
            if stat.S_ISREG(found.st_mode):
                yield HeldFile(str(link.readlink()), (found.st_dev, found.st_ino), str(link))
    for start, end, major, minor, inode, path in _SHARED_MAPPING.findall(maps):
        first, last = int(start, 16), int(end, 16)
        device = os.makedev(int(major, 16), int(minor, 16))
        yield HeldFile(os.fsdecode(path), (device, int(inode)), f"/proc/{pid}/mem", first, last - first)
