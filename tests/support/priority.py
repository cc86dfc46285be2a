"""Real-time priority, laid down again."""

import contextlib
import os
from pathlib import Path


def lay_down_priority() -> None:
    """Give every thread of this process its usual scheduling back.

    SVT-AV1, run by root, gives the thread that calls it the highest real-time priority, for good. Processes
    that are started later would inherit it, and two browsers of that kind can lock up two cores.
    """
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
