"""Recordings that are shown again: who may be in one is decided at the time, and ends by the same cut.

Nobody has to be in a room for it: what the ledger says of each person counts when a replay begins and when it
is reviewed, and what somebody takes back meanwhile counts at once. The gates of a replay are a page of its
own, since no packet of the media core belongs to it.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import structlog

from media.gates import GatePage
from policy import (
    RECORD,
    REPLAY,
    Acceptance,
    ActivityFacts,
    Allow,
    ConsentFacts,
    Deny,
    Media,
    Permission,
    RoomFacts,
    RoomSettings,
    Site,
    Use,
    decide_replay,
    may_go,
    may_start,
)
from rooms.activity import Activity, Kill
from rooms.activity_events import Cut, SitesChanged
from rooms.clock import wait_all
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.notary import Notary
from rooms.policy_in_force import PolicyInForce
from rooms.replay import EPOCH_SLOT, FIRST_SLOT, Actor, Replay, ReplayOf, within
from rooms.types import Revocation
from sfu import Sink, TapId
from store import LedgerEntry, LedgerKind, Standing

_log = structlog.get_logger("rooms")
_USES: Final = frozenset({RECORD, REPLAY})
_LEDGER_S: Final = 1.0


_Closing = tuple[Replay, Actor]


class Replays:
    """Every replay of this node, and their owner towards `Activity`."""

    def __init__(self, house: House, notary: Notary, policy: PolicyInForce) -> None:
        self._house = house
        self._notary = notary
        self._policy = policy
        self._open: dict[str, Replay] = {}
        self._cut_ids = count(1)

    async def open(
        self,
        of: ReplayOf,
        sites: tuple[Site, ...],
        settings: RoomSettings,
        *,
        permissions: frozenset[Permission],
        activity_id: str,
        kill: Kill,
    ) -> Replay:
        """Begin to show a recording; who may be in it is decided now. `settings`: of the room as it is.

        Raises: Refused (forbidden, conflict, unavailable); StoreUnavailable.
        """
        settings = within(settings, of.uses)
        facts, now_ms = self._policy.facts(settings), self._house.now_ms()
        decision = may_start(permissions, REPLAY, facts, now_ms)
        if isinstance(decision, Deny):
            raise Refused(Code.FORBIDDEN, decision.reason)
        page = GatePage.create(FIRST_SLOT + len(of.people))

        def gates_fd() -> int:
            if not activity.is_running:
                raise Refused(Code.NOT_FOUND, "the replay is over")
            return page.read_only_fd()

        activity = Activity(
            id=activity_id,
            use=REPLAY,
            sites=sites,
            notice_id=activity_id,
            room_id=of.room_id,
            room_name=of.room,
            started_by=None,
            since_ms=now_ms,
            terms_version=self._policy.current_terms().version,
            events_limit=self._house.limits.activity_events_waiting,
            is_viewing=False,
            only=None,
            sink=None,
            kill=kill,
            gates_fd=gates_fd,
            owner=self,
        )
        activity.epoch_slot = EPOCH_SLOT
        replay = Replay(of, activity, page, settings)
        try:
            self._check_partners(replay, facts)
            # What was taken back before stands in the ledger when this does: it is written in order.
            await self._notary.note(self._notary.activity(activity, LedgerKind.ACTIVITY_STARTED))
            replay.advance()
            self._open[activity.id] = replay
            await self.review(replay)
        except BaseException:
            self._open.pop(activity.id, None)
            page.close()
            raise
        return replay

    async def review(self, replay: Replay) -> None:
        """Decide anew who may be in it, from what the ledger says now; only here somebody comes in.

        Gates are opened last, right before it returns. Raises: StoreUnavailable.
        """
        for actor in list(replay.actors.values()):
            standing = await self._house.store.ledger.choices_of(actor.person)
            is_withdrawn = await self._has_withdrawn(replay.of, actor.person)
            actor.facts = _facts_of(standing)
            actor.is_out |= is_withdrawn
        done = self._settle([replay], "revoked", is_noted=True)
        if done is not None:
            await asyncio.shield(done)
        self._settle([replay], "revoked", admits=True)

    async def showable(self, people: Iterable[str], settings: RoomSettings, site: Site) -> list[str]:
        """Those of whom all that was recorded may be shown at a site now, with no replay open.

        `settings`: of the recorded room. Raises: StoreUnavailable.
        """
        room, now_ms = self._policy.facts(settings), self._house.now_ms()
        activity = ActivityFacts(use=REPLAY, notice_id="", sites=(site,))
        found = []
        for person in people:
            facts = _facts_of(await self._house.store.ledger.choices_of(person))
            decisions = [decide_replay(facts, activity, media, room, now_ms) for media in Media]
            if all(isinstance(decision, Allow) for decision in decisions):
                found.append(person)
        return found

    def add_site(self, replay: Replay, site: Site) -> None:
        """Show it on one more site. Raises: Refused (conflict) when its partner's terms do not cover it."""
        activity = replay.activity
        if any(known.id == site.id for known in activity.sites):
            return
        before = activity.sites
        activity.sites = (*before, site)
        try:
            self._check_partners(replay, self._policy.facts(replay.settings))
        except Refused:
            activity.sites = before
            raise

    # What takes somebody out; the gates are closed before any of these returns.

    def refuse(
        self, person: str, uses: Collection[Use], reason: str, *, started: float | None = None
    ) -> "asyncio.Future[Revocation] | None":
        """Somebody takes uses back; None when no replay that runs shows them."""
        if not _USES & set(uses):
            return None
        return self._take_out(person, self._open.values(), reason, started)

    def withdraw(self, person: str, *, room_id: str, recording: str) -> "asyncio.Future[Revocation] | None":
        """Somebody withdraws what was recorded of them in a room, in one recording, or (empty) everywhere."""
        concerned = [
            replay
            for replay in self._open.values()
            if room_id in {"", replay.of.room_id} and recording in {"", replay.of.recording}
        ]
        return self._take_out(person, concerned, "withdrawn", None)

    def settle(self, reason: str) -> None:
        """Terms, partners or the ledger's state changed: whoever may not be shown any more is cut.

        Nobody comes in (again) before the next `review`, nor does a medium that was lost.
        """
        self._settle(self._open.values(), reason)

    def settings_changed(self, room: str, settings: RoomSettings) -> None:
        """A room that was recorded has other settings."""
        concerned = [replay for replay in self._open.values() if replay.of.room == room]
        for replay in concerned:
            replay.settings = within(settings, replay.of.uses)
        self._settle(concerned, "settings_changed")

    # What an `Activity` asks

    async def renew_sink(self, activity: Activity) -> Sink:
        """A replay has no tap sink: its parts are handed over by whoever plays it."""
        raise Refused(Code.CONFLICT, f"{activity.id} is a replay: no taps belong to it")

    async def request_keyframe(self, activity: Activity, tap: TapId) -> None:
        """Recorded pictures come as they are."""

    def activity_changed(self, activity: Activity) -> None:
        """Nobody in a room is told of a replay."""

    def overflowed(self, activity: Activity) -> None:
        """The consumer did not read its events: it was killed, the replay ends."""
        self._house.scope.start(self.close_activity(activity, "overflow"), "overflow")

    async def drop_site(self, activity: Activity, site_id: str) -> None:
        """Take a site out; an unknown one is fine."""
        kept = tuple(site for site in activity.sites if site.id != site_id)
        if len(kept) < len(activity.sites):
            activity.sites = kept
            activity.events.put(SitesChanged(dropped=(site_id,)))
            self.settle("partner_terms")

    async def close_activity(self, activity: Activity, reason: str) -> None:
        """End the replay: every gate closes, quietly, for its consumer has finished. Idempotent."""
        replay = self._open.pop(activity.id, None)
        if replay is None:
            return
        for actor in replay.actors.values():
            replay.shut(actor)
        replay.advance()
        activity.end(reason)
        self._notary.queue(self._notary.activity(activity, LedgerKind.ACTIVITY_STOPPED, reason))
        replay.page.close()

    async def close_all(self, reason: str) -> None:
        """End every replay."""
        for replay in list(self._open.values()):
            await self.close_activity(replay.activity, reason)

    # Inside

    def _check_partners(self, replay: Replay, facts: RoomFacts) -> None:
        decision = may_go(replay.activity.facts(), facts, self._house.now_ms())
        if isinstance(decision, Deny):
            raise Refused(Code.CONFLICT, f"{decision.reason}: register the partner with terms that cover it")

    async def _has_withdrawn(self, of: ReplayOf, person: str) -> bool:
        return await self._house.store.ledger.has_withdrawn(
            person, room=of.room_id, recording=of.recording, since_ms=of.started_ms
        )

    def _take_out(
        self, person: str, replays: Iterable[Replay], reason: str, started: float | None
    ) -> "asyncio.Future[Revocation] | None":
        concerned = [replay for replay in replays if person in replay.actors]
        for replay in concerned:
            replay.actors[person].is_out = True
        return self._settle(concerned, reason, started=started, is_noted=True)

    def _wanted(self, replay: Replay, actor: Actor) -> frozenset[Media]:
        if actor.is_out:
            return frozenset()
        facts, activity = self._policy.facts(replay.settings), replay.activity.facts()
        now_ms = self._house.now_ms()
        return frozenset(
            media
            for media in Media
            if isinstance(decide_replay(actor.facts, activity, media, facts, now_ms), Allow)
        )

    def _settle(
        self,
        replays: Iterable[Replay],
        reason: str,
        *,
        started: float | None = None,
        is_noted: bool = False,
        admits: bool = False,
    ) -> "asyncio.Future[Revocation] | None":
        """Close every gate that the decision closes before this returns; None when nobody had to be cut.

        `is_noted`: the ledger is told by the caller; `admits`: gates are opened, too.
        """
        started = self._house.clock.monotonic() if started is None else started
        wanted = [
            (r, actor, self._wanted(r, actor) if admits else self._wanted(r, actor) & actor.media)
            for r in replays
            for actor in r.actors.values()
        ]
        closings = [(replay, actor) for replay, actor, media in wanted if actor.media - media]
        entries = [] if is_noted else [self._entry(replay, actor, reason) for replay, actor in closings]
        done = self._cut(closings, reason, entries, started) if closings else None
        for replay, actor, media in wanted:
            if media != actor.media:
                replay.open(actor, media)
        return done

    def _entry(self, replay: Replay, actor: Actor, reason: str) -> LedgerEntry:
        return LedgerEntry(
            at_ms=self._house.now_ms(),
            kind=LedgerKind.REVOKED,
            person=actor.person,
            room=replay.of.room_id,
            uses=(REPLAY,),
            activity=replay.activity.id,
            reason=reason,
        )

    def _cut(
        self, closings: Sequence[_Closing], reason: str, entries: Sequence[LedgerEntry], started: float
    ) -> "asyncio.Future[Revocation]":
        done: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()
        gates = [(replay, actor, replay.shut(actor)) for replay, actor in closings]
        epochs = {replay.activity: replay.advance() for replay in dict.fromkeys(r for r, _ in closings)}
        waiting: dict[Activity, list[asyncio.Future[None]]] = {}
        for replay, actor, gate in gates:
            activity, cut_id = replay.activity, next(self._cut_ids)
            waiting.setdefault(activity, []).append(activity.expect(cut_id))
            activity.events.put(
                Cut(
                    cut_id=cut_id,
                    person=actor.person,
                    participant="",
                    slots=((gate.slot, gate.version),),
                    epoch=epochs[activity],
                    reason=reason,
                )
            )
            if activity.events.is_closed:
                activity.acknowledge(cut_id)
        if self._house.scope.start(self._finish(waiting, entries, reason, started, done), "cut") is None:
            done.set_result(self._outcome(waiting, (), started, is_recorded=False))
        return done

    async def _finish(
        self,
        waiting: dict[Activity, list["asyncio.Future[None]"]],
        entries: Sequence[LedgerEntry],
        reason: str,
        started: float,
        done: "asyncio.Future[Revocation]",
    ) -> None:
        futures = [future for some in waiting.values() for future in some]
        await wait_all(self._house.clock, futures, self._house.limits.cut_ms / 1000)
        late = [activity for activity, some in waiting.items() if any(not future.done() for future in some)]
        for activity in late:
            _log.warning("consumer_killed", activity=activity.id, reason="cut_timeout")
            activity.kill_consumer("cut_timeout")
        outcome = self._outcome(waiting, late, started, is_recorded=True)
        if entries:
            written = self._house.keeper.queue(*entries)
            is_in_time = await wait_all(self._house.clock, [written], _LEDGER_S)
            outcome = replace(outcome, is_recorded=is_in_time and written.result())
        _log.info(
            "consent_revoked",
            reason=reason,
            duration_ms=round(outcome.latency_ms, 1),
            count=len(futures),
        )
        if not done.done():
            done.set_result(outcome)

    def _outcome(
        self,
        waiting: dict[Activity, list["asyncio.Future[None]"]],
        late: Collection[Activity],
        started: float,
        *,
        is_recorded: bool,
    ) -> Revocation:
        return Revocation(
            latency_ms=(self._house.clock.monotonic() - started) * 1000,
            cut=tuple(activity.id for activity in waiting),
            killed=tuple(activity.id for activity in late),
            is_recorded=is_recorded,
        )


def _facts_of(standing: Standing) -> ConsentFacts:
    """What the ledger says of somebody, as policy reads it."""
    acceptance = None
    if standing.terms_version is not None:
        acceptance = Acceptance(
            terms_version=standing.terms_version, age_18=standing.age_18, vouched=standing.vouched
        )
    return ConsentFacts(
        acceptance=acceptance, choices={Use(use): choice for use, choice in standing.uses.items()}
    )


async def both(here: "asyncio.Future[Revocation]", replayed: "asyncio.Future[Revocation]") -> Revocation:
    """How a revocation went in a room and in the replays."""
    one, two = await here, await replayed
    return Revocation(
        latency_ms=max(one.latency_ms, two.latency_ms),
        cut=one.cut + two.cut,
        killed=one.killed + two.killed,
        is_recorded=one.is_recorded and two.is_recorded,
    )
