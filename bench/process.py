"""What another process uses: CPU time, memory, threads, descriptors; and on which cores it may run."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_SCHED_CLOCK = 2
WORKER_THREAD = "sfu-worker"


def cpu_ns(pid: int) -> int:
    """CPU time of a process so far, all threads, those that have ended too; user and system.

    Source: Linux `clock_getcpuclockid(3)`.
    """
    return time.clock_gettime_ns(~pid << 3 | _SCHED_CLOCK)


def thread_cpu_ns(thread: int) -> int:
    """CPU time of one thread so far; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{thread}/schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def rss_bytes(pid: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(pid: int, word: str) -> int | None:
    """A process below this one that has the word in its command; None without one."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and word in (path / "cmdline").read_text():
                return int(path.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def threads(pid: int) -> dict[int, str]:
    """The process's threads and their names."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name)] = (task / "comm").read_text().strip()
        except FileNotFoundError:
            continue
    return found


def pin(pid: int, *, worker: int, rest: int, worker_thread: str = WORKER_THREAD) -> None:
    """Put threads whose name begins with `worker_thread` on one core, all others on another."""
    for thread, name in threads(pid).items():
        os.sched_setaffinity(thread, {worker if name.startswith(worker_thread) else rest})


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process holds at one moment."""

    rss_bytes: int
    descriptors: int
    sockets: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> "Holdings":
        """Look at it now."""
        sockets = descriptors = 0
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = link.readlink().name
            except FileNotFoundError:
                continue
            descriptors += 1
            sockets += target.startswith("socket:")
        return cls(rss_bytes(pid), descriptors, sockets, len(threads(pid)))
