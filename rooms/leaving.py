"""How somebody goes: cut first, then their media, then the news."""

import asyncio
from dataclasses import replace

import structlog

from policy import Hold
from rooms.activities import Activities
from rooms.consent import ConsentService
from rooms.events import ParticipantLeft, Removed, RoomClosed, RoomEvent
from rooms.house import House
from rooms.member import Member
from rooms.publishing import Publishing
from rooms.room import Room
from rooms.subscribing import Subscribing
from rooms.types import Revocation, State
from sfu import SfuError
from store import LedgerKind

_log = structlog.get_logger("rooms")


class Leaving:
    """Suspends members and ends their stay."""

    def __init__(
        self,
        house: House,
        consent: ConsentService,
        publishing: Publishing,
        subscribing: Subscribing,
        activities: Activities,
    ) -> None:
        self._house = house
        self._consent = consent
        self._publishing = publishing
        self._subscribing = subscribing
        self._activities = activities

    async def leave(self, room: Room, member: Member, reason: str) -> Revocation | None:
        """End a stay as `begin` does; done when the cut is through and their peers are gone.

        None when they were gone already.
        """
        ending = self.begin(room, member, reason)
        return await asyncio.shield(ending) if ending is not None else None

    def begin(self, room: Room, member: Member, reason: str) -> "asyncio.Future[Revocation] | None":
        """End a stay, for one of the reasons of `Removed`, or `room_closed`.

        Their gates are closed and their place is free when this returns; the future is done when the cut is
        through and their peers are gone. None when they were gone already.
        """
        if not member.is_present:
            return None
        cutting = self._cut(room, member, reason)
        ended: RoomEvent = RoomClosed(reason) if reason == "room_closed" else Removed(reason)
        self._detach(member, ended)
        room.members.pop(member.id, None)
        room.viewers.pop(member.id, None)
        room.resumes.pop(member.resume_hash, None)
        if not member.is_external:
            room.tell(ParticipantLeft(member.id, reason))
        room.on_left()
        finished: asyncio.Future[Revocation] = asyncio.get_running_loop().create_future()
        # The caller may be a session that is being cancelled: the rest does not depend on it.
        ending = self._house.scope.start(self._finish(room, member, cutting, finished), "leave")
        return finished if ending is not None else cutting

    async def suspend(self, room: Room, member: Member) -> None:
        """Signalling is lost: gates close, the place is kept for the grace time."""
        if not member.is_present or member.state is State.SUSPENDED:
            return
        if member.transport != "ws" or room.settings.grace_s <= 0:
            await self.leave(room, member, "lost")
            return
        member.state = State.SUSPENDED
        cutting = self._consent.suspend(room, member, Hold.SIGNALLING)
        self._detach(member, None)
        room.tell_updated(member)

        def lost() -> None:
            self._house.scope.start(self._lose(room, member), "grace")

        member.grace = self._house.clock.call_later(room.settings.grace_s, lost)
        await asyncio.shield(cutting)

    async def drop_peers(self, room: Room, member: Member) -> None:
        """Close every connection of a member; tracks go."""
        if member.publish_peer is not None:
            await self._publishing.drop_peer(room, member, member.publish_peer, "left")
        await self._subscribing.drop(room, member)
        viewing, member.viewing = member.viewing, None
        if viewing is not None:
            try:
                await room.router.remove_peer(viewing.peer)
            except SfuError as error:
                _log.debug("peer_removal_failed", room=room.id, code=error.code)

    def _cut(self, room: Room, member: Member, reason: str) -> "asyncio.Future[Revocation]":
        member.state = State.LEFT
        member.stop_timers()
        member.facts = replace(member.facts, present=False)
        entries = []
        if member.facts.acceptance is not None and not member.is_external:
            entries.append(
                self._consent.notary.entry(
                    room,
                    member,
                    LedgerKind.REVOKED,
                    uses=self._consent.uses_of(room),
                    terms_version=member.facts.acceptance.terms_version,
                    reason=reason,
                )
            )
        return self._consent.gates.settle(room, reason, members=[member], entries=entries)

    @staticmethod
    def _detach(member: Member, last: RoomEvent | None) -> None:
        session, member.session = member.session, None
        if session is not None:
            session.events.close(last)

    async def _finish(
        self,
        room: Room,
        member: Member,
        cutting: "asyncio.Future[Revocation]",
        finished: "asyncio.Future[Revocation]",
    ) -> None:
        try:
            await self.drop_peers(room, member)
        finally:
            revocation = await asyncio.shield(cutting)
            self._consent.gates.forget(room, member)
            if member.is_external and member.site is not None:
                self._activities.unwatch(room, member.site)
            if not finished.done():
                finished.set_result(revocation)
        _log.info("participant_left", room=room.id, participant=member.id)

    async def _lose(self, room: Room, member: Member) -> None:
        if member.state is State.SUSPENDED:
            await self.leave(room, member, "lost")
