"""What moderators do to others: mute at once, remove, ban."""

import structlog

from policy import Ban, Deny, Permission, may_moderate
from rooms.errors import Code, Refused
from rooms.house import House
from rooms.leaving import Leaving
from rooms.member import Member
from rooms.publishing import Publishing
from rooms.room import Room
from rooms.types import Action
from store import StoreError

_log = structlog.get_logger("rooms")


class Moderation:
    """Carries out what a moderator asks; the permission is checked each time."""

    def __init__(self, house: House, publishing: Publishing, leaving: Leaving) -> None:
        self._house = house
        self._publishing = publishing
        self._leaving = leaving

    async def moderate(
        self,
        room: Room,
        action: Action,
        identity: str,
        *,
        permissions: frozenset[Permission],
        ban_s: float | None = None,
    ) -> None:
        """Do it, effective on media when this returns.

        Raises: Refused (forbidden, not_found).
        """
        decision = may_moderate(permissions)
        if isinstance(decision, Deny):
            raise Refused(Code.FORBIDDEN, decision.reason)
        target = room.by_identity(identity)
        if target is None:
            raise Refused(Code.NOT_FOUND, "nobody of that identity is in the room")
        if Permission.ADMIN in target.permissions and Permission.ADMIN not in permissions:
            raise Refused(Code.FORBIDDEN, "an administrator can only be moderated by another one")
        _log.info("participant_moderated", room=room.id, participant=target.id, reason=str(action))
        match action:
            case Action.MUTE:
                await self._publishing.enforce_mute(room, target, is_muted=True)
            case Action.UNMUTE:
                await self._publishing.enforce_mute(room, target, is_muted=False)
            case Action.REMOVE:
                await self._leaving.leave(room, target, "removed")
            case Action.BAN:
                await self._ban(room, target, ban_s)

    async def _ban(self, room: Room, target: Member, ban_s: float | None) -> None:
        seconds = self._house.limits.ban_s if ban_s is None else ban_s
        ban = Ban(
            identity_hash=target.identity_hash,
            address_hash=target.address_hash,
            expires_at_ms=self._house.now_ms() + int(seconds * 1000),
        )
        room.bans.append(ban)
        await self._leaving.leave(room, target, "banned")
        try:
            await self._house.store.bans.add(room.id, ban)
        except StoreError as error:
            # It holds for as long as the room is open; only a restart would forget it.
            _log.warning("ban_not_kept", room=room.id, code=error.code)
