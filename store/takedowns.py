"""Notices that ask partner sites to take down what they received of somebody."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, insert, select, update

from store.errors import NotFound
from store.ids import new_id
from store.schema import takedowns
from store.threads import DatabaseThread


class TakedownState(StrEnum):
    """How far a notice has come."""

    PENDING = "pending"
    """Not delivered yet; it is tried again."""
    DELIVERED = "delivered"
    """The partner's server took it."""
    ACKNOWLEDGED = "acknowledged"
    """The partner says that it was carried out."""
    UNDELIVERABLE = "undeliverable"
    """Given up, or the partner names no address for notices: somebody must write to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakedownRow:
    """One notice to one partner about one withdrawal."""

    id: str
    partner: str
    person: str
    """Random id, as in the ledger."""
    withdrawn_at_ms: int
    body: str
    """The notice as it is signed and sent: JSON."""
    state: TakedownState
    attempts: int
    next_at_ms: int
    created_at_ms: int
    answered_at_ms: int | None
    reason: str
    """Why the last attempt failed; empty when it did not."""

    @property
    def site(self) -> str:
        """Whose notice it is, also when the partner is not registered any more."""
        return str(json.loads(self.body)["site"])


class Takedowns:
    """Keeps notices. One withdrawal makes at most one for a partner."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    @staticmethod
    def new_id() -> str:
        """An id for a notice that is to be written."""
        return new_id("td")

    async def add(
        self,
        *,
        notice: str,
        partner: str,
        person: str,
        withdrawn_at_ms: int,
        body: str,
        state: TakedownState,
        reason: str = "",
    ) -> None:
        """Keep a new one under the id `notice`; `reason`: why it cannot be delivered.

        Raises: Conflict when the partner has one about that withdrawal; StoreUnavailable.
        """
        now_ms = self._wall_ms()
        query = insert(takedowns).values(
            id=notice,
            partner=partner,
            person=person,
            withdrawn_at_ms=withdrawn_at_ms,
            body=body,
            state=str(state),
            attempts=0,
            next_at_ms=now_ms,
            created_at_ms=now_ms,
            answered_at_ms=None,
            reason=reason,
        )
        await self._writer.run(lambda connection: connection.execute(query))

    async def get(self, notice: str) -> TakedownRow:
        """One notice.

        Raises: NotFound; StoreUnavailable.
        """
        query = select(takedowns).where(takedowns.c.id == notice)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound(f"no takedown notice {notice[:64]!r}")
        return _row(found)

    async def pending(self, *, limit: int = 100) -> tuple[TakedownRow, ...]:
        """Those to be delivered, the one that is due first in front.

        Raises: StoreUnavailable.
        """
        query = (
            select(takedowns)
            .where(takedowns.c.state == str(TakedownState.PENDING))
            .order_by(takedowns.c.next_at_ms, takedowns.c.id)
            .limit(limit)
        )
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_row(row) for row in found)

    async def all(self, *, person: str | None = None, limit: int = 200) -> tuple[TakedownRow, ...]:
        """Newest first, of one person when given.

        Raises: StoreUnavailable.
        """
        query = (
            select(takedowns).order_by(takedowns.c.created_at_ms.desc(), takedowns.c.id.desc()).limit(limit)
        )
        if person is not None:
            query = query.where(takedowns.c.person == person)
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_row(row) for row in found)

    async def readdress(self, partner: str) -> None:
        """The partner has an address now: what could not be delivered to it is due.

        Raises: StoreUnavailable.
        """
        query = (
            update(takedowns)
            .where(takedowns.c.partner == partner, takedowns.c.state == str(TakedownState.UNDELIVERABLE))
            .values(state=str(TakedownState.PENDING), next_at_ms=self._wall_ms(), reason="")
        )
        await self._writer.run(lambda connection: connection.execute(query))

    async def change(
        self,
        notice: str,
        *,
        state: TakedownState,
        attempts: int,
        next_at_ms: int,
        reason: str = "",
        answered_at_ms: int | None = None,
    ) -> TakedownRow:
        """Note how delivering it went; the notice as it is then.

        Raises: NotFound; StoreUnavailable.
        """
        query = (
            update(takedowns)
            .where(takedowns.c.id == notice)
            .values(
                state=str(state),
                attempts=attempts,
                next_at_ms=next_at_ms,
                reason=reason,
                answered_at_ms=answered_at_ms,
            )
        )
        if await self._writer.run(lambda connection: connection.execute(query).rowcount) == 0:
            raise NotFound(f"no takedown notice {notice[:64]!r}")
        return await self.get(notice)


def _row(found: "Row[Any]") -> TakedownRow:
    return TakedownRow(
        id=found.id,
        partner=found.partner,
        person=found.person,
        withdrawn_at_ms=found.withdrawn_at_ms,
        body=found.body,
        state=TakedownState(found.state),
        attempts=found.attempts,
        next_at_ms=found.next_at_ms,
        created_at_ms=found.created_at_ms,
        answered_at_ms=found.answered_at_ms,
        reason=found.reason,
    )
