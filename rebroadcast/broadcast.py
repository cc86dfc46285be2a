"""One broadcast as the server holds it: its activity, its program process, its HLS window.

The program process only ever sees what the taps let through. This side keeps the window, tells the process
what happens in the room, passes on the acknowledgement of each cut, and starts a process that died again.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

import msgspec
import structlog

from media.control import ControlError, Spawner, WorkerProcess
from media.tasks import TaskScope
from rebroadcast.clock import Clock
from rebroadcast.hls_intake import HlsIntake
from rebroadcast.outlets import Outlets, Target
from rebroadcast.types import DestinationStatus, Mode, RebroadcastConfig
from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.messages import (
    ChatShown,
    CloseTap,
    CutDone,
    CutPerson,
    FromWorker,
    HlsPiece,
    HlsStart,
    KeyframeWanted,
    MuteTap,
    OpenTap,
    OutputState,
    Person,
    Progress,
    Slate,
    Speaking,
    Stop,
)
from rooms import (
    Activity,
    ActivityEnded,
    ChatLine,
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
from sfu import TapId

log = structlog.get_logger("rebroadcast")

WORKER: Final = "rebroadcast.worker"
STOP_PATIENCE_S: Final = 3.0
_RESTART_FIRST_S: Final = 0.2
_RESTART_MOST_S: Final = 10.0
_LIVED_S: Final = 10.0


class Broadcast:
    """Runs one broadcast from `start` to `stop`."""

    def __init__(
        self,
        activity: Activity,
        targets: Mapping[str, Target],
        config: RebroadcastConfig,
        *,
        layout: str,
        mode: Mode,
        spawner: Spawner,
        policy: UrlPolicy,
        clock: Clock,
        on_ended: Callable[["Broadcast", str], None],
    ) -> None:
        self.activity = activity
        self.started_ms = clock.wall_ms()
        self.ended_ms: int | None = None
        self.state = "starting"
        self.reason: str | None = None
        self.mode = mode
        self.hls: HlsIntake | None = None
        if any(target.row.kind == "hls" for target in targets.values()):
            self.hls = HlsIntake(
                activity.id,
                segment_s=config.segment_s,
                epoch=lambda: activity.epoch,
                monotonic=clock.monotonic,
            )
        self._config = config
        self._layout = layout
        self._spawner = spawner
        self._clock = clock
        self._on_ended = on_ended
        self._outlets = Outlets(targets, hls=self.hls, policy=policy, clock=clock, tell=self._tell)
        self._worker: WorkerProcess | None = None
        self._people: dict[str, Person] = {}
        self._taps: dict[int, OpenTap] = {}
        self._muted: set[int] = set()
        self._cuts: set[int] = set()
        self._scope = TaskScope(f"broadcast {activity.id}")
        self._is_stopping = False
        self._ended = asyncio.Event()

    @property
    def destinations(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing."""
        return self._outlets.statuses()

    async def start(self) -> None:
        """Begins; returns at once."""
        await self._scope.open()
        self._scope.start(self._follow_room(), "room")
        self._scope.start(self._keep_worker(), "worker")

    async def stop(self, reason: str | None = None) -> None:
        """Closes every destination, then the activity. Idempotent; returns when all is closed."""
        if self._is_stopping:
            await self._ended.wait()
            return
        self._is_stopping = True
        self._enter("stopping", reason)
        worker = self._worker
        if worker is not None:
            with contextlib.suppress(ControlError):  # a process that is gone has stopped
                worker.control.send(Stop())
            try:
                async with asyncio.timeout(STOP_PATIENCE_S):
                    await worker.wait()
            except TimeoutError:
                worker.kill()
                await worker.wait()
        if self.hls is not None:
            self.hls.clear()
        await self.activity.close("closed")
        await self._scope.close()
        self._outlets.stopped()
        self.ended_ms = self._clock.wall_ms()
        self._enter("failed" if reason else "stopped", reason)
        self._ended.set()

    def kill(self, reason: str) -> None:
        """Ends the program process at once: it missed a cut. It is started again on a new sink."""
        log.warning("program_killed", broadcast=self.activity.id, reason=reason)
        if self._worker is not None:
            self._worker.kill()
        if self.hls is not None:
            self.hls.clear()

    async def _follow_room(self) -> None:
        async for event in self.activity.events:
            match event:
                case PersonChanged():
                    self._person(event)
                case TapOpened():
                    self._open_tap(event)
                case TapClosed(tap=tap):
                    self._taps.pop(tap, None)
                    self._muted.discard(tap)
                    self._tell(CloseTap(tap))
                case TapMuted(tap=tap, is_muted=is_muted):
                    (self._muted.add if is_muted else self._muted.discard)(tap)
                    self._tell(MuteTap(tap, is_muted))
                case ChatLine():
                    self._tell(
                        ChatShown(event.id, event.person, event.name, event.text, event.slot, event.version)
                    )
                case Cut():
                    self._cut(event)
                case Speakers(participants=participants):
                    self._tell(Speaking(participants))
                case SitesChanged(dropped=dropped):
                    self._outlets.drop(dropped)
                case SinkLost():
                    if self._worker is not None and self.activity.sink is None:
                        self._worker.kill()  # the next one starts on a new sink
                case ActivityEnded(reason=reason):
                    if not self._is_stopping:
                        self._on_ended(self, reason)
                    return
                case _:
                    assert_never(event)

    def _open_tap(self, event: TapOpened) -> None:
        source, slot, version = event.source.value, event.slot, event.version
        tap = OpenTap(event.tap, event.person, event.participant, event.kind, source, slot, version)
        self._taps[event.tap] = tap
        self._tell(tap)

    def _person(self, event: PersonChanged) -> None:
        person = Person(event.person, event.participant, event.name, event.is_present)
        if event.is_present:
            self._people[event.participant] = person
        else:
            self._people.pop(event.participant, None)
        self._tell(person)

    def _cut(self, event: Cut) -> None:
        """The gates are closed already: take back what players could fetch, then what the process has."""
        if self.hls is not None:
            self.hls.cut(event.person)
        self._cuts.add(event.cut_id)
        if not self._tell(CutPerson(event.cut_id, event.person, event.epoch)):
            self._acknowledge(event.cut_id)

    async def _keep_worker(self) -> None:
        """Keeps a program process running until the broadcast stops."""
        pause_s = _RESTART_FIRST_S
        is_first = True
        while not self._is_stopping:
            began = self._clock.monotonic()
            try:
                await self._live(is_first=is_first)
            except* (OSError, ControlError, Refused) as errors:
                reasons = "; ".join(str(error) for error in _leaves(errors))
                log.warning("program_failed", broadcast=self.activity.id, reason=reasons)
            is_first = False
            if self._is_stopping:
                return
            self._lose_worker()
            if self._clock.monotonic() - began > _LIVED_S:
                pause_s = _RESTART_FIRST_S
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _RESTART_MOST_S)

    async def _live(self, *, is_first: bool) -> None:
        """One life of the program process."""
        worker = self._worker = await self._spawn(is_first=is_first)
        try:
            for news in (
                *self._people.values(),
                *self._taps.values(),
                *(MuteTap(tap, True) for tap in self._muted),
            ):
                self._tell(news)
            self._enter("running", None)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._outlets.serve())
                try:
                    await self._listen(worker)
                finally:
                    serving.cancel()
        finally:
            self._worker = None
            worker.kill()
            await worker.wait()
            await worker.control.close()

    async def _spawn(self, *, is_first: bool) -> WorkerProcess:
        gates = self.activity.gates_fd()
        try:
            sink = self.activity.sink if is_first else None
            if sink is None:
                sink = await self.activity.new_sink()
            fds = {"sink": sink.consumer_fd, "gates": gates}
            worker = await self._spawner.spawn(WORKER, fds, self._program_config())
            sink.detach()
            return worker
        finally:
            os.close(gates)

    def _program_config(self) -> dict[str, Any]:
        config = self._config
        return {
            "epoch_slot": self.activity.epoch_slot,
            "layout": self._layout,
            "mode": self.mode,
            "width": config.width,
            "height": config.height,
            "fps": config.fps,
            "video_bps": config.video_bps,
            "audio_bps": config.audio_bps,
            "segment_s": config.segment_s,
        }

    async def _listen(self, worker: WorkerProcess) -> None:
        """Takes what the process says until it goes away."""
        decoder = msgspec.msgpack.Decoder(FromWorker)
        late = 0
        while (message := await worker.control.receive(decoder)) is not None:
            match message:
                case CutDone(cut_id):
                    self._acknowledge(cut_id)
                case OutputState():
                    self._outlets.heard(message)
                case Slate(reason):
                    self._outlets.slate_changed(reason)
                case HlsStart() if self.hls is not None:
                    self.hls.start(message)
                case HlsPiece() if self.hls is not None:
                    self.hls.take(message)
                case KeyframeWanted(tap):
                    await self.activity.request_keyframe(TapId(tap))
                case Progress(skipped=skipped) if skipped > late:
                    log.debug("program_late", broadcast=self.activity.id, count=skipped - late)
                    late = skipped
                case _:
                    pass  # progress without lateness needs no word

    def _lose_worker(self) -> None:
        """The process is gone: what it held is gone with it, so every cut that waits is done."""
        if self.hls is not None:
            self.hls.interrupt()
        for cut_id in list(self._cuts):
            self._acknowledge(cut_id)
        self._outlets.interrupted()

    def _acknowledge(self, cut_id: int) -> None:
        if cut_id in self._cuts:
            self._cuts.remove(cut_id)
            self.activity.acknowledge(cut_id)

    def _tell(self, message: msgspec.Struct) -> bool:
        """Sends to the process if there is one; False when nothing of the room can be in it."""
        if self._worker is None:
            return False
        try:
            self._worker.control.send(message)
        except ControlError as error:
            if not self._is_stopping:
                log.warning("program_unreachable", broadcast=self.activity.id, reason=str(error))
            self._worker.kill()  # its end acknowledges what waits
        return True

    def _enter(self, state: str, reason: str | None) -> None:
        self.state, self.reason = state, reason
        log.info(
            "broadcast_changed",
            broadcast=self.activity.id,
            room=self.activity.room,
            code=state,
            reason=reason,
        )


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions of a group and of the groups in it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
