"""One thread that owns one database connection and does one job after the other."""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from store.database import translate
from store.errors import StoreBusy, StoreClosed

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    work: Callable[[Connection], Any]
    after: Callable[[], None] | None
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class DatabaseThread:
    """Runs jobs off the event loop, in order, each in its own transaction.

    Overflow rule: a full queue refuses the job with StoreBusy. A caller that is cancelled no longer waits;
    its job runs nevertheless.
    """

    def __init__(self, name: str, engine: Engine, where: str, limit: int) -> None:
        self._engine = engine
        self._where = where
        self._jobs: queue.Queue[_Job | None] = queue.Queue(limit)
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that wait now."""
        return self._jobs.qsize()

    async def run(self, work: Callable[[Connection], T], *, after: Callable[[], None] | None = None) -> T:
        """Do `work` in a transaction and return its result; `after` runs in the thread once it is committed.

        Raises: StoreError; the transaction is then rolled back.
        """
        if self._is_closed:
            raise StoreClosed(f"{self._where} is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            self._jobs.put_nowait(_Job(work, after, loop, future))
        except queue.Full:
            raise StoreBusy(f"{self._where}: {self._jobs.maxsize} jobs wait already") from None
        return await future

    async def close(self) -> None:
        """Finish what waits, then end the thread and its connection. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        waiter = threading.Thread(target=self._end, args=(loop, ended), name="store-close", daemon=True)
        waiter.start()
        await ended
        waiter.join()

    def _end(self, loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
        self._jobs.put(None)
        self._thread.join()
        loop.call_soon_threadsafe(ended.set_result, None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)
        self._engine.dispose()

    def _do(self, job: _Job) -> None:
        try:
            with self._engine.begin() as connection:
                result = job.work(connection)
            if job.after is not None:
                job.after()
        except Exception as error:  # noqa: BLE001 - whatever a job raises belongs to its caller
            self._deliver(job, None, _own(error, self._where))
        else:
            self._deliver(job, result, None)

    @staticmethod
    def _deliver(job: _Job, result: Any, error: Exception | None) -> None:
        def settle() -> None:
            if job.future.done():
                return
            if error is not None:
                job.future.set_exception(error)
            else:
                job.future.set_result(result)

        try:
            job.loop.call_soon_threadsafe(settle)
        except RuntimeError:
            # The caller's loop is closed: nobody waits any more.
            return


def _own(error: Exception, where: str) -> Exception:
    try:
        return translate(error, where)
    except Exception as other:  # noqa: BLE001 - a fault of the job itself, handed to its caller as it is
        return other
