"""The hash chain of the consent ledger. PURE.

A row's hash covers the canonical JSON of its fields and the hash of the row before it, so that changing,
removing, inserting or reordering anything before the newest row breaks every later hash.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

from store.errors import StoreError

GENESIS: Final = "0" * 64
"""What stands for the previous hash of row 1."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")
_CODE: Final = re.compile(r"[a-z0-9_]{0,40}")
_VERSION: Final = re.compile(r"[a-z0-9.-]{0,32}")
_HASH: Final = re.compile(r"(?:[0-9a-f]{64})?")


class InvalidEntry(StoreError):
    """A ledger entry with something other than random ids, hashes and codes in it."""

    code = "invalid_entry"


class LedgerKind(StrEnum):
    """What a ledger row states."""

    TERMS_PUBLISHED = "terms_published"
    TERMS_ACCEPTED = "terms_accepted"
    USE_AGREED = "use_agreed"
    USE_REFUSED = "use_refused"
    NOTICE_ACKNOWLEDGED = "notice_acknowledged"
    ACTIVITY_STARTED = "activity_started"
    ACTIVITY_STOPPED = "activity_stopped"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
    RECORDING_HELD = "recording_held"
    RECORDING_RELEASED = "recording_released"
    RECORDING_EXPIRED = "recording_expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What is to be noted. Ids are random, everything else is a code: never a name, an address or free text.

    Raises: InvalidEntry at construction.
    """

    at_ms: int
    kind: LedgerKind
    person: str = ""
    room: str = ""
    """Random id of the room."""
    uses: tuple[str, ...] = ()
    activity: str = ""
    terms_version: str = ""
    terms_digest: str = ""
    age_18: bool = False
    vouched: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("person", "room", "activity"):
            if not _ID.fullmatch(getattr(self, name)):
                raise InvalidEntry(f"{name} of a ledger entry must be a random id")
        if not _CODE.fullmatch(self.reason) or any(not use or not _CODE.fullmatch(use) for use in self.uses):
            raise InvalidEntry("reason and uses of a ledger entry must be codes")
        if not _VERSION.fullmatch(self.terms_version) or not _HASH.fullmatch(self.terms_digest):
            raise InvalidEntry("terms of a ledger entry must be a version and a digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow(LedgerEntry):
    """One row as it stands in the ledger."""

    seq: int
    """Counts up from 1 without a gap."""
    previous: str
    hash: str = field(default="")

    def to_json(self) -> str:
        """One line of an export: everything, the hash included."""
        return json.dumps(_plain(self) | {"hash": self.hash}, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Head:
    """Where the ledger ends: number and hash of its newest row."""

    seq: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """The outcome of a verification."""

    rows: int
    """Rows that verified, counted from the first."""
    head: Head
    problem: str | None = None
    """What is wrong and at which row; None when the ledger verifies."""

    @property
    def is_verified(self) -> bool:
        """Whether nothing was found."""
        return self.problem is None


def digest(row: LedgerRow) -> str:
    """The hash that belongs to the row: SHA-256 over canonical JSON, which includes the previous hash."""
    text = json.dumps(_plain(row), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def chained(entry: LedgerEntry, head: Head) -> LedgerRow:
    """The row that `entry` becomes after `head`."""
    fields = {name: getattr(entry, name) for name in _ENTRY_FIELDS}
    row = LedgerRow(**fields, seq=head.seq + 1, previous=head.hash)
    return LedgerRow(**fields, seq=row.seq, previous=row.previous, hash=digest(row))


class Verifier:
    """Checks rows in order; feed it all of them, then ask for the report."""

    def __init__(self) -> None:
        self._head = Head()
        self._problem: str | None = None
        self._anchor: Head | None = None
        self._hash_at_anchor: str | None = None

    def expect(self, anchor: Head) -> None:
        """Require the chain to hold this earlier head; call before the first row."""
        self._anchor = anchor

    def check(self, rows: Iterable[LedgerRow]) -> bool:
        """Take the next rows; False as soon as something is wrong."""
        for row in rows:
            if self._problem is None:
                self._problem = self._fault(row)
            if self._problem is not None:
                return False
            self._head = Head(row.seq, row.hash)
            if self._anchor is not None and row.seq == self._anchor.seq:
                self._hash_at_anchor = row.hash
        return True

    def fail(self, problem: str) -> None:
        """Note something that is wrong besides the rows."""
        self._problem = self._problem or problem

    def report(self) -> LedgerReport:
        """The outcome so far, the anchor included."""
        problem = self._problem
        if problem is None and self._anchor is not None and self._anchor.seq:
            if self._head.seq < self._anchor.seq:
                problem = f"rows {self._head.seq + 1} to {self._anchor.seq} are missing at the end"
            elif self._hash_at_anchor != self._anchor.hash:
                problem = f"row {self._anchor.seq} is not the one that was written: the ledger was replaced"
        return LedgerReport(self._head.seq, self._head, problem)

    def _fault(self, row: LedgerRow) -> str | None:
        if row.seq != self._head.seq + 1:
            return f"row {self._head.seq + 1} is missing: the next one is {row.seq}"
        if row.previous != self._head.hash:
            return f"row {row.seq} does not follow the row before it"
        if digest(row) != row.hash:
            return f"row {row.seq} was changed"
        return None


_ENTRY_FIELDS: Final = tuple(LedgerEntry.__dataclass_fields__)


def _plain(row: LedgerRow) -> dict[str, object]:
    plain: dict[str, object] = asdict(row)
    plain.pop("hash")
    plain["kind"] = str(row.kind)
    plain["uses"] = list(row.uses)
    return plain
