"""The destinations of one broadcast: where each may be reached, and how each is doing."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from rebroadcast.clock import Clock
from rebroadcast.hls_intake import HlsIntake
from rebroadcast.types import DestinationStatus, Kind
from rebroadcast.url_policy import Approved, DestinationRefused, HostUnresolved, UrlPolicy
from rebroadcast.worker.messages import Encoding, OutputConfig, OutputState, RemoveOutput
from store import DestinationRow, PartnerRow

RESOLVE_AGAIN_S: Final = 5.0
_SETTLED: Final = frozenset({"failed", "stopped"})
_RESTARTING: Final = "the program is being started again"


@dataclass(frozen=True, slots=True)
class Target:
    """One destination of this broadcast."""

    row: DestinationRow
    partner: PartnerRow
    encodings: tuple[Encoding, ...] = ()
    """How it wants the picture; none: as the program makes it."""

    @property
    def renditions(self) -> tuple[Encoding | None, ...]:
        """What its players find; None: the picture as it is passed through."""
        return self.encodings or (None,)

    def output(self, approved: tuple[Approved, ...]) -> OutputConfig:
        """What the program process must know of a destination that is sent to."""
        secret = self.row.key.reveal() if self.row.key is not None else ""
        addresses = tuple((address.ip, address.port) for address in approved)
        kind = msgspec.convert(self.row.kind, Kind)
        encoding = self.encodings[0] if self.encodings else None
        if kind == "rtmp":
            url = f"{self.row.url}/{secret}"
            return OutputConfig(self.row.id, kind, url, addresses, encoding=encoding)
        return OutputConfig(self.row.id, kind, self.row.url, addresses, secret, encoding)


class Outlets:
    """Tells the program process of its outputs, and keeps what it says of them. Belongs to the event loop."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        hls: HlsIntake | None,
        policy: UrlPolicy,
        clock: Clock,
        tell: Callable[[msgspec.Struct], object],
        program: str = "",
    ) -> None:
        """`hls`: where destinations of kind `hls` are played from; None without one."""
        self._program = program
        self._targets = dict(targets)
        self._hls = hls
        self._policy = policy
        self._clock = clock
        self._tell = tell
        self._played: dict[str, Encoding | None] = {}
        self._slate: str | None = None
        self._is_interrupted = False
        self._group: asyncio.TaskGroup | None = None
        self._reaching: dict[str, asyncio.Task[None]] = {}
        self._before: dict[str, int] = {}
        self._down: dict[str, asyncio.Event] = {}
        self._status: dict[str, DestinationStatus] = {}
        for target in targets.values():
            self._note(target)
        self._make_renditions()

    @property
    def targets(self) -> Mapping[str, Target]:
        """What is served, by destination id."""
        return self._targets

    def statuses(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing now."""
        return tuple(self._seen(status) for status in self._status.values())

    async def serve(self) -> None:
        """Opens every output in a new program process and keeps its addresses current; until cancelled."""
        self._is_interrupted = False
        open_ones = [t for d, t in self._targets.items() if self._status[d].state not in _SETTLED]
        self._played = {}
        self._play()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for target in open_ones:
                    self._begin(target)
                await asyncio.get_running_loop().create_future()  # destinations may come at any time
        finally:
            self._group = None
            self._reaching.clear()

    def add(self, target: Target) -> None:
        """Serves one more destination."""
        self._targets[target.row.id] = target
        self._note(target)
        self._play()
        self._begin(target)

    def heard(self, said: OutputState) -> None:
        """The program process tells of an output that is sent to."""
        status = self._status.get(said.id)
        if status is None or status.state in _SETTLED or said.state == "stopped":
            return  # what stops is decided here
        total = self._before[said.id] + said.bytes_acknowledged
        self._update(said.id, state=said.state, reason=said.reason or None, bytes_acknowledged=total)

    def slate_changed(self, reason: str | None) -> None:
        """The placeholder stands in for the picture everywhere, with the reason; None: it does not."""
        self._slate = reason

    def interrupted(self) -> None:
        """The program process is gone, and every connection with it."""
        self._is_interrupted = True
        self._slate = None
        for destination, status in self._status.items():
            self._before[destination] = status.bytes_acknowledged
            if status.state not in _SETTLED:
                self._update(destination, state="connecting", reason=_RESTARTING)

    def drop(self, sites: tuple[str, ...]) -> None:
        """A partner's terms ended: nothing goes there any more."""
        for destination, target in list(self._targets.items()):
            if target.partner.id in sites:
                self.remove(destination, "the partner's terms are no longer in force")

    def remove(self, destination: str, reason: str) -> None:
        """Nothing goes to that destination any more, from now on."""
        target = self._targets.pop(destination)
        if target.row.kind == "hls" and self._hls is not None:
            view = self._hls.view(target.renditions)
            self._update(destination, bytes_acknowledged=view.taken_bytes)
        self._update(destination, state="stopped", reason=reason)
        if target.row.kind != "hls":
            self._tell(RemoveOutput(destination))
            task = self._reaching.pop(destination, None)
            if task is not None:
                task.cancel()
        else:
            self._play()

    def stopped(self) -> None:
        """The broadcast is over."""
        for destination, status in self._status.items():
            if status.state in _SETTLED:
                continue
            if status.kind == "hls" and self._hls is not None:
                view = self._hls.view(self._targets[destination].renditions)
                self._update(destination, bytes_acknowledged=view.taken_bytes)
            self._update(destination, state="stopped", reason=None)

    def _make_renditions(self) -> dict[str, Encoding | None]:
        """Has a place for what HLS destinations want, in all; returns the outputs that make it."""
        if self._hls is None:
            return {}
        played = [target for target in self._targets.values() if target.row.kind == "hls"]
        return self._hls.serve(encoding for target in played for encoding in target.renditions)

    def _play(self) -> None:
        """Tells the program process what it has to begin and to end for HLS; all else goes on."""
        outputs = self._make_renditions()
        for output in self._played.keys() - outputs:
            self._tell(RemoveOutput(output))
        for output, encoding in outputs.items():
            if output not in self._played:
                self._tell(OutputConfig(output, "hls", encoding=encoding))
        self._played = outputs

    def _note(self, target: Target) -> None:
        row = target.row
        self._before[row.id] = 0
        self._down[row.id] = asyncio.Event()
        self._status[row.id] = DestinationStatus(
            destination=row.id,
            name=row.name,
            partner=target.partner.id,
            site=target.partner.site,
            kind=row.kind,
            state="idle",
            reason=None,
            bytes_acknowledged=0,
            delay_s=row.delay_ms / 1000,
            program=self._program,
        )

    def _begin(self, target: Target) -> None:
        if self._group is not None and target.row.kind != "hls":
            self._reaching[target.row.id] = self._group.create_task(self._reach(target))

    async def _reach(self, target: Target) -> None:
        """Gives the program process judged addresses; looks again while it cannot get through."""
        known: tuple[Approved, ...] = ()
        while True:
            try:
                approved = await self._policy.resolve(target.row.url)
            except HostUnresolved as error:
                if not known:
                    self._update(target.row.id, state="backing_off", reason=str(error))
            except DestinationRefused as error:
                self._update(target.row.id, state="failed", reason=str(error))
                if known:
                    self._tell(RemoveOutput(target.row.id))
                return
            else:
                if set(approved) != set(known):
                    self._tell(target.output(approved))
                    known = approved
            await self._clock.sleep(RESOLVE_AGAIN_S)
            await self._down[target.row.id].wait()

    def _seen(self, status: DestinationStatus) -> DestinationStatus:
        if status.kind == "hls" and self._hls is not None and status.state not in _SETTLED:
            view = self._hls.view(self._targets[status.destination].renditions)
            state, reason = view.state()
            if self._is_interrupted:
                state, reason = "connecting", _RESTARTING
            status = replace(status, state=state, reason=reason, bytes_acknowledged=view.taken_bytes)
        if status.state == "live" and self._slate is not None:
            return replace(status, state="slate", reason=self._slate)
        return status

    def _update(self, destination: str, **changes: Any) -> None:
        status = self._status[destination] = replace(self._status[destination], **changes)
        if status.state == "backing_off":
            self._down[destination].set()
        else:
            self._down[destination].clear()
