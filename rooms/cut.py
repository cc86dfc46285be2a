"""The cut: gates close first, then consumers are told and acknowledge, then the ledger, then done."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import structlog

from rooms.activity import Activity, Grant
from rooms.activity_events import Cut
from rooms.clock import wait_all
from rooms.events import RevocationDone
from rooms.member import Member
from rooms.room import Room
from rooms.taps import Taps, person_of
from rooms.types import Revocation
from sfu import RouterClosed, SfuError, TapId
from store import LedgerEntry

_log = structlog.get_logger("rooms")
_LEDGER_S: Final = 1.0

Closing = tuple[Activity, Grant]


@dataclass(slots=True)
class _Cut:
    """One cut under way."""

    reason: str
    started: float
    closings: tuple[Closing, ...]
    acknowledgements: dict[Activity, list["asyncio.Future[None]"]]
    taps: tuple[TapId, ...]
    entries: tuple[LedgerEntry, ...]
    done: "asyncio.Future[Revocation]"


class Cutter:
    """Cuts people out of the activities of one room."""

    def __init__(self, room: Room, taps: Taps, on_done: Callable[[Room, Revocation], None]) -> None:
        self._room = room
        self._taps = taps
        self._on_done = on_done
        self._ids = count(1)

    def cut(
        self,
        closings: Sequence[Closing],
        reason: str,
        *,
        entries: Iterable[LedgerEntry],
        started: float,
    ) -> "asyncio.Future[Revocation]":
        """Close the gates before this returns; the future is done when no packet of theirs can reach a sink.

        `started`: monotonic seconds of the call that asked for it; `entries`: what the ledger is to note.
        The future never fails, and a caller that goes away does not stop the cut.
        """
        done: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()
        slots: dict[tuple[Activity, Member], tuple[int, int]] = {}
        for activity, grant in closings:
            slots[activity, grant.member] = self._close(grant)
        acknowledgements: dict[Activity, list[asyncio.Future[None]]] = {}
        taps: list[TapId] = []
        if closings:
            consuming = dict.fromkeys(activity for activity, _ in closings if not activity.is_viewing)
            epochs = {activity: self._room.advance_epoch(activity) for activity in consuming}
            for activity, grant in closings:
                if activity.is_viewing:
                    continue
                slot = slots[activity, grant.member]
                future = self._tell(activity, grant.member, slot, epochs[activity], reason)
                acknowledgements.setdefault(activity, []).append(future)
                taps += self._taps.closed(activity, grant, reason)
                activity.events.put(person_of(grant.member, None))
        cut = _Cut(
            reason,
            started,
            tuple(closings),
            acknowledgements,
            tuple(taps),
            tuple(entries),
            done,
        )
        if self._room.house.scope.start(self._finish(cut), "cut") is None:
            done.set_result(self._outcome(cut, (), is_recorded=False))
        return done

    def _close(self, grant: Grant) -> tuple[int, int]:
        """Close one gate, at once and in every process; the (slot, version) that was open."""
        gate = grant.gate
        newer = self._room.house.plane.allocator.next_version(grant.slot)
        self._room.router.close_gate(newer.slot, newer.version)
        grant.gate = None
        grant.media = frozenset()
        return grant.slot, gate.version if gate is not None else 0

    def _tell(
        self, activity: Activity, member: Member, slot: tuple[int, int], epoch: int, reason: str
    ) -> "asyncio.Future[None]":
        cut_id = next(self._ids)
        future = activity.expect(cut_id)
        activity.events.put(
            Cut(
                cut_id=cut_id,
                person=member.person,
                participant=member.id,
                slots=(slot,),
                epoch=epoch,
                reason=reason,
            )
        )
        if activity.events.is_closed:
            activity.acknowledge(cut_id)
        return future

    async def _finish(self, cut: _Cut) -> None:
        killed: tuple[str, ...] = ()
        outcome: Revocation | None = None
        try:
            killed = await self._await_consumers(cut) if cut.closings else ()
            outcome = self._outcome(cut, killed, is_recorded=False)
            is_recorded = await self._record(cut.entries)
            outcome = replace(outcome, is_recorded=is_recorded)
            self._announce(cut, outcome)
        finally:
            if not cut.done.done():
                cut.done.set_result(outcome or self._outcome(cut, killed, is_recorded=False))
        await self._taps.remove(cut.taps)

    def _outcome(self, cut: _Cut, killed: tuple[str, ...], *, is_recorded: bool) -> Revocation:
        return Revocation(
            latency_ms=(self._room.house.clock.monotonic() - cut.started) * 1000,
            cut=tuple(dict.fromkeys(activity.id for activity, _ in cut.closings)),
            killed=killed,
            is_recorded=is_recorded,
        )

    async def _await_consumers(self, cut: _Cut) -> tuple[str, ...]:
        """Wait for the engine's fence and every acknowledgement; kill what is late. Ids of the killed."""
        fenced: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._room.house.scope.start(self._fence(fenced), "fence")
        futures = [future for waiting in cut.acknowledgements.values() for future in waiting]
        await wait_all(self._room.house.clock, [*futures, fenced], self._room.house.limits.cut_ms / 1000)
        is_fenced = fenced.done() and not fenced.cancelled() and fenced.result()
        late = [
            activity
            for activity, waiting in cut.acknowledgements.items()
            if not is_fenced or any(not future.done() for future in waiting)
        ]
        for activity in late:
            _log.warning("consumer_killed", room=self._room.id, activity=activity.id, reason="cut_timeout")
            activity.kill_consumer("cut_timeout")
            sink = self._taps.drop_sink(activity, "cut_timeout")
            if sink is not None:
                await self._taps.close_sink(sink)
        return tuple(activity.id for activity in late)

    async def _fence(self, fenced: "asyncio.Future[bool]") -> None:
        is_fenced = False
        try:
            await self._room.router.fence()
            is_fenced = True
        except RouterClosed:
            # The room is closed, and its peers and sinks with it: nothing can come out any more.
            is_fenced = True
        except SfuError as error:
            _log.error("fence_failed", room=self._room.id, code=error.code, reason=str(error))
        finally:
            if not fenced.done():
                fenced.set_result(is_fenced)

    async def _record(self, entries: tuple[LedgerEntry, ...]) -> bool:
        if not entries:
            return True
        written = self._room.house.keeper.queue(*entries)
        is_in_time = await wait_all(self._room.house.clock, [written], _LEDGER_S)
        return is_in_time and not written.cancelled() and written.result()

    def _announce(self, cut: _Cut, revocation: Revocation) -> None:
        if not cut.done.done():
            cut.done.set_result(revocation)
        if not cut.closings:
            return
        for member in {grant.member for _, grant in cut.closings}:
            uses = dict.fromkeys(activity.use for activity, grant in cut.closings if grant.member is member)
            member.tell(RevocationDone(tuple(uses), revocation.latency_ms, cut.reason))
        _log.info(
            "consent_revoked",
            room=self._room.id,
            reason=cut.reason,
            duration_ms=round(revocation.latency_ms, 1),
            count=len(cut.closings),
        )
        self._on_done(self._room, revocation)
