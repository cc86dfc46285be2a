"""`parley` commands in processes that are forked from one which has loaded the house already.

Loading it takes longer than most commands do. tests/server/test_start.py starts the command as people do.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from typing import IO

from tests.support.forked import Handed, command

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "tests.support.forked", "server.wiring"])
forkserver.ensure_running()


class Forked:
    """A command that runs, or ran; as a process of asyncio, as far as tests ask. `wait` for its end."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> None:
        """`output`: takes what it prints and its errors."""
        self._process = _FORKS.Process(target=command, args=(arguments, environment, Handed(output)))
        self._process.start()
        pid = self._process.pid
        assert pid is not None
        self.pid: int = pid
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """As of a process of asyncio: None while it runs, negative when a signal ended it."""
        return self._process.exitcode if self._code is None else self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it ended, and its code is on its way
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Until its end: its code."""
        if self._code is None:
            await self._end()
        if self._code is None:
            self._process.join()
            self._code = self._process.exitcode or 0
            self._process.close()
        return self._code

    async def _end(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        descriptor = os.dup(self._process.sentinel)  # of its own: several may wait
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
