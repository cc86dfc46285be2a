"""The gatekeeper: makes every gate of every room follow `policy.decide`.

What closes a gate does so before its first `await`. What opens one decides and opens in one step without an
`await` between, from facts that are in the ledger already.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from media.gates import GatesExhausted
from policy import Allow, Decision, Media, decide
from rooms.activity import Activity, Grant
from rooms.cut import Closing, Cutter
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.member import Member
from rooms.notary import Notary
from rooms.room import Room
from rooms.taps import Taps, person_of
from rooms.types import Revocation
from rooms.views import Views
from store import LedgerEntry, LedgerKind

_log = structlog.get_logger("rooms")


@dataclass(slots=True)
class Desk:
    """The tools for one room."""

    taps: Taps
    views: Views
    cutter: Cutter


class Gatekeeper:
    """Decides nothing itself: asks `policy.decide`, and opens and closes as it says."""

    def __init__(self, house: House, notary: Notary, on_cut: Callable[[Room, Revocation], None]) -> None:
        self._house = house
        self._notary = notary
        self._on_cut = on_cut
        self._rooms: dict[str, tuple[Room, Desk]] = {}

    # Rooms

    def enter(self, room: Room) -> None:
        """Take care of a room from now on."""
        taps = Taps(room)
        self._rooms[room.id] = (room, Desk(taps, Views(room), Cutter(room, taps, self._on_cut)))

    def leave(self, room: Room) -> None:
        """The room is closed."""
        found = self._rooms.get(room.id)
        if found is not None and found[0] is room:
            del self._rooms[room.id]

    def rooms(self) -> tuple[Room, ...]:
        """Every room that is open."""
        return tuple(room for room, _ in self._rooms.values())

    def desk(self, room: Room) -> Desk:
        """The tools of one room.

        Raises: Refused when the room is closed.
        """
        found = self._rooms.get(room.id)
        if found is None or found[0] is not room:
            raise Refused(Code.NOT_FOUND, "the room is closed")
        return found[1]

    # Gates

    def decision(self, room: Room, member: Member, activity: Activity, media: Media) -> Decision:
        """What policy says now of one person, one activity and one medium."""
        return decide(member.facts, activity.facts(), media, room.facts, self._house.now_ms())

    def settle(
        self,
        room: Room,
        reason: str,
        *,
        members: Iterable[Member] | None = None,
        entries: Iterable[LedgerEntry] = (),
        started: float | None = None,
    ) -> "asyncio.Future[Revocation]":
        """Make every gate follow `policy.decide`, before this returns; closing comes before opening.

        `members`: whose facts changed, None = everyone's. The future tells when a cut that this caused is
        through.
        """
        if started is None:
            started = self._house.clock.monotonic()
        touched = list(room.people()) if members is None else list(members)
        wanted = self._wanted(room, touched)
        closings = [
            (activity, grant)
            for activity, grant in self.open_grants(room, touched)
            if not wanted.get((activity.id, grant.member.id), frozenset()) >= grant.media
        ]
        noted = [*entries, *self._closing_entries(room, closings, reason, set(entries))]
        desk = self.desk(room)
        done = (
            desk.cutter.cut(closings, reason, entries=noted, started=started)
            if (closings or noted)
            else _nothing_to_cut()
        )
        opened = [
            self._open(room, activity, member, media)
            for activity in room.running()
            for member in touched
            if (media := wanted.get((activity.id, member.id)))
        ]
        if closings or any(opened):
            desk.views.refresh_all()
        return done

    def forget(self, room: Room, member: Member) -> None:
        """The person is gone for good and cut: give their slots back once their taps are out."""
        for activity in list(room.activities_by_id.values()):
            grant = activity.grants.pop(member.id, None)
            if grant is not None:
                self._release(grant)
            if not activity.is_viewing and member.transport != "whep" and activity.concerns(member):
                activity.events.put(person_of(member, None))

    def close(self, room: Room, activity: Activity) -> None:
        """The activity is over: everything of it closes, quietly, for its consumer has finished."""
        desk = self.desk(room)
        for grant in list(activity.grants.values()):
            if grant.gate is not None:
                newer = self._house.plane.allocator.next_version(grant.slot)
                room.router.close_gate(newer.slot, newer.version)
                grant.gate = None
                grant.media = frozenset()
            desk.taps.closed(activity, grant, "stopped")
            self._release(grant)
        activity.grants.clear()
        desk.views.refresh_all()

    @staticmethod
    def open_grants(room: Room, members: Iterable[Member]) -> list[Closing]:
        """Where something of these people goes now."""
        return [
            (activity, grant)
            for activity in room.activities_by_id.values()
            for member in members
            if (grant := activity.grants.get(member.id)) is not None and grant.gate is not None
        ]

    def _wanted(self, room: Room, members: list[Member]) -> dict[tuple[str, str], frozenset[Media]]:
        wanted: dict[tuple[str, str], frozenset[Media]] = {}
        for activity in room.running():
            for member in filter(activity.concerns, members):
                allowed = frozenset(
                    media
                    for media in Media
                    if isinstance(self.decision(room, member, activity, media), Allow)
                )
                if allowed:
                    wanted[activity.id, member.id] = allowed
        return wanted

    def _open(self, room: Room, activity: Activity, member: Member, media: frozenset[Media]) -> bool:
        """Open a gate, or widen what goes through it; whether anything changed."""
        grant = activity.grants.get(member.id)
        if grant is not None and grant.gate is not None:
            if grant.media == media:
                return False
            grant.media = media
        else:
            try:
                grant = grant or Grant(member, self._house.plane.allocator.allocate())
            except GatesExhausted:
                _log.error("gates_exhausted", room=room.id)
                return False
            activity.grants[member.id] = grant
            grant.gate = self._house.plane.allocator.next_version(grant.slot)
            grant.media = media
            room.router.open_gate(grant.gate)
            if not activity.is_viewing:
                activity.events.put(person_of(member, member.name))
        self.desk(room).taps.opened(activity, grant)
        return True

    def _release(self, grant: Grant) -> None:
        # A slot's version only grows, so a late packet of the old owner finds its version closed for ever.
        self._house.plane.allocator.release(grant.slot)

    def _closing_entries(
        self, room: Room, closings: list[Closing], reason: str, known: set[LedgerEntry]
    ) -> list[LedgerEntry]:
        noted = {entry.person for entry in known}
        kind = LedgerKind.SUSPENDED if reason == "suspended" else LedgerKind.REVOKED
        uses: dict[str, tuple[Member, set[str]]] = {}
        for activity, grant in closings:
            uses.setdefault(grant.member.id, (grant.member, set()))[1].add(activity.use)
        return [
            self._notary.entry(room, member, kind, uses=tuple(sorted(names)), reason=reason)
            for member, names in uses.values()
            if member.person not in noted
        ]


def _nothing_to_cut() -> "asyncio.Future[Revocation]":
    future: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()
    future.set_result(Revocation(latency_ms=0.0, cut=(), killed=(), is_recorded=True))
    return future
