"""Data messages between the people of a room: who may send, to whom they go, and how much of them.

They stay in the room: no recorder, broadcast or viewer outside gets any, and none is kept. Everything is
checked for each message, so that a permission that ends, or a person who is removed, is cut at once.
"""

import asyncio
from collections import Counter

import structlog

from policy import Deny, Permission, may_send_data
from rooms.allowance import Allowance
from rooms.data_account import DataAccount
from rooms.envelope import Envelope, EnvelopeError, open_envelope, seal_envelope
from rooms.errors import Code
from rooms.house import House
from rooms.member import Member
from rooms.room import Room
from sfu import ChannelKind, DataReceived, PeerId

_log = structlog.get_logger("rooms")
_BURST_S = 0.2
"""Of the deliveries of a second, so much may be made at once: they hold up everything else meanwhile."""
_READERS_AT_ONCE = 50
_LONGEST_WAIT_S = 0.25
_TELL_AFTER_S = 0.1
"""What a person is to be told of refusals and losses is gathered for so long."""


class DataRelay:
    """Carries data messages between the members of each room; for all rooms of the node."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._node = self._allowance(house.limits.data_node_per_s, house.clock.monotonic())
        self.counters: Counter[str] = Counter()
        """Messages and deliveries, and what was refused or lost, by reason."""

    async def follow(self, room: Room) -> None:
        """Carry every message of a room until it closes; one that fails is logged and the next is read."""
        async for message in room.router.data:
            try:
                await self._carry(room, message)
            except Exception:  # noqa: BLE001 - one message's fault must not silence the room
                _log.exception("data_failed", room=room.id)
            # Between two messages everything else has its turn.
            await asyncio.sleep(0)

    async def _carry(self, room: Room, message: DataReceived) -> None:
        """Pass one message on, or refuse it and tell its sender."""
        author = _author(room, message.peer)
        if author is None:
            self.counters["gone"] += 1
            return
        now = self._house.clock.monotonic()
        account = self._account(author, now)
        decision = may_send_data(author.permissions, author.seen, room.facts, self._house.now_ms())
        if isinstance(decision, Deny):
            self._refuse(author, account, Code(decision.code), decision.reason)
            return
        wait_s = account.wait_s(now)
        if wait_s > 0:
            self._refuse(author, account, Code.RATE_LIMITED, "you send too much data", wait_s)
            return
        account.spend(len(message.message))
        try:
            envelope = open_envelope(message.message)
        except EnvelopeError as error:
            self._refuse(author, account, Code.INVALID_REQUEST, str(error))
            return
        if await self._turn(room, author, account, message.kind):
            await self._deliver(room, author, message.kind, envelope)

    async def _turn(self, room: Room, author: Member, account: DataAccount, kind: ChannelKind) -> bool:
        """Wait until room and node have deliveries to give; a lossy message does not wait for that."""
        while (wait_s := self._wait_s(room)) > 0 and not room.is_closed:
            if kind is ChannelKind.LOSSY:
                self._refuse(author, account, Code.UNAVAILABLE, "too much data is sent here", wait_s)
                return False
            await asyncio.sleep(min(wait_s, _LONGEST_WAIT_S))
        return True

    async def _deliver(self, room: Room, author: Member, kind: ChannelKind, envelope: Envelope) -> None:
        sealed = seal_envelope(envelope, participant=author.id, identity=author.identity)
        readers = [reader for reader in room.members.values() if _is_reader(reader, author, envelope)]
        for start in range(0, len(readers), _READERS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            # Who has gone meanwhile gets nothing, and whose words were cut has them cut here, too.
            peers = {
                reader.publish_peer: reader
                for reader in readers[start : start + _READERS_AT_ONCE]
                if reader.publish_peer is not None and _is_reader(reader, author, envelope)
            }
            if room.is_closed or not author.is_present or Permission.CHAT not in author.permissions:
                return
            outcome = room.router.send_data(peers, kind, sealed)
            self._spend(room, outcome.sent + len(outcome.lost))
            self.counters["deliveries"] += outcome.sent
            for peer in outcome.lost:
                self._lose(peers[peer], kind)
        self.counters["messages"] += 1

    def _wait_s(self, room: Room) -> float:
        now = self._house.clock.monotonic()
        if room.data is None:
            room.data = self._allowance(self._house.limits.data_room_per_s, now)
        return max(room.data.wait_s(now), self._node.wait_s(now))

    def _spend(self, room: Room, deliveries: int) -> None:
        self._node.spend(deliveries)
        if room.data is not None:
            room.data.spend(deliveries)

    @staticmethod
    def _allowance(per_s: float, now: float) -> Allowance:
        return Allowance(per_s=per_s, burst=per_s * _BURST_S, now=now)

    def _account(self, member: Member, now: float) -> DataAccount:
        if member.data is None:
            member.data = DataAccount.open(self._house.limits, now)
        return member.data

    def _refuse(
        self,
        author: Member,
        account: DataAccount,
        code: Code,
        reason: str,
        retry_after_s: float | None = None,
    ) -> None:
        self.counters[f"refused_{code}"] += 1
        account.refuse(code, reason, retry_after_s)
        self._tell_soon(author, account)

    def _lose(self, reader: Member, kind: ChannelKind) -> None:
        self.counters[f"slow_reader_{kind}"] += 1
        if kind is ChannelKind.RELIABLE:
            account = self._account(reader, self._house.clock.monotonic())
            account.lose()
            self._tell_soon(reader, account)

    def _tell_soon(self, member: Member, account: DataAccount) -> None:
        def tell() -> None:
            account.timer = None
            for event in account.news():
                member.tell(event)

        if account.timer is None and member.is_present:
            account.timer = self._house.clock.call_later(_TELL_AFTER_S, tell)


def _author(room: Room, peer: PeerId) -> Member | None:
    return next((member for member in room.people() if member.publish_peer == peer), None)


def _is_reader(reader: Member, author: Member, envelope: Envelope) -> bool:
    """Whether a message goes to this member: people inside who receive tracks, too."""
    return (
        reader is not author
        and reader.is_present
        and reader.transport == "ws"
        and not reader.is_external
        and Permission.SUBSCRIBE in reader.permissions
        and (envelope.to is None or reader.identity in envelope.to)
    )
