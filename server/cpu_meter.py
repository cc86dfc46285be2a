"""What this server's processes use of the CPU, sampled; and how many cores it may use at all."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from media.cpu_use import CpuUse, CpuWindow, Machine
from server.supervise import Supervisor

_EVERY_S: Final = 1.0
_WINDOW_S: Final = 10.0
_SCHED_CLOCK: Final = 2
_GROUP: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")


class CpuMeter:
    """Samples the server and its worker processes. Belongs to one event loop.

    `giving_way`: modules of workers that run at the lowest priority, so that others have what they use.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        giving_way: Collection[str] = (),
        cores: float | None = None,
        window_s: float = _WINDOW_S,
    ) -> None:
        """`cores`: what the server may use; None: as the machine says."""
        self._supervisor = supervisor
        self._giving_way = frozenset(giving_way)
        self._window = CpuWindow(window_s)
        self.machine = Machine(available_cores() if cores is None else cores, self._uses)

    async def run(self) -> None:
        """Samples until it is cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_EVERY_S)

    def sample(self) -> None:
        """Takes one sample."""
        found = {process: cpu_s(process) for process in self._modules()}
        self._window.add(time.monotonic(), {process: s for process, s in found.items() if s is not None})

    def by_module(self) -> Mapping[str, float]:
        """Cores by what runs: `server`, and the module of each worker."""
        modules = self._modules()
        cores: defaultdict[str, float] = defaultdict(float)
        for process, use in self._window.uses().items():
            if process in modules:
                cores[modules[process]] += use.cores
        return cores

    def _uses(self) -> Mapping[int, CpuUse]:
        modules = self._modules()
        return {
            process: use
            for process, use in self._window.uses().items()
            if process in modules and modules[process] not in self._giving_way
        }

    def _modules(self) -> Mapping[int, str]:
        workers = {worker.pid: worker.module for worker in self._supervisor.workers}
        return {os.getpid(): "server", **workers}


def cpu_s(process: int) -> float | None:
    """CPU time of a process so far, all threads, user and system; None when it has ended.

    Source: Linux `clock_getcpuclockid(3)`.
    """
    try:
        return time.clock_gettime(~process << 3 | _SCHED_CLOCK)
    except OSError:
        return None


def available_cores(group: Path = _GROUP, groups: Path = _GROUPS) -> float:
    """Cores that this process may use: those of its affinity, and no more than its control groups' quotas.

    `group` names the process's control group, `groups` is where they are mounted (cgroup v2).
    """
    cores = float(len(os.sched_getaffinity(0)))
    try:
        lines = group.read_text().splitlines()
    except OSError:
        return cores
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    place = groups / own.lstrip("/")
    for folder in (place, *place.parents):
        if folder.is_relative_to(groups):
            cores = min(cores, _quota(folder))
    return cores


def _quota(folder: Path) -> float:
    """Cores that a control group may use."""
    try:
        limit, period = (folder / "cpu.max").read_text().split()
        return float("inf") if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # none is set, or there is no such group here
        return float("inf")
