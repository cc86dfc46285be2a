"""The consent ledger: append-only, hash-chained, verified at start."""

import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, func, insert, or_, select

from store.anchor import Anchor
from store.chain import (
    Head,
    InvalidEntry,
    LedgerEntry,
    LedgerKind,
    LedgerReport,
    LedgerRow,
    Verifier,
    chained,
)
from store.errors import LedgerBroken, StoreUnavailable
from store.paging import ROWS_MAX, bounded
from store.schema import ledger
from store.threads import DatabaseThread

_TAKEN_BACK = frozenset({"revoked", "withdrawn"})
"""Reasons of a revocation that the person meant; the others (leaving, say) leave the agreement as it is."""
_log = logging.getLogger(__name__)


class Ledger:
    """Appends to, reads and verifies the ledger; made by `Store.open`, which verifies it first."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, anchor: Anchor | None) -> None:
        self._writer = writer
        self._reader = reader
        self._anchor = anchor
        self._head: Head | None = None
        self._report = LedgerReport(0, Head())
        self._anchor_faults = 0

    @property
    def report(self) -> LedgerReport:
        """The outcome of the newest verification."""
        return self._report

    @property
    def is_verified(self) -> bool:
        """Whether the newest verification found nothing; nothing is appended otherwise."""
        return self._report.is_verified

    @property
    def anchor_faults(self) -> int:
        """Times that the anchor file could not be replaced; the rows themselves were written."""
        return self._anchor_faults

    async def append(self, *entries: LedgerEntry) -> Head:
        """Write the entries, all or none; returns once they are on disk.

        Raises: LedgerBroken when the ledger does not verify; StoreUnavailable when it cannot be written now.
        """
        if not self._report.is_verified:
            raise LedgerBroken(f"the ledger does not verify: {self._report.problem}")
        written: list[Head] = []

        def work(connection: Connection) -> Head:
            # The head is only trusted after a commit: until then a failure leaves it to be read again.
            head = self._head if self._head is not None else _newest(connection)
            self._head = None
            rows = []
            for entry in entries:
                row = chained(entry, head)
                head = Head(row.seq, row.hash)
                rows.append(_values(row))
            if rows:
                connection.execute(insert(ledger), rows)
            written.append(head)
            return head

        def after() -> None:
            self._head = written[-1]
            self._write_anchor(written[-1])

        return await self._writer.run(work, after=after)

    async def verify(self) -> LedgerReport:
        """Check every row, the chain and the anchor; the outcome decides whether appending goes on.

        Raises: StoreUnavailable when the ledger cannot be read.
        """
        # Through the writer, so that no append is half-way between the rows and the anchor.
        self._report = await self._writer.run(self._verify)
        return self._report

    async def prepare(self) -> None:
        """Anchor an empty ledger that has no anchor yet; part of opening a fresh store.

        Raises: StoreUnavailable.
        """

        def work(connection: Connection) -> None:
            if self._anchor is None or _newest(connection).seq:
                return
            try:
                if self._anchor.read() is None:
                    self._anchor.write(Head())
            except LedgerBroken:
                return  # the verification that follows says so
            except OSError as error:
                raise StoreUnavailable(f"cannot write the ledger's anchor: {error.strerror}") from error

        await self._writer.run(work)

    async def anchor_again(self) -> LedgerReport:
        """Anchor the ledger as it is, after an operator restored it from a backup on purpose.

        The chain itself must verify; only the comparison with the earlier anchor is given up.

        Raises: LedgerBroken when the chain does not verify; StoreUnavailable.
        """

        def work(connection: Connection) -> LedgerReport:
            verifier = Verifier()
            _check_all(connection, verifier)
            report = verifier.report()
            if not report.is_verified:
                raise LedgerBroken(f"the ledger does not verify: {report.problem}")
            if self._anchor is not None:
                try:
                    self._anchor.write(report.head)
                except OSError as error:
                    raise StoreUnavailable(f"cannot write the ledger's anchor: {error.strerror}") from error
            self._head = None
            return report

        self._report = await self._writer.run(work)
        return self._report

    async def rows(
        self,
        *,
        after: int = 0,
        limit: int = ROWS_MAX,
        room: str | None = None,
        person: str | None = None,
        kind: LedgerKind | None = None,
    ) -> tuple[LedgerRow, ...]:
        """Rows after number `after`, oldest first, of one room, person or kind when given.

        Raises: StoreUnavailable.
        """
        query = select(ledger).where(ledger.c.seq > after).order_by(ledger.c.seq).limit(bounded(limit))
        if room is not None:
            query = query.where(ledger.c.room == room)
        if person is not None:
            query = query.where(ledger.c.person == person)
        if kind is not None:
            query = query.where(ledger.c.kind == str(kind))
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_row(row) for row in found)

    async def each(
        self, *, person: str | None = None, kind: LedgerKind | None = None
    ) -> AsyncIterator[LedgerRow]:
        """Every row, oldest first, of one person or kind when given: however many there are.

        Raises: StoreUnavailable.
        """
        last = 0
        while rows := await self.rows(after=last, person=person, kind=kind):
            for row in rows:
                yield row
            last = rows[-1].seq

    async def export(self) -> AsyncIterator[str]:
        """Every row as one line of JSON, oldest first: together they verify without the database.

        Raises: StoreUnavailable.
        """
        async for row in self.each():
            yield row.to_json()

    async def choices_of(self, person: str) -> "Standing":
        """What the person has accepted and agreed to, as the ledger has it.

        Raises: StoreUnavailable.
        """
        kinds = (
            LedgerKind.TERMS_ACCEPTED,
            LedgerKind.USE_AGREED,
            LedgerKind.USE_REFUSED,
            LedgerKind.REVOKED,
            LedgerKind.WITHDRAWN,
        )
        query = (
            select(ledger)
            .where(ledger.c.person == person, or_(*(ledger.c.kind == str(kind) for kind in kinds)))
            .order_by(ledger.c.seq)
        )
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return standing_of([_row(row) for row in found])

    async def has_withdrawn(self, person: str, *, room: str, recording: str, since_ms: int) -> bool:
        """Whether the person has withdrawn since a time what a recording holds of them.

        `room`: random id of the recorded room; a withdrawal may be of it, of the recording, or of everything.

        Raises: StoreUnavailable.
        """
        columns = ledger.c
        query = select(
            exists().where(
                columns.person == person,
                columns.kind == str(LedgerKind.WITHDRAWN),
                columns.at_ms >= since_ms,
                columns.room.in_(("", room)),
                columns.activity.in_(("", recording)),
            )
        )
        return await self._reader.run(lambda connection: bool(connection.execute(query).scalar_one()))

    async def size(self) -> int:
        """Number of rows.

        Raises: StoreUnavailable.
        """
        query = select(func.count()).select_from(ledger)
        return await self._reader.run(lambda connection: int(connection.execute(query).scalar_one()))

    def _verify(self, connection: Connection) -> LedgerReport:
        verifier = Verifier()
        anchor = self._read_anchor(verifier)
        if anchor is not None:
            verifier.expect(anchor)
        _check_all(connection, verifier)
        report = verifier.report()
        if report.is_verified and self._anchor is not None and anchor is None and report.rows:
            report = LedgerReport(report.rows, report.head, "the ledger's anchor file is missing")
        return report

    def _read_anchor(self, verifier: Verifier) -> Head | None:
        if self._anchor is None:
            return None
        try:
            return self._anchor.read()
        except LedgerBroken as error:
            verifier.fail(str(error))
            return None

    def _write_anchor(self, head: Head) -> None:
        if self._anchor is None:
            return
        try:
            self._anchor.write(head)
        except OSError as error:
            # The rows are written; an older anchor only protects fewer of them until the next append.
            self._anchor_faults += 1
            _log.warning("ledger_anchor_failed", extra={"reason": error.strerror})


class Standing:
    """Where one person stands according to the ledger alone: for decisions when they are not in a room."""

    def __init__(self) -> None:
        self.terms_version: str | None = None
        self.age_18 = False
        self.vouched = False
        self.uses: dict[str, bool] = {}


def standing_of(rows: Sequence[LedgerRow]) -> Standing:
    """The standing after these rows of one person, oldest first. PURE."""
    standing = Standing()
    for row in rows:
        if row.kind is LedgerKind.TERMS_ACCEPTED:
            standing.terms_version = row.terms_version
            standing.age_18 = row.age_18
            standing.vouched = row.vouched
        elif row.kind is LedgerKind.USE_AGREED:
            standing.uses.update(dict.fromkeys(row.uses, True))
        elif _takes_back(row):
            standing.uses.update(dict.fromkeys(row.uses, False))
    return standing


def _takes_back(row: LedgerRow) -> bool:
    match row.kind:
        case LedgerKind.USE_REFUSED:
            return True
        case LedgerKind.REVOKED:
            return row.reason in _TAKEN_BACK
        case LedgerKind.WITHDRAWN:
            # Out of one recording: what was agreed for others stays.
            return not row.activity
        case _:
            return False


def _check_all(connection: Connection, verifier: Verifier) -> None:
    last = 0
    while True:
        query = select(ledger).where(ledger.c.seq > last).order_by(ledger.c.seq).limit(ROWS_MAX)
        page = connection.execute(query).all()
        if not page:
            return
        try:
            rows = [_row(row) for row in page]
        except (InvalidEntry, ValueError, TypeError, AttributeError):
            verifier.fail(f"a row after {last} has a value that was never written")
            return
        if not verifier.check(rows):
            return
        last = rows[-1].seq


def _newest(connection: Connection) -> Head:
    row = connection.execute(
        select(ledger.c.seq, ledger.c.hash).order_by(ledger.c.seq.desc()).limit(1)
    ).one_or_none()
    return Head(row.seq, row.hash) if row is not None else Head()


def _values(row: LedgerRow) -> dict[str, object]:
    return {
        "seq": row.seq,
        "at_ms": row.at_ms,
        "kind": str(row.kind),
        "person": row.person,
        "room": row.room,
        "uses": " ".join(row.uses),
        "activity": row.activity,
        "terms_version": row.terms_version,
        "terms_digest": row.terms_digest,
        "age_18": int(row.age_18),
        "vouched": int(row.vouched),
        "reason": row.reason,
        "previous": row.previous,
        "hash": row.hash,
    }


def _row(found: Row[Any]) -> LedgerRow:
    if (
        type(found.age_18) is not int
        or type(found.vouched) is not int
        or found.age_18 | found.vouched not in {0, 1}
    ):
        raise InvalidEntry("a boolean of the ledger that is none")
    return LedgerRow(
        seq=found.seq,
        at_ms=found.at_ms,
        kind=LedgerKind(found.kind),
        person=found.person,
        room=found.room,
        uses=tuple(found.uses.split(" ")) if found.uses else (),
        activity=found.activity,
        terms_version=found.terms_version,
        terms_digest=found.terms_digest,
        age_18=found.age_18 == 1,
        vouched=found.vouched == 1,
        reason=found.reason,
        previous=found.previous,
        hash=found.hash,
    )
