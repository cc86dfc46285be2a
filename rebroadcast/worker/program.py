"""The thread of a program: reads the taps, lets its maker make, hands over, and never waits for an output."""

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from media.tap_record import DATAGRAM_MAX_BYTES, LostRecord, TapRecord, TapRecordError, read_records
from rebroadcast.worker.feed import FeedItem, RoomNews
from rebroadcast.worker.messages import CutPerson, ProgramConfig, Progress
from rebroadcast.worker.pacing import Pacer, Work

log = structlog.get_logger()

_DATAGRAMS_AT_ONCE: Final = 64


class Maker(Protocol):
    """What turns taps into encoded frames; lives on the program's thread."""

    @property
    def slate(self) -> str | None:
        """Why a placeholder stands in for the whole picture; None while there is one."""
        ...

    @property
    def work(self) -> Work:
        """What its other threads have done."""
        ...

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news."""
        ...

    def cut(self, person: str) -> None:
        """Forgets everything of a person."""
        ...

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        ...

    def has_room(self) -> bool:
        """Whether another picture can be taken by what encodes it."""
        ...

    def make(self, index: int, due_ns: int, *, is_skipped: bool) -> list[FeedItem]:
        """What belongs to the picture time `index`, which is due at `due_ns`, as far as it is made here."""
        ...

    def close(self) -> None:
        """Frees what it holds."""
        ...


class Program:
    """One program's thread. `tell` may be called from any thread; the callbacks are called on this one."""

    def __init__(
        self,
        config: ProgramConfig,
        maker: Maker,
        sink: socket.socket | None,
        *,
        start_ns: int,
        deliver: Callable[[Sequence[FeedItem]], None],
        keyframe_wanted: Callable[[int], None],
        cut_done: Callable[[CutPerson], None],
        slate_changed: Callable[[str | None], None],
        progress: Callable[[Progress], None],
    ) -> None:
        """`sink`: where tap records come; None without taps. `start_ns`: CLOCK_MONOTONIC of picture 0."""
        self._config = config
        self._maker = maker
        self._sink = sink
        self._start_ns = start_ns
        self._deliver = deliver
        self._keyframe_wanted = keyframe_wanted
        self._cut_done = cut_done
        self._slate_changed = slate_changed
        self._slate: str | None = None
        self._progress = progress
        self._news: deque[RoomNews | CutPerson] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_stopping = False
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="program", daemon=True)

    def start(self) -> None:
        """Begins to make the program."""
        self._thread.start()

    def tell(self, news: RoomNews | CutPerson) -> None:
        """Hands news of the room to the program's thread."""
        self._news.append(news)
        os.eventfd_write(self._wake_fd, 1)

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._is_stopping = True
        os.eventfd_write(self._wake_fd, 1)
        self._thread.join()
        self._maker.close()
        os.close(self._wake_fd)

    def _run(self) -> None:
        poller = select.poll()
        if self._sink is not None:
            poller.register(self._sink, select.POLLIN)
        poller.register(self._wake_fd, select.POLLIN)
        pacer = Pacer(self._start_ns, self._config.fps)
        while not self._is_stopping:
            due_ns = pacer.due_ns
            waited_ns = self._listen(poller, due_ns)
            if self._is_stopping:
                return
            began_ns = time.monotonic_ns()
            is_due = pacer.is_due(began_ns, has_room=self._maker.has_room())
            if items := self._maker.make(pacer.index, due_ns, is_skipped=not is_due):
                self._deliver(items)
            if self._maker.slate != self._slate:
                self._slate = self._maker.slate
                self._slate_changed(self._slate)
            now_ns = time.monotonic_ns()
            pacer.done(now_ns, waited_ns=waited_ns, drew_ns=now_ns - began_ns, work=self._maker.work)
            if pacer.index % self._config.fps == 0:
                self._progress(self._report(pacer))

    def _report(self, pacer: Pacer) -> Progress:
        return Progress(
            pictures=pacer.drawn,
            skipped=pacer.left_out,
            lost_records=self._lost,
            cpu_s=time.process_time(),
            fps=pacer.fps,
            lowered=pacer.lowered,
        )

    def _listen(self, poller: select.poll, due_ns: int) -> int:
        """Takes records and news until the next picture is due; at least one round of each.

        Returns how many nanoseconds there was nothing to do.
        """
        waited_ns = 0
        while not self._is_stopping:
            asked_ns = time.monotonic_ns()
            ready = dict(poller.poll(max((due_ns - asked_ns) // 1_000_000, 0)))
            waited_ns += time.monotonic_ns() - asked_ns
            if self._wake_fd in ready:
                os.eventfd_read(self._wake_fd)
            while self._news:
                self._take_news(self._news.popleft())
            if self._sink is not None:
                events = ready.get(self._sink.fileno(), 0)
                if events & select.POLLIN:
                    self._read_sink(self._sink)
                elif events & (select.POLLHUP | select.POLLERR):
                    poller.unregister(self._sink)  # the core closed its end; the owner says what comes next
            if time.monotonic_ns() >= due_ns:
                break
        return waited_ns

    def _take_news(self, news: RoomNews | CutPerson) -> None:
        if isinstance(news, CutPerson):
            self._maker.cut(news.person)
            self._cut_done(news)
        else:
            self._maker.apply(news, time.monotonic_ns())

    def _read_sink(self, sink: socket.socket) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                datagram = sink.recv(DATAGRAM_MAX_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not datagram:
                return
            now_ns = time.monotonic_ns()
            try:
                for record in read_records(datagram):
                    if isinstance(record, LostRecord):
                        self._lost += record.lost
                    wanted = self._maker.receive(record, now_ns)
                    if wanted is not None:
                        self._keyframe_wanted(wanted)
            except TapRecordError as error:
                log.warning("tap_record_refused", reason=str(error))
