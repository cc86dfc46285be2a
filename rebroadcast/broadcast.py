"""One broadcast as the server holds it: its activity, its program process, its HLS window.

The program process only ever sees what the taps let through. This side keeps the window, tells the process
what happens in the room, passes on the acknowledgement of each cut, and starts a process that died again.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from media.control import ControlError, Spawner, WorkerProcess
from media.tasks import TaskScope
from rebroadcast.clock import Clock
from rebroadcast.feed import Feed, Port
from rebroadcast.hls_intake import HlsIntake
from rebroadcast.look import ProgramLook
from rebroadcast.outlets import Outlets, Target
from rebroadcast.types import (
    DestinationStatus,
    EncodingInfo,
    Mode,
    ProgramInfo,
    RebroadcastConfig,
    ReplayInfo,
)
from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.messages import (
    CutDone,
    CutPerson,
    Dump,
    Encoding,
    FromWorker,
    HlsPiece,
    HlsStart,
    KeyframeWanted,
    OutputState,
    Progress,
    Slate,
    Stop,
)
from rooms import (
    Activity,
    ActivityEnded,
    Cut,
    Refused,
    SinkLost,
    SitesChanged,
)

log = structlog.get_logger("rebroadcast")

WORKER: Final = "rebroadcast.worker"
STOP_PATIENCE_S: Final = 3.0
_RESTART_FIRST_S: Final = 0.2
_RESTART_MOST_S: Final = 10.0
_LIVED_S: Final = 10.0
_TOLD_S: Final = 0.25
_ARRIVES: Final = frozenset({"live", "slate"})


class Broadcast:
    """Runs one broadcast from `start` to `stop`."""

    def __init__(
        self,
        activity: Activity,
        targets: Mapping[str, Target],
        config: RebroadcastConfig,
        *,
        look: ProgramLook,
        feed: Feed,
        mode: Mode,
        delay_ms: int = 0,
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
        self.delay_ms = delay_ms
        self.hls = HlsIntake(config, epoch=lambda: activity.epoch, monotonic=clock.monotonic)
        self._config = config
        self.look = look
        self.program: ProgramInfo | None = None
        self._measured = (0.0, 0.0)
        self._feed = feed
        self._spawner = spawner
        self._clock = clock
        self._on_ended = on_ended
        self._outlets = Outlets(
            targets, hls=self.hls, policy=policy, clock=clock, tell=self._tell, program=activity.id
        )
        self._worker: WorkerProcess | None = None
        self._cuts: set[int] = set()
        self._scope = TaskScope(f"broadcast {activity.id}")
        self._is_stopping = False
        self._ended = asyncio.Event()
        feed.attach(Port(self._tell, self.hls.say, self.hls.unsay, self._outlets.statuses))

    @property
    def destinations(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing."""
        return self._outlets.statuses()

    @property
    def targets(self) -> Mapping[str, Target]:
        """The destinations that it serves."""
        return self._outlets.targets

    @property
    def encodings(self) -> frozenset[Encoding]:
        """What is made of the one picture for them."""
        return frozenset(one for target in self.targets.values() for one in target.encodings)

    @property
    def process(self) -> int | None:
        """Id of the program process; None while there is none."""
        return None if self._worker is None else self._worker.pid

    @property
    def replay(self) -> ReplayInfo | None:
        """How far a replay has come; None of a room."""
        return self._feed.progress()

    @property
    def is_ending(self) -> bool:
        """Whether it stops, or has."""
        return self._is_stopping

    def names(self, site: str) -> bool:
        """Whether people were told that it goes to that site."""
        return any(known.id == site for known in self.activity.sites)

    def add(self, target: Target) -> None:
        """Serves one more destination, of a site that people were told of."""
        self._outlets.add(target)

    def remove(self, destination: str, reason: str) -> None:
        """Ends one destination; the others are not disturbed."""
        self._outlets.remove(destination, reason)

    def dump(self) -> None:
        """Throws away what the delay holds."""
        self._tell(Dump())

    async def start(self) -> None:
        """Begins, unless it was stopped before; returns at once."""
        if self._is_stopping:
            return
        await self._scope.open()
        self._scope.start(self._follow(), "activity")
        self._scope.start(self._keep_worker(), "worker")
        self._scope.start(self._run_feed(), "feed")
        self._scope.start(self._keep_told(), "sites")

    def change(self, look: ProgramLook) -> None:
        """Goes on with another look; nothing is interrupted."""
        self.look = look
        self._tell(look.message())
        self._feed.dress(look)

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
        self.hls.clear()
        self._feed.close()
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
        self.hls.clear()

    async def _run_feed(self) -> None:
        reason = await self._feed.run()
        if reason is not None and not self._is_stopping:
            self._on_ended(self, reason)

    async def _keep_told(self) -> None:
        """Everyone in the room is told which sites take what is sent, as it is now."""
        while True:
            statuses = self._outlets.statuses()
            self.activity.reach({status.partner for status in statuses if status.state in _ARRIVES})
            await self._clock.sleep(_TOLD_S)

    async def _follow(self) -> None:
        async for event in self.activity.events:
            match event:
                case Cut():
                    self._cut(event)
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
                    self._feed.take(event)

    def _cut(self, event: Cut) -> None:
        """The gates are closed already: take back what players could fetch, then what the process has."""
        self.hls.cut(event.person)
        self._feed.cut(event.person)
        self._cuts.add(event.cut_id)
        if not self._tell(CutPerson(event.cut_id, event.person, event.epoch)):
            self._acknowledge(event.cut_id)

    async def _keep_worker(self) -> None:
        """Keeps a program process running until the broadcast stops."""
        await self._feed.ready()
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
            for news in self._feed.known():
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
            intake = await self._feed.intake(is_first=is_first)
            fds = {"sink": intake.consumer_fd, "gates": gates}
            try:
                return await self._spawner.spawn(WORKER, fds, self._program_config())
            finally:
                intake.detach()
        finally:
            os.close(gates)

    def _program_config(self) -> dict[str, Any]:
        config = self._config
        return {
            "epoch_slot": self.activity.epoch_slot,
            "look": self.look.message(),
            "mode": self.mode,
            "is_replay": self._feed.is_replay,
            "width": config.width,
            "height": config.height,
            "fps": config.fps,
            "video_bps": config.video_bps,
            "audio_bps": config.audio_bps,
            "segment_s": config.segment_s,
            "part_s": config.part_s,
            "hold_ms": self.delay_ms,
            "ca_file": config.ca_file,
            "allow_private": config.allow_private_destinations,
        }

    async def _listen(self, worker: WorkerProcess) -> None:
        """Takes what the process says until it goes away."""
        decoder = msgspec.msgpack.Decoder(FromWorker)
        while (message := await worker.control.receive(decoder)) is not None:
            match message:
                case CutDone(cut_id):
                    self._acknowledge(cut_id)
                case OutputState():
                    self._outlets.heard(message)
                case Slate(reason):
                    self._outlets.slate_changed(reason)
                case HlsStart():
                    self.hls.start(message)
                case HlsPiece():
                    self.hls.take(message)
                case KeyframeWanted(tap):
                    await self._feed.request_keyframe(tap)
                case Progress():
                    self._progressed(message)
                case _:
                    pass  # HLS of a broadcast that has none

    def _progressed(self, said: Progress) -> None:
        before = self.program
        now = self._clock.monotonic()
        passed, cpu_s = now - self._measured[0], said.cpu_s - self._measured[1]
        cores = cpu_s / passed if before is not None and passed > 0 else 0.0
        self._measured = (now, said.cpu_s)
        smooth = cores if before is None or not before.cores else 0.8 * before.cores + 0.2 * cores
        self.program = ProgramInfo(
            fps=said.fps,
            lowered=said.lowered or None,
            skipped=said.skipped,
            lost_packets=said.lost_records,
            cpu_s=said.cpu_s,
            cores=round(smooth, 3),
            encodings=tuple(
                EncodingInfo(
                    width=one.width, height=one.height, fps=one.fps, video_bps=one.bps, codec=one.codec
                )
                for one in sorted(
                    self.encodings, key=lambda one: (one.height, one.fps, one.bps), reverse=True
                )
            ),
        )
        if (before.lowered if before is not None else None) != self.program.lowered:
            log.warning("program_lowered", broadcast=self.activity.id, reason=self.program.lowered)

    def _lose_worker(self) -> None:
        """The process is gone: what it held is gone with it, so every cut that waits is done."""
        self.hls.interrupt()
        for cut_id in list(self._cuts):
            self._acknowledge(cut_id)
        self._outlets.interrupted()
        self.program = None

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
