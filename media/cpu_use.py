"""What processes use of the CPU, over a sliding window. PURE."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuUse:
    """What one process uses, all of its threads."""

    cores: float
    """CPU time for each second of the window."""
    is_settled: bool
    """Whether it has been measured for a whole window."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to share out."""

    cores: float
    """What this server may use, all of its processes."""
    uses: Callable[[], Mapping[int, CpuUse]]
    """What its processes use now, by process id; those that give way to every other are not among them."""


class CpuWindow:
    """Turns CPU time so far into cores, over the last `window_s`; a process that is gone counts no more."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, Mapping[int, float]]] = deque()

    def add(self, at_s: float, cpu_s: Mapping[int, float]) -> None:
        """Take CPU seconds so far, by process id; `at_s` only grows."""
        self._samples.append((at_s, dict(cpu_s)))
        while len(self._samples) > 1 and self._samples[1][0] <= at_s - self._window_s:
            self._samples.popleft()

    def uses(self) -> Mapping[int, CpuUse]:
        """What each process of the last sample uses; nothing before the second sample."""
        if len(self._samples) < 2:
            return {}
        return {process: self._use(process) for process in self._samples[-1][1]}

    def _use(self, process: int) -> CpuUse:
        last_s, last = self._samples[-1]
        before_s = self._samples[0][0]
        for at_s, cpu_s in self._samples:
            if process in cpu_s:
                # Of one that began within the window, all its time is taken since the sample before it.
                began_s, used = (at_s, cpu_s[process]) if at_s == before_s else (before_s, 0.0)
                break
            before_s = at_s
        # Less than before: another process has the id of one that is gone.
        taken_s = max(last[process] - used, 0.0)
        return CpuUse(taken_s / (last_s - began_s), last_s - began_s >= self._window_s)
