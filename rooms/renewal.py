"""Token life: expiry, renewal, and permissions that end while their bearer is inside."""

from dataclasses import replace

from policy import Permission
from rooms.consent import ConsentService
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.leaving import Leaving
from rooms.member import Member
from rooms.publishing import Publishing
from rooms.room import Room
from rooms.subscribing import Subscribing

_RECHECK_S = 30.0
"""Wall clocks jump: an expiry far away is looked at again so often."""


class Renewal:
    """Watches the tokens of every member."""

    def __init__(
        self,
        house: House,
        consent: ConsentService,
        publishing: Publishing,
        subscribing: Subscribing,
        leaving: Leaving,
    ) -> None:
        self._house = house
        self._consent = consent
        self._publishing = publishing
        self._subscribing = subscribing
        self._leaving = leaving

    async def renew(
        self, room: Room, member: Member, expires_at_ms: int | None, permissions: frozenset[Permission]
    ) -> None:
        """Take a new token's end and permissions; what it lacks ends before this returns.

        Raises: Refused (unauthorized, forbidden).
        """
        if expires_at_ms is not None and expires_at_ms <= self._house.now_ms():
            raise Refused(Code.UNAUTHORIZED, "the token has expired: ask for a new one")
        if Permission.JOIN not in permissions:
            raise Refused(Code.FORBIDDEN, "the token does not allow joining: ask for one with the join grant")
        lost = member.permissions - permissions
        gained = permissions - member.permissions
        member.permissions = permissions
        member.facts = replace(member.facts, expires_at_ms=expires_at_ms)
        self.watch(room, member)
        if Permission.PUBLISH in lost and member.publish_peer is not None:
            await self._publishing.drop_peer(room, member, member.publish_peer, "permission_lost")
        if Permission.SUBSCRIBE in lost:
            await self._subscribing.drop(room, member)
        if Permission.SUBSCRIBE in gained:
            self._subscribing.catch_up(room, member)
        if lost or gained:
            room.tell_updated(member)

    def watch(self, room: Room, member: Member) -> None:
        """Set the timer that ends the stay when the token does."""
        if member.expiry is not None:
            member.expiry.cancel()
            member.expiry = None
        expires_at_ms = member.facts.expires_at_ms
        if expires_at_ms is None or not member.is_present:
            return
        left_s = (expires_at_ms - self._house.now_ms()) / 1000

        def look() -> None:
            member.expiry = None
            self._look(room, member)

        member.expiry = self._house.clock.call_later(min(max(left_s, 0.0), _RECHECK_S), look)

    def _look(self, room: Room, member: Member) -> None:
        expires_at_ms = member.facts.expires_at_ms
        if expires_at_ms is None or not member.is_present:
            return
        if self._house.now_ms() < expires_at_ms:
            self.watch(room, member)
            return
        self._house.scope.start(self._expire(room, member), "expiry")

    async def _expire(self, room: Room, member: Member) -> None:
        expires_at_ms = member.facts.expires_at_ms
        if expires_at_ms is not None and self._house.now_ms() >= expires_at_ms:
            await self._leaving.leave(room, member, "token_expired")
