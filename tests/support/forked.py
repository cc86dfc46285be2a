"""What a process that is forked for one `parley` command runs."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import reduction
from typing import IO, Any

from server.cli import main

_PR_SET_PDEATHSIG = 1


class Handed:
    """A file's descriptor on its way into another process."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, (reduction.DupFd(self._file.fileno()),)


def _taken(descriptor: Any) -> int:
    number: int = descriptor.detach()
    return number


def command(arguments: Sequence[str], environment: Mapping[str, str], output: int) -> None:
    """Do what `parley` with these arguments does; what it prints goes to a file. It ends with who asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["parley", *arguments]
    main()
