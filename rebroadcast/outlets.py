"""The destinations of one broadcast: where each may be reached, and how each is doing."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from rebroadcast.clock import Clock
from rebroadcast.hls_intake import OUTPUT, HlsIntake
from rebroadcast.types import DestinationStatus
from rebroadcast.url_policy import Approved, DestinationRefused, HostUnresolved, UrlPolicy
from rebroadcast.worker.messages import OutputConfig, OutputState, RemoveOutput
from store import DestinationRow, PartnerRow

RESOLVE_AGAIN_S: Final = 5.0
_SETTLED: Final = frozenset({"failed", "stopped"})
_RESTARTING: Final = "the program is being started again"


@dataclass(frozen=True, slots=True)
class Target:
    """One destination of this broadcast."""

    row: DestinationRow
    partner: PartnerRow

    def output(self, approved: tuple[Approved, ...]) -> OutputConfig:
        """What the program process must know of an RTMP destination."""
        key = self.row.key.reveal() if self.row.key is not None else ""
        addresses = tuple((address.ip, address.port) for address in approved)
        return OutputConfig(self.row.id, "rtmp", f"{self.row.url}/{key}", addresses)


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
    ) -> None:
        """`hls`: where destinations of kind `hls` are played from; None without one."""
        self._targets = dict(targets)
        self._hls = hls
        self._policy = policy
        self._clock = clock
        self._tell = tell
        self._slate: str | None = None
        self._is_interrupted = False
        self._before = dict.fromkeys(targets, 0)
        self._down = {destination: asyncio.Event() for destination in targets}
        self._status = {
            destination: DestinationStatus(
                destination=destination,
                name=target.row.name,
                site=target.partner.site,
                kind=target.row.kind,
                state="idle",
                reason=None,
                bytes_acknowledged=0,
            )
            for destination, target in targets.items()
        }

    def statuses(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing now."""
        return tuple(self._seen(status) for status in self._status.values())

    async def serve(self) -> None:
        """Opens every output in a new program process and keeps its addresses current; until cancelled."""
        self._is_interrupted = False
        open_ones = [t for d, t in self._targets.items() if self._status[d].state not in _SETTLED]
        if any(target.row.kind == "hls" for target in open_ones):
            self._tell(OutputConfig(OUTPUT, "hls"))
        async with asyncio.TaskGroup() as group:
            for target in open_ones:
                if target.row.kind == "rtmp":
                    group.create_task(self._reach(target))

    def heard(self, said: OutputState) -> None:
        """The program process tells of an RTMP output."""
        status = self._status.get(said.id)
        if status is None or status.state in _SETTLED:
            return
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
                del self._targets[destination]
                self._update(
                    destination, state="stopped", reason="the partner's terms are no longer in force"
                )
                if target.row.kind == "rtmp":
                    self._tell(RemoveOutput(destination))
        if self._hls is not None and not any(t.row.kind == "hls" for t in self._targets.values()):
            self._tell(RemoveOutput(OUTPUT))
            self._hls.clear()

    def stopped(self) -> None:
        """The broadcast is over."""
        for destination, status in self._status.items():
            if status.kind == "hls" and self._hls is not None:
                self._update(destination, bytes_acknowledged=self._hls.taken_bytes)
            if status.state not in _SETTLED:
                self._update(destination, state="stopped", reason=None)

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
            state, reason = self._hls.state()
            if self._is_interrupted:
                state, reason = "connecting", _RESTARTING
            status = replace(status, state=state, reason=reason, bytes_acknowledged=self._hls.taken_bytes)
        if status.state == "live" and self._slate is not None:
            return replace(status, state="slate", reason=self._slate)
        return status

    def _update(self, destination: str, **changes: Any) -> None:
        status = self._status[destination] = replace(self._status[destination], **changes)
        if status.state == "backing_off":
            self._down[destination].set()
        else:
            self._down[destination].clear()
