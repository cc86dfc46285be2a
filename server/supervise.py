"""Worker processes: started with their descriptors, ended with the server."""

import asyncio
import fcntl
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from media.control import CONTROL_FD, ControlChannel, ControlError, WorkerStart, control_pair

_KEPT_VARIABLES: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "COVERAGE_PROCESS_START",
)
_PATIENCE_S: Final = 5.0
_log = structlog.get_logger("server.supervise")


class Worker:
    """One running worker process; `media.control.WorkerProcess` by shape."""

    def __init__(self, module: str, process: asyncio.subprocess.Process, control: ControlChannel) -> None:
        self._module = module
        self._process = process
        self._control = control

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def control(self) -> ControlChannel:
        """The channel to it."""
        return self._control

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.returncode is not None

    @property
    def module(self) -> str:
        """What it runs."""
        return self._module

    async def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal. May be called by several tasks."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                return  # it ended this moment, and its exit is on the way


class Supervisor:
    """Starts worker processes (`media.control.Spawner` by shape); `close` ends those that are left."""

    def __init__(self) -> None:
        self._workers: set[Worker] = set()
        self._ended: list[Worker] = []

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that run."""
        self._forget()
        return tuple(self._workers)

    async def spawn(self, module: str, fds: Mapping[str, int], config: Mapping[str, Any]) -> Worker:
        """Start `module` in a process of its own; see `media.control.Spawner`.

        Raises:
            OSError: the process cannot be started.
        """
        self._forget()
        mine, theirs = control_pair()
        copies: list[int] = []
        try:
            # Copies above the channel's number: what the worker is given never stands where the channel
            # comes to stand.
            names = {}
            for name, descriptor in fds.items():
                copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, CONTROL_FD + 1)
                copies.append(copy)
                names[name] = copy
            channel_fd = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, CONTROL_FD + 1)
            copies.append(channel_fd)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "server.child",
                module,
                str(channel_fd),
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=tuple(copies),
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            )
        except BaseException:
            mine.close()
            raise
        finally:
            theirs.close()
            for copy in copies:
                os.close(copy)
        try:
            control = await ControlChannel.open(mine)
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            mine.close()
            await process.wait()
            raise
        worker = Worker(module, process, control)
        self._workers.add(worker)
        try:
            control.send(WorkerStart(fds=names, config=dict(config)))
        except ControlError as error:
            worker.kill()
            raise OSError(f"{module} went away at its start") from error
        _log.info("worker_started", module=module, pid=process.pid)
        return worker

    async def close(self) -> None:
        """Kill what is left, wait for its end and close every channel. Idempotent."""
        left = [*self._workers, *self._ended]
        self._workers.clear()
        self._ended.clear()
        for worker in left:
            worker.kill()
        for worker in left:
            async with asyncio.timeout(_PATIENCE_S):
                await worker.wait()
            await worker.control.close()

    def _forget(self) -> None:
        ended = {worker for worker in self._workers if worker.has_ended}
        self._workers -= ended
        # An owner closes the channel of a worker that it saw end; what it forgot is closed with the server.
        self._ended = [worker for worker in (*self._ended, *ended) if not worker.control.is_closing]
