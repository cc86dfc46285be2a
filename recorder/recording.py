"""One recording while it runs, as the server holds it: its activity and its worker process.

The worker sees only what the taps let through. This side tells it what happens in the room, passes on the
acknowledgement of each cut, and starts a worker that died again, in a new part.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, assert_never

import msgspec
import structlog

from media.control import ControlError, Spawner, WorkerProcess
from media.tasks import TaskScope
from recorder.data_keys import KeyAccess
from recorder.types import RecorderConfig
from recorder.worker.messages import (
    ChatLine,
    CloseTap,
    CutDone,
    CutPerson,
    DeleteChat,
    Failed,
    Finished,
    FinishProgress,
    Flushed,
    FromWorker,
    KeyframeWanted,
    MuteTap,
    OpenTap,
    Pause,
    Person,
    Progress,
    Ready,
    RecordConfig,
    Stop,
    ToWorker,
)
from rooms import (
    Activity,
    ActivityEnded,
    ActivityEvent,
    ChatLineDeleted,
    Cut,
    PersonChanged,
    Refused,
    SinkLost,
    SitesChanged,
    Speakers,
    TapClosed,
    TapMuted,
    TapOpened,
)
from rooms import ChatLine as RoomChatLine
from sfu import Sink, TapId

WORKER: Final = "recorder.worker"
_RESTART_FIRST_S: Final = 0.1
_RESTART_MOST_S: Final = 5.0
_RESTARTS_WINDOW_S: Final = 60.0
_CHAT_MAX: Final = 200
"""Chat lines that wait for a worker; the oldest go first."""
_SETTLE_S: Final = 1.0
"""For the last message of a worker that has ended to be read."""
_log = structlog.get_logger("recorder")


class Clock(Protocol):
    """The time that the recorder runs on."""

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    async def sleep(self, s: float) -> None:
        """Waits."""
        ...


class Recording:
    """Runs one recording from `start` to `stop`. Belongs to one event loop."""

    def __init__(
        self,
        activity: Activity,
        folder: Path,
        config: RecorderConfig,
        spawner: Spawner,
        clock: Clock,
        on_ended: Callable[["Recording", str], None],
        keys: KeyAccess | None,
    ) -> None:
        """`keys`: what is written is sealed with these; None writes it plain."""
        self.activity = activity
        self.folder = folder
        self.started_ms = clock.wall_ms()
        self.reason: str | None = None
        """Why it ended early; None while it runs and after a plain stop."""
        self.size_bytes = 0
        self._config = config
        self._spawner = spawner
        self._clock = clock
        self._on_ended = on_ended
        self._keys = keys
        self._origin_mono_ns = time.monotonic_ns()
        self._worker: WorkerProcess | None = None
        self._people: dict[str, Person] = {}
        self._taps: dict[int, OpenTap] = {}
        self._chat: deque[ChatLine | DeleteChat] = deque(maxlen=_CHAT_MAX)
        self._cuts: set[int] = set()
        self._is_ready = False
        self._restarts: deque[float] = deque()
        self._past_bytes = 0
        self._is_stopping = False
        self._is_flushed = False
        self._is_over = asyncio.Event()
        self._decoder = msgspec.msgpack.Decoder(FromWorker)
        self._scope = TaskScope(f"recording {activity.id}")

    async def start(self) -> None:
        """Start the worker and listen to the room. Raises: OSError when no worker can be started."""
        await self._scope.open()
        try:
            await self._spawn(self.activity.sink)
        except BaseException:
            await self._scope.close()
            raise
        self._scope.start(self._listen(), "events")
        self._scope.start(self._keep_running(), "worker")

    async def stop(self, reason: str) -> None:
        """Have the last bytes written and synced, end the activity; a second call waits for the first."""
        if self._is_stopping:
            await self._is_over.wait()
            return
        while (event := self.activity.events.poll()) is not None:
            self._take(event)  # a line that was deleted just now is not to stay
        self._is_stopping = True
        worker = self._worker
        try:
            if worker is not None:
                # One that only just starts is told nothing but this, and ends at once.
                if not self._send(worker, Stop(reason)):
                    worker.kill()
                await self._wait_for_end(worker)
            # Only now: the gates close with the activity, and what is behind a closed gate is not written.
            await self.activity.close(reason)
            await self._scope.settle(_SETTLE_S)
        finally:
            self._acknowledge_all()
            self._is_over.set()
            await self._scope.close()
            if worker is not None:
                await worker.control.close()

    def pause(self, *, is_paused: bool) -> None:
        """Keep nothing from now on, or go on; everyone in the room is told."""
        self.activity.pause(is_paused=is_paused)
        if is_paused:
            self._chat = deque(
                (line for line in self._chat if isinstance(line, DeleteChat)), maxlen=_CHAT_MAX
            )
        self._tell(Pause(is_paused))

    def kill(self, reason: str) -> None:
        """End the worker at once: it did not cut in time. Its death is noticed and a new one started."""
        _log.warning("recorder_killed", activity=self.activity.id, reason=reason)
        if self._worker is not None:
            self._worker.kill()

    @property
    def is_flushed(self) -> bool:
        """Whether the worker said that its last byte is synced."""
        return self._is_flushed

    async def _wait_for_end(self, worker: WorkerProcess) -> None:
        try:
            async with asyncio.timeout(self._config.stop_patience_s):
                await worker.wait()
        except TimeoutError:
            _log.warning("recorder_stop_timed_out", activity=self.activity.id)
            worker.kill()
            await worker.wait()

    # The worker

    async def _spawn(self, sink: Sink | None) -> None:
        if sink is None:
            raise OSError("the room is closed already")
        config = RecordConfig(
            folder=str(self.folder),
            recording=self.activity.id,
            room=self.activity.room_id,
            terms_version=self.activity.terms_version,
            origin_mono_ns=self._origin_mono_ns,
            origin_unix_ms=self.started_ms,
            queue_max_bytes=self._config.queue_max_bytes,
            keys=self._keys,
        )
        gates = self.activity.gates_fd()
        try:
            fds = {"sink": sink.consumer_fd, "gates": gates}
            self._worker = await self._spawner.spawn(WORKER, fds, msgspec.to_builtins(config))
        finally:
            os.close(gates)
            sink.detach()

    def _take_ready(self) -> None:
        """Tell the worker who is there; until now it could write nothing of anybody."""
        self._is_ready = True
        known: list[ToWorker] = [
            Pause(self.activity.is_paused),
            *self._people.values(),
            *self._taps.values(),
            *self._chat,
        ]
        for message in known:
            self._tell(message)
        self._chat.clear()

    async def _keep_running(self) -> None:
        """Read what the worker says until it ends; then start another, unless the recording is over."""
        while (worker := self._worker) is not None:
            failed = await self._read(worker)
            code = await worker.wait()
            # Whatever it held is gone with it: no cut has anything to wait for.
            self._acknowledge_all()
            if self._is_stopping:
                self.reason = self.reason or (failed.reason if failed is not None else None)
                return
            await worker.control.close()
            self._worker = None
            self._is_ready = False
            self._past_bytes, self.size_bytes = self.size_bytes, self.size_bytes
            if failed is not None:
                self._end(failed.reason)
                return
            _log.warning("recorder_worker_died", activity=self.activity.id, code=code)
            if not await self._restart():
                return

    async def _read(self, worker: WorkerProcess) -> Failed | None:
        failed: Failed | None = None
        while True:
            try:
                message = await worker.control.receive(self._decoder)
            except ControlError as error:
                _log.warning("recorder_control_broken", activity=self.activity.id, reason=str(error))
                worker.kill()
                return failed
            match message:
                case None:
                    return failed
                case Ready():
                    self._take_ready()
                case CutDone():
                    self._acknowledge(message.cut_id)
                case KeyframeWanted():
                    self._scope.start(self.activity.request_keyframe(TapId(message.tap)), "keyframe")
                case Progress() | Flushed():
                    self.size_bytes = self._past_bytes + message.size_bytes
                    self._is_flushed = isinstance(message, Flushed)
                case Failed():
                    failed = message
                case Finished() | FinishProgress():
                    pass  # of a worker that finishes a folder; a recording one never says so
                case _:
                    assert_never(message)

    async def _restart(self) -> bool:
        """Start a worker again, with growing pauses; False when it is time to give up."""
        delay_s = _RESTART_FIRST_S
        while not self._is_stopping:
            now = self._clock.monotonic()
            while self._restarts and now - self._restarts[0] > _RESTARTS_WINDOW_S:
                self._restarts.popleft()
            if len(self._restarts) >= self._config.restarts_max:
                self._end("worker_failed")
                return False
            self._restarts.append(now)
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, _RESTART_MOST_S)
            try:
                self._taps.clear()  # the taps of the old sink; those of the new one are told as they open
                await self._spawn(await self.activity.new_sink())
            except Refused:
                return False  # the activity is over, and says so itself
            except OSError as error:
                _log.warning("recorder_start_failed", activity=self.activity.id, reason=str(error))
                continue
            if self._is_stopping and self._worker is not None:
                self._worker.kill()  # whoever stops has not seen this one
                await self._wait_for_end(self._worker)
                await self._worker.control.close()
                return False
            _log.info("recorder_restarted", activity=self.activity.id, count=len(self._restarts))
            return True
        return False

    def _tell(self, message: ToWorker) -> bool:
        """Send to the worker; one that does not read is ended. False when there is none that listens."""
        if self._worker is None or not self._is_ready or self._is_stopping:
            return False
        return self._send(self._worker, message)

    def _send(self, worker: WorkerProcess, message: ToWorker) -> bool:
        try:
            worker.control.send(message)
        except ControlError as error:
            _log.warning("recorder_control_broken", activity=self.activity.id, reason=str(error))
            worker.kill()
            return False
        return True

    # The room

    async def _listen(self) -> None:
        async for event in self.activity.events:
            self._take(event)

    def _take(self, event: ActivityEvent) -> None:
        match event:
            case PersonChanged():
                self._take_person(event)
            case TapOpened():
                tap = OpenTap(
                    tap=event.tap,
                    person=event.person,
                    participant=event.participant,
                    track=event.track,
                    kind=event.kind,
                    source=event.source,
                    slot=event.slot,
                    version=event.version,
                    terms_version=event.terms_version,
                )
                self._taps[event.tap] = tap
                self._tell(tap)
            case TapClosed():
                self._taps.pop(event.tap, None)
                self._tell(CloseTap(event.tap, event.reason))
            case TapMuted():
                self._tell(MuteTap(event.tap, event.is_muted))
            case RoomChatLine():
                self._take_chat(event)
            case ChatLineDeleted():
                if not self._tell(DeleteChat(event.id)):
                    self._chat.append(DeleteChat(event.id))
            case Cut():
                self._cut(event)
            case SinkLost():
                if event.reason != "renewed" and self._worker is not None and not self._is_stopping:
                    self._worker.kill()  # it reads from nowhere; the next one gets a new sink
            case ActivityEnded():
                self._end(event.reason)
            case Speakers() | SitesChanged():
                pass  # nothing that a recording keeps
            case _:
                assert_never(event)

    def _take_person(self, event: PersonChanged) -> None:
        person = Person(event.person, event.participant, event.name, event.is_present)
        if event.is_present and event.name is not None:
            self._people[event.participant] = person
        else:
            self._people.pop(event.participant, None)
        self._tell(person)

    def _take_chat(self, event: RoomChatLine) -> None:
        line = ChatLine(
            id=event.id,
            person=event.person,
            name=event.name,
            text=event.text,
            unix_ms=event.at_ms,
            slot=event.slot,
            version=event.version,
        )
        if not self.activity.is_paused and not self._tell(line):
            self._chat.append(line)  # a worker is on its way

    def _cut(self, event: Cut) -> None:
        for tap, known in list(self._taps.items()):
            if any(known.slot == slot and known.version <= version for slot, version in event.slots):
                del self._taps[tap]
        self._chat = deque(
            (line for line in self._chat if isinstance(line, DeleteChat) or line.person != event.person),
            maxlen=_CHAT_MAX,
        )
        self._cuts.add(event.cut_id)
        if not self._tell(CutPerson(event.cut_id, event.person, event.slots, event.reason)):
            self._settle(event.cut_id)

    def _settle(self, cut_id: int) -> None:
        """No worker was told of the cut: there is none, or one that knows of nobody yet and writes nothing.

        One that is being killed, or was told to stop, acknowledges by its end.
        """
        if self._worker is None or not (self._is_ready or self._is_stopping):
            self._acknowledge(cut_id)

    def _acknowledge(self, cut_id: int) -> None:
        if cut_id in self._cuts:
            self._cuts.discard(cut_id)
            self.activity.acknowledge(cut_id)

    def _acknowledge_all(self) -> None:
        for cut_id in list(self._cuts):
            self._acknowledge(cut_id)

    def _end(self, reason: str) -> None:
        if not self._is_stopping and self.reason is None:
            self.reason = reason
            self._on_ended(self, reason)
