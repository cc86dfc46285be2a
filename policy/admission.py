"""Who may come in, and what those inside may do: the rules beside consent. PURE."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policy.consent import Allow, ConsentFacts, Decision, Deny, RoomFacts, has_accepted
from policy.permissions import Permission
from policy.uses import LIVE, RECORD, REPLAY, Use

_STARTS: Final = {RECORD: Permission.RECORD, LIVE: Permission.BROADCAST, REPLAY: Permission.BROADCAST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """Somebody kept out of a room until a time; holds keyed hashes only."""

    identity_hash: str
    address_hash: str
    """Keyed hash of the network address at the time of the ban; empty = not known."""
    expires_at_ms: int

    def matches(self, identity_hash: str, address_hash: str, now_ms: int) -> bool:
        """Whether the ban keeps this comer out now."""
        if now_ms >= self.expires_at_ms:
            return False
        return self.identity_hash == identity_hash or (
            bool(address_hash) and self.address_hash == address_hash
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comer:
    """Somebody at the door."""

    permissions: frozenset[Permission]
    identity_hash: str
    address_hash: str
    expires_at_ms: int | None
    is_external: bool = False
    is_replacing: bool = False
    """Their identity is already inside, so they take a place that is already counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The room as seen from the door."""

    participants: int
    viewers: int
    max_participants: int
    max_viewers: int
    bans: tuple[Ban, ...] = ()


def admit(comer: Comer, door: Door, now_ms: int) -> Decision:
    """Whether the comer may enter; the refusal names the criterion that failed."""
    if Permission.JOIN not in comer.permissions:
        return Deny("the token does not allow joining: ask for one with the join grant", "forbidden")
    if comer.expires_at_ms is not None and now_ms >= comer.expires_at_ms:
        return Deny("the token has expired: ask for a new one", "unauthorized")
    if any(ban.matches(comer.identity_hash, comer.address_hash, now_ms) for ban in door.bans):
        return Deny("a moderator has banned you from this room", "banned")
    if comer.is_external:
        if door.viewers >= door.max_viewers:
            return Deny(f"the room has its {door.max_viewers} viewers: try again later", "room_full")
    elif not comer.is_replacing and door.participants >= door.max_participants:
        return Deny(f"the room has its {door.max_participants} participants: try again later", "room_full")
    return Allow("admitted")


def may_publish(
    permissions: frozenset[Permission],
    person: ConsentFacts,
    room: RoomFacts,
    notices: Iterable[str],
    now_ms: int,
    *,
    needs_terms: bool = True,
) -> Decision:
    """Whether the person may publish something new.

    `notices`: ids of the notices of everything that runs. `needs_terms` is False for WHIP, which has no way
    to ask: such a publisher may come in while nothing runs, and then has no grants.
    """
    if Permission.PUBLISH not in permissions:
        return Deny("the token does not allow publishing: ask for one with the publish grant", "forbidden")
    return _may_disclose(person, room, notices, now_ms, needs_terms=needs_terms)


def may_chat(
    permissions: frozenset[Permission],
    person: ConsentFacts,
    room: RoomFacts,
    notices: Iterable[str],
    now_ms: int,
) -> Decision:
    """Whether the person may write a chat line."""
    if Permission.CHAT not in permissions:
        return Deny("the token does not allow chatting: ask for one with the chat grant", "forbidden")
    if not room.settings.chat:
        return Deny("the chat of this room is switched off", "forbidden")
    return _may_disclose(person, room, notices, now_ms, needs_terms=True)


def may_send_data(
    permissions: frozenset[Permission], person: ConsentFacts, room: RoomFacts, now_ms: int
) -> Decision:
    """Whether the person may send data messages to others in the room.

    As chat: it is written by the same people to the same readers. No notice has to be acknowledged for it,
    since nothing of it is recorded or leaves the room.
    """
    if Permission.CHAT not in permissions:
        return Deny("the token does not allow sending data: ask for one with the chat grant", "forbidden")
    if not room.settings.chat:
        return Deny("the chat of this room is switched off, and data with it", "forbidden")
    refused = has_accepted(person, room, now_ms)
    if refused is not None:
        return Deny(f"{refused.reason}: accept them before sending data", refused.code)
    return Allow("may send data")


def may_moderate(permissions: frozenset[Permission]) -> Decision:
    """Whether the person may mute, remove and ban others."""
    if permissions & {Permission.MODERATE, Permission.ADMIN}:
        return Allow("moderator")
    return Deny("the token does not allow moderating: ask for one with the moderate grant", "forbidden")


def may_start(permissions: frozenset[Permission], use: Use, room: RoomFacts, now_ms: int) -> Decision:
    """Whether an activity for `use` may be started (or stopped) in the room by a bearer of `permissions`."""
    wanted = _STARTS.get(use, Permission.BROADCAST)
    if not permissions & {wanted, Permission.ADMIN}:
        return Deny(f"the token does not allow it: ask for one with the {wanted} grant", "forbidden")
    if use not in room.settings.uses:
        return Deny(f"the room's settings do not allow {use}", "forbidden")
    current = room.terms.current(now_ms)
    if current is None or current.use(use) is None:
        return Deny(f"the terms in force do not ask for {use}", "forbidden")
    return Allow("may start")


def _may_disclose(
    person: ConsentFacts, room: RoomFacts, notices: Iterable[str], now_ms: int, *, needs_terms: bool
) -> Decision:
    refused = has_accepted(person, room, now_ms)
    if refused is not None and (needs_terms or refused.code == "age_required"):
        return Deny(f"{refused.reason}: accept them before publishing or chatting", refused.code)
    if any(notice not in person.acknowledged for notice in notices):
        return Deny(
            "something here is recorded or broadcast: acknowledge the notice first", "notice_required"
        )
    return Allow("may disclose")
