"""The thread that makes a program: reads the taps, draws, mixes, encodes, and never waits for an output."""

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from media.canvas import Canvas
from media.clock_map import SECOND_NS
from media.gates import GatePage
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import DATAGRAM_MAX_BYTES, LostRecord, TapRecordError, read_records
from rebroadcast.worker.encode import AudioEncoder, VideoEncoder
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import (
    ChatShown,
    CloseTap,
    CutPerson,
    MuteTap,
    OpenTap,
    Person,
    ProgramConfig,
    Progress,
    Speaking,
)
from rebroadcast.worker.scene import Scene

log = structlog.get_logger()

News = Person | OpenTap | CloseTap | MuteTap | ChatShown | Speaking | CutPerson

_LATE_PICTURES: Final = 3
_DATAGRAMS_AT_ONCE: Final = 64


class Program:
    """One program. `start` begins its thread; `tell` may be called from any thread."""

    def __init__(
        self,
        config: ProgramConfig,
        audio: AudioEncoder,
        page: GatePage,
        sink: socket.socket,
        *,
        deliver: Callable[[Sequence[FeedItem]], None],
        keyframe_wanted: Callable[[int], None],
        cut_done: Callable[[CutPerson], None],
        progress: Callable[[Progress], None],
    ) -> None:
        """The callbacks are called on the program's thread."""
        self._config = config
        self._audio = audio
        self._video = VideoEncoder(
            width=config.width, height=config.height, fps=config.fps, bps=config.video_bps
        )
        self._epoch = Epoch(page, config.epoch_slot)
        self._sink = sink
        self._deliver = deliver
        self._keyframe_wanted = keyframe_wanted
        self._cut_done = cut_done
        self._progress = progress
        self._news: deque[News] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_stopping = False
        self._canvas = Canvas(config.width, config.height)
        self._mixer = Mixer()
        self._start_ns = time.monotonic_ns()
        self._delay_ns = config.delay_ms * 1_000_000
        self._scene = Scene(config, page, self._mixer, origin_ns=self._start_ns - self._delay_ns)
        self._encoded_epoch = -1
        self._next_key = 0
        self._pictures = self._skipped = self._lost = 0
        self._thread = threading.Thread(target=self._run, name="program", daemon=True)

    def start(self) -> None:
        """Begins to make the program."""
        self._thread.start()

    def tell(self, news: News) -> None:
        """Hands news of the room to the program's thread."""
        self._news.append(news)
        os.eventfd_write(self._wake_fd, 1)

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._is_stopping = True
        os.eventfd_write(self._wake_fd, 1)
        self._thread.join()
        self._video.close()
        os.close(self._wake_fd)

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._sink, select.POLLIN)
        poller.register(self._wake_fd, select.POLLIN)
        picture_ns = SECOND_NS // self._config.fps
        index = 0
        while not self._is_stopping:
            due_ns = self._start_ns + index * SECOND_NS // self._config.fps
            self._listen(poller, due_ns)
            if self._is_stopping:
                return
            late = (time.monotonic_ns() - due_ns) // picture_ns
            self._make(index, due_ns, is_skipped=late > _LATE_PICTURES and index != self._next_key)
            index += 1
            if index % self._config.fps == 0:
                cpu_s = time.process_time()
                self._progress(Progress(self._pictures, self._skipped, self._lost, cpu_s))

    def _listen(self, poller: select.poll, due_ns: int) -> None:
        """Takes records and news until the next picture is due; at least one round of each."""
        while not self._is_stopping:
            wait_ms = max((due_ns - time.monotonic_ns()) // 1_000_000, 0)
            ready = dict(poller.poll(wait_ms))
            if self._wake_fd in ready:
                os.eventfd_read(self._wake_fd)
            while self._news:
                self._take_news(self._news.popleft())
            events = ready.get(self._sink.fileno(), 0)
            if events & select.POLLIN:
                self._read_sink()
            elif events & (select.POLLHUP | select.POLLERR):
                poller.unregister(self._sink)  # the core closed its end; the owner will say what comes next
            if time.monotonic_ns() >= due_ns:
                return

    def _take_news(self, news: News) -> None:
        if isinstance(news, CutPerson):
            self._scene.cut(news.person)
            self._audio.forget()
            self._next_key = -1
            self._cut_done(news)
        else:
            self._scene.apply(news, time.monotonic_ns())

    def _read_sink(self) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                datagram = self._sink.recv(DATAGRAM_MAX_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not datagram:
                return
            now_ns = time.monotonic_ns()
            try:
                for record in read_records(datagram):
                    if isinstance(record, LostRecord):
                        self._lost += record.lost
                    wanted = self._scene.receive(record, now_ns)
                    if wanted is not None:
                        self._keyframe_wanted(wanted)
            except TapRecordError as error:
                log.warning("tap_record_refused", reason=str(error))

    def _make(self, index: int, due_ns: int, *, is_skipped: bool) -> None:
        """Makes picture `index` and the sound that belongs to it; a skipped picture still has its sound."""
        epoch = self._epoch.now()
        now_ns = time.monotonic_ns()
        items: list[FeedItem] = []
        fps = self._config.fps
        samples = self._mixer.pull((index + 1) * SAMPLE_RATE // fps - index * SAMPLE_RATE // fps)
        if is_skipped:
            self._skipped += 1
            persons = self._scene.heard(now_ns)
        else:
            persons = self._scene.draw(self._canvas, due_ns - self._delay_ns, now_ns)
            is_key = epoch != self._encoded_epoch or self._next_key < 0 or index >= self._next_key
            if is_key:
                self._next_key = index + max(round(self._config.segment_s * fps), 1)
            video = self._video.encode(self._canvas.to_frame(), index, is_keyframe=is_key)
            items += [FeedItem(frame, epoch, persons) for frame in video]
            self._encoded_epoch = epoch
            self._pictures += 1
        items += [FeedItem(frame, epoch, persons) for frame in self._audio.encode(samples)]
        if self._epoch.now() != epoch:
            self._audio.forget()
            self._next_key = -1
            return
        if items:
            self._deliver(items)
