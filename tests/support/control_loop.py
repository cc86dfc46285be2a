"""Whether a machine kept time while a test ran: a process that only sleeps, and how late it woke."""

import asyncio
import contextlib
import json
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable

from tests.support.figures import tell

PERIOD_MS = 10
MISS_MS = 100
"""So late is a miss: two fifths of the span within which a revocation is promised to be over."""

_LOOP = """
import json, select, sys, time
period_s, late_ms = float(sys.argv[1]) / 1000, []
due = time.monotonic() + period_s
print(flush=True)
ended = False
while not ended:
    ended = bool(select.select([sys.stdin], [], [], max(due - time.monotonic(), 0))[0])
    now = time.monotonic()
    if now >= due:
        late_ms.append((now - due) * 1000)
        due = max(due, now - period_s) + period_s
print(json.dumps(sorted(late_ms)))
"""


class Starved(Exception):
    """The machine did not keep the control loop's schedule: nothing that this run measured counts."""


class ControlLoop:
    """A process of its own that wakes every PERIOD_MS and notes how late it is; `stop` reads it out."""

    def __init__(self):
        self._late_ms = []
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LOOP, str(PERIOD_MS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process.stdout.readline()
        self.pid = self._process.pid

    def stop(self):
        out, _ = self._process.communicate()
        self._late_ms = json.loads(out)

    @property
    def worst_ms(self):
        return self._late_ms[-1] if self._late_ms else 0.0

    @property
    def p99_ms(self):
        return self._late_ms[len(self._late_ms) * 99 // 100] if self._late_ms else 0.0

    @property
    def misses(self):
        return sum(late_ms >= MISS_MS for late_ms in self._late_ms)

    def __str__(self):
        return f"{self.misses} misses, worst {self.worst_ms:.0f} ms late, p99 {self.p99_ms:.1f} ms"


async def unless_starved(
    scenario: Callable[[int, ControlLoop], Awaitable[None]],
    *,
    within_s: float | None = None,
    excused: type[Exception] | tuple[type[Exception], ...] = (),
) -> None:
    """Runs a scenario; one that fails while the control loop missed its schedule is run once more.

    The scenario gets the number of its run and the loop; a run that is not over `within_s` has failed.
    `excused`: failures of what is not under test, which are worth a second run too.
    Raises what it raised when the machine kept time, and Starved when it failed a second time on a machine
    that did not.
    """
    for number in (1, 2):
        control = ControlLoop()
        failure = None
        try:
            async with asyncio.timeout(within_s):
                await scenario(number, control)
        except Exception as error:  # noqa: BLE001 - a starved machine fails in any way
            failure = error
        finally:
            with contextlib.suppress(BrokenPipeError):
                control.stop()
        tell(f"control loop, run {number}: {control}")
        if failure is None:
            return
        if not control.misses and (number == 2 or not isinstance(failure, excused)):
            raise failure
        traceback.print_exception(failure)
    raise Starved(f"the control loop missed its schedule twice; this time: {control}") from failure
