"""One broadcast as the server holds it: its activity, its program process, its HLS window.

The program process only ever sees what the taps let through. This side keeps the window, tells the process
what happens in the room, passes on the acknowledgement of each cut, and starts a process that died again.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, assert_never

import msgspec
import structlog

from media.control import ControlError, Spawner, WorkerProcess
from media.tasks import TaskScope
from rebroadcast.hls_window import SEGMENT_MAX_BYTES, HlsError, HlsWindow
from rebroadcast.types import DestinationStatus, Mode, RebroadcastConfig
from rebroadcast.url_policy import DestinationRefused, HostUnresolved, UrlPolicy
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
    OutputConfig,
    OutputState,
    Person,
    Progress,
    RemoveOutput,
    Speaking,
    Stop,
)
from rooms import (
    Activity,
    ActivityEnded,
    ChatLine,
    Cut,
    PersonChanged,
    SinkLost,
    SitesChanged,
    Speakers,
    TapClosed,
    TapMuted,
    TapOpened,
)
from sfu import TapId
from store import DestinationRow, PartnerRow

log = structlog.get_logger("rebroadcast")

WORKER: Final = "rebroadcast.worker"
STOP_PATIENCE_S: Final = 3.0
_RESTART_FIRST_S: Final = 0.2
_RESTART_MOST_S: Final = 10.0
_RESOLVE_RETRY_S: Final = 5.0


class Clock(Protocol):
    """The time that broadcasts run on."""

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    async def sleep(self, s: float) -> None:
        """Waits."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One destination of this broadcast."""

    row: DestinationRow
    partner: PartnerRow

    def output(self, addresses: tuple[tuple[str, int], ...] = ()) -> OutputConfig:
        """What the program process must know of it."""
        if self.row.kind == "hls":
            return OutputConfig(self.row.id, "hls")
        key = self.row.key.reveal() if self.row.key is not None else ""
        return OutputConfig(self.row.id, "rtmp", f"{self.row.url}/{key}", addresses)


class Broadcast:
    """Runs one broadcast from `run` to `stop`."""

    def __init__(
        self,
        activity: Activity,
        targets: Mapping[str, Target],
        config: RebroadcastConfig,
        *,
        layout: str,
        mode: Mode,
        publisher: str | None,
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
        self.has_hls = any(target.row.kind == "hls" for target in targets.values())
        self._targets = dict(targets)
        self._config = config
        self._layout = layout
        self._publisher = publisher
        self._spawner = spawner
        self._policy = policy
        self._clock = clock
        self._on_ended = on_ended
        self._worker: WorkerProcess | None = None
        self._people: dict[str, Person] = {}
        self._taps: dict[int, OpenTap] = {}
        self._muted: set[int] = set()
        self._cuts: dict[int, str] = {}
        self._pieces: dict[str, bytearray] = {}
        self._scope = TaskScope(f"broadcast {activity.id}")
        self._is_stopping = False
        self._ended = asyncio.Event()
        self.window = HlsWindow(segment_s=config.segment_s) if self.has_hls else None
        self._status = {
            target.row.id: DestinationStatus(
                destination=target.row.id,
                name=target.row.name,
                site=target.partner.site,
                kind=target.row.kind,
                state="idle",
                reason=None,
                bytes_acknowledged=0,
            )
            for target in targets.values()
        }

    @property
    def destinations(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing."""
        return tuple(self._status.values())

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
        self.window = None
        await self.activity.close("closed")
        await self._scope.close()
        for destination in self._status:
            self._update(destination, state="stopped")
        self.ended_ms = self._clock.wall_ms()
        self._enter("failed" if reason else "stopped", reason)
        self._ended.set()

    def kill(self, reason: str) -> None:
        """Ends the program process at once: it missed a cut. It is started again on a new sink."""
        log.warning("program_killed", broadcast=self.activity.id, reason=reason)
        if self._worker is not None:
            self._worker.kill()
        if self.window is not None:
            self.window.clear()

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
                    await self._drop(dropped)
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
        if self.window is not None:
            self.window.cut(event.person)
        self._pieces.clear()
        self._cuts[event.cut_id] = event.person
        if not self._tell(CutPerson(event.cut_id, event.person, event.epoch)):
            self._acknowledge(event.cut_id)

    async def _drop(self, sites: tuple[str, ...]) -> None:
        for destination, target in list(self._targets.items()):
            if target.row.id in sites or target.partner.id in sites:
                del self._targets[destination]
                self._tell(RemoveOutput(destination))
                self._update(
                    destination, state="stopped", reason="the partner's terms are no longer in force"
                )

    async def _keep_worker(self) -> None:
        """Keeps a program process running until the broadcast stops."""
        pause_s = _RESTART_FIRST_S
        is_first = True
        while not self._is_stopping:
            try:
                began_ms = self._clock.wall_ms()
                await self._serve(is_first=is_first)
            except (OSError, ControlError) as error:
                log.warning("program_failed", broadcast=self.activity.id, reason=str(error))
            is_first = False
            if self._is_stopping:
                return
            self._lose_worker()
            if self._clock.wall_ms() - began_ms > 10_000:
                pause_s = _RESTART_FIRST_S
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _RESTART_MOST_S)

    async def _serve(self, *, is_first: bool) -> None:
        """One life of the program process."""
        gates = self.activity.gates_fd()
        sink = self.activity.sink if is_first else None
        try:
            if sink is None:
                sink = await self.activity.new_sink()
            worker = await self._spawner.spawn(
                WORKER, {"sink": sink.consumer_fd, "gates": gates}, self._program_config()
            )
            sink.detach()
        finally:
            os.close(gates)
        self._worker = worker
        for news in (
            *self._people.values(),
            *self._taps.values(),
            *(MuteTap(tap, True) for tap in self._muted),
        ):
            self._tell(news)
        self._enter("running", None)
        try:
            async with asyncio.TaskGroup() as group:
                opening = [group.create_task(self._open(target)) for target in self._targets.values()]
                await self._listen(worker)
                for task in opening:
                    task.cancel()
        finally:
            self._worker = None
            worker.kill()
            await worker.wait()
            await worker.control.close()

    def _program_config(self) -> dict[str, Any]:
        config = self._config
        return {
            "epoch_slot": self.activity.epoch_slot,
            "layout": self._layout,
            "mode": self.mode,
            "publisher": self._publisher or "",
            "width": config.width,
            "height": config.height,
            "fps": config.fps,
            "video_bps": config.video_bps,
            "audio_bps": config.audio_bps,
            "segment_s": config.segment_s,
        }

    async def _open(self, target: Target) -> None:
        """Tells the process of one destination, once its addresses are judged."""
        if target.row.kind == "hls":
            self._tell(target.output())
            return
        while True:
            try:
                approved = await self._policy.resolve(target.row.url)
            except HostUnresolved as error:
                self._update(target.row.id, state="backing_off", reason=str(error))
                await self._clock.sleep(_RESOLVE_RETRY_S)
                continue
            except DestinationRefused as error:
                self._update(target.row.id, state="failed", reason=str(error))
                return
            self._tell(target.output(tuple((address.ip, address.port) for address in approved)))
            return

    async def _listen(self, worker: WorkerProcess) -> None:
        decoder = msgspec.msgpack.Decoder(FromWorker)
        while (message := await worker.control.receive(decoder)) is not None:
            match message:
                case CutDone(cut_id):
                    self._acknowledge(cut_id)
                case OutputState(destination, state, reason, acknowledged):
                    self._update(
                        destination, state=state, reason=reason or None, bytes_acknowledged=acknowledged
                    )
                case HlsStart(_, init, epoch):
                    self._pieces.clear()
                    if self.window is not None and epoch == self.activity.epoch:
                        self.window.start_part(init)
                case HlsPiece():
                    self._piece(message)
                case KeyframeWanted(tap):
                    await self.activity.request_keyframe(TapId(tap))
                case Progress(skipped=skipped) if skipped:
                    log.debug("program_late", broadcast=self.activity.id, count=skipped)
                case _:
                    pass  # progress without lateness needs no word

    def _piece(self, piece: HlsPiece) -> None:
        if self.window is None or piece.epoch != self.activity.epoch:
            self._pieces.clear()
            return
        data = self._pieces.setdefault(piece.id, bytearray())
        data += piece.data
        if len(data) > SEGMENT_MAX_BYTES:
            log.warning("hls_segment_refused", broadcast=self.activity.id, reason="too large")
            self._pieces.clear()
        elif piece.is_last:
            del self._pieces[piece.id]
            try:
                self.window.add(bytes(data), duration_s=piece.duration_s, persons=frozenset(piece.persons))
            except HlsError as error:
                log.warning("hls_segment_refused", broadcast=self.activity.id, reason=str(error))

    def _lose_worker(self) -> None:
        """The process is gone: what it held is gone with it, so every cut that waits is done."""
        self._pieces.clear()
        for cut_id in list(self._cuts):
            self._acknowledge(cut_id)
        for destination, status in self._status.items():
            if status.state not in {"failed", "stopped"}:
                self._update(destination, state="connecting", reason="the program is being started again")

    def _acknowledge(self, cut_id: int) -> None:
        if self._cuts.pop(cut_id, None) is not None:
            self.activity.acknowledge(cut_id)

    def _tell(self, message: msgspec.Struct) -> bool:
        """Sends to the process if there is one; False when nothing of the room can be in it."""
        if self._worker is None:
            return False
        try:
            self._worker.control.send(message)
        except ControlError as error:
            log.warning("program_unreachable", broadcast=self.activity.id, reason=str(error))
            self._worker.kill()  # its end acknowledges what waits
        return True

    def _update(self, destination: str, **changes: Any) -> None:
        status = self._status.get(destination)
        if status is not None:
            self._status[destination] = replace(status, **changes)

    def _enter(self, state: str, reason: str | None) -> None:
        self.state, self.reason = state, reason
        log.info(
            "broadcast_changed",
            broadcast=self.activity.id,
            room=self.activity.room,
            code=state,
            reason=reason,
        )
