"""Data messages between the people of a room: who may send, to whom they go, and how much of them.

They stay in the room: no recorder, broadcast or viewer outside gets any, and none is kept. Everything is
checked for each message, so that a permission that ends, or a person who is removed, is cut at once.
"""

from collections import Counter

from policy import Deny, Permission, may_send_data
from rooms.allowance import Allowance
from rooms.data_account import DataAccount
from rooms.envelope import Envelope, EnvelopeError, open_envelope, seal_envelope
from rooms.errors import Code
from rooms.house import House
from rooms.member import Member
from rooms.room import Room
from sfu import ChannelKind, DataReceived, SfuError

_TELL_AFTER_S = 0.1
"""What a person is to be told of refusals and losses is gathered for so long."""


class DataRelay:
    """Carries data messages between the members of each room; for all rooms of the node."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._node = Allowance(
            per_s=house.limits.data_node_per_s,
            burst=house.limits.data_node_per_s,
            now=house.clock.monotonic(),
        )
        self.counters: Counter[str] = Counter()
        """Messages and deliveries, and what was refused or lost, by reason."""

    def receive(self, room: Room, event: DataReceived) -> None:
        """Pass one message on, or refuse it and tell its sender."""
        author = next((member for member in room.members.values() if member.publish_peer == event.peer), None)
        if author is None or not author.is_present:
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
        account.spend(len(event.message))
        try:
            envelope = open_envelope(event.message)
        except EnvelopeError as error:
            self._refuse(author, account, Code.INVALID_REQUEST, str(error))
            return
        self._deliver(room, author, account, event.kind, envelope, now)

    def _deliver(
        self,
        room: Room,
        author: Member,
        account: DataAccount,
        kind: ChannelKind,
        envelope: Envelope,
        now: float,
    ) -> None:
        readers = {
            reader.publish_peer: reader
            for reader in room.members.values()
            if reader is not author
            and reader.publish_peer is not None
            and may_receive(reader)
            and (envelope.to is None or reader.identity in envelope.to)
        }
        budget = self._budget(room, now)
        wait_s = max(budget.wait_s(now), self._node.wait_s(now))
        if wait_s > 0:
            self._refuse(author, account, Code.UNAVAILABLE, "too much data is sent here", wait_s)
            return
        message = seal_envelope(envelope, participant=author.id, identity=author.identity)
        try:
            outcome = room.router.send_data(readers, kind, message)
        except SfuError:
            # The room closes.
            return
        cost = outcome.sent + len(outcome.full)
        budget.spend(cost)
        self._node.spend(cost)
        self.counters["messages"] += 1
        self.counters["deliveries"] += outcome.sent
        for peer in outcome.full:
            self._lose(readers[peer], kind, now)

    def _account(self, member: Member, now: float) -> DataAccount:
        if member.data is None:
            member.data = DataAccount.open(self._house.limits, now)
        return member.data

    def _budget(self, room: Room, now: float) -> Allowance:
        if room.data is None:
            per_s = self._house.limits.data_room_per_s
            room.data = Allowance(per_s=per_s, burst=per_s, now=now)
        return room.data

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

    def _lose(self, reader: Member, kind: ChannelKind, now: float) -> None:
        self.counters[f"slow_reader_{kind}"] += 1
        if kind is ChannelKind.RELIABLE:
            account = self._account(reader, now)
            account.lose()
            self._tell_soon(reader, account)

    def _tell_soon(self, member: Member, account: DataAccount) -> None:
        def tell() -> None:
            account.timer = None
            for event in account.news():
                member.tell(event)

        if account.timer is None and member.is_present:
            account.timer = self._house.clock.call_later(_TELL_AFTER_S, tell)


def may_receive(reader: Member) -> bool:
    """Whether data messages of the room go to this member: people inside, as with tracks."""
    return (
        reader.is_present
        and reader.transport == "ws"
        and not reader.is_external
        and Permission.SUBSCRIBE in reader.permissions
    )
