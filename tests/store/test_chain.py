"""Whatever is done to the ledger's rows, the verifier says so."""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import (
    GENESIS,
    Head,
    InvalidEntry,
    LedgerEntry,
    LedgerKind,
    LedgerReport,
    LedgerRow,
    Verifier,
    chained,
    digest,
)

ids = st.text("abcdefghijklmnopqrstuvwxyz234567_", max_size=20)
entries = st.builds(
    LedgerEntry,
    at_ms=st.integers(0, 2**53),
    kind=st.sampled_from(LedgerKind),
    person=ids,
    room=ids,
    uses=st.lists(st.sampled_from(["live", "record", "replay"]), unique=True, max_size=3).map(tuple),
    activity=ids,
    terms_version=st.sampled_from(["", "2026-11"]),
    terms_digest=st.sampled_from(["", "0f" * 32]),
    age_18=st.booleans(),
    vouched=st.booleans(),
    reason=st.sampled_from(["", "revoked", "left"]),
)
ledgers = st.lists(entries, min_size=1, max_size=12)
FIELDS = [field.name for field in fields(LedgerRow)]


def chain(items: list[LedgerEntry]) -> list[LedgerRow]:
    rows: list[LedgerRow] = []
    head = Head()
    for item in items:
        rows.append(chained(item, head))
        head = Head(rows[-1].seq, rows[-1].hash)
    return rows


def verify(rows: list[LedgerRow], anchor: Head | None = None) -> LedgerReport:
    verifier = Verifier()
    if anchor is not None:
        verifier.expect(anchor)
    verifier.check(rows)
    return verifier.report()


@given(ledgers)
def test_an_untouched_ledger_verifies_against_every_earlier_head(items: list[LedgerEntry]) -> None:
    rows = chain(items)
    for row in rows:
        report = verify(rows, Head(row.seq, row.hash))
        assert report.is_verified
        assert report.head == Head(rows[-1].seq, rows[-1].hash)
    assert verify([]).is_verified


def other_value(row: LedgerRow, name: str) -> object:
    value = getattr(row, name)
    if isinstance(value, bool):
        return not value
    if isinstance(value, LedgerKind):
        return LedgerKind.ERASED if value is not LedgerKind.ERASED else LedgerKind.REVOKED
    if isinstance(value, int):
        return value + 1
    if isinstance(value, tuple):
        return (*value, "other")
    if name == "terms_digest":
        return "1e" * 32
    return "2027" if name == "terms_version" else f"{value}x"[-60:]


@given(ledgers, st.data())
def test_a_change_of_any_field_of_any_row_is_found(items: list[LedgerEntry], data: st.DataObject) -> None:
    rows = chain(items)
    index = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(FIELDS))
    rows[index] = replace(rows[index], **{name: other_value(rows[index], name)})  # type: ignore[arg-type]
    report = verify(rows)
    assert not report.is_verified
    assert report.rows <= index + 1


@given(ledgers, st.data())
def test_a_change_with_its_own_hash_made_right_is_found_by_the_rows_after_or_the_anchor(
    items: list[LedgerEntry], data: st.DataObject
) -> None:
    rows = chain(items)
    anchor = Head(rows[-1].seq, rows[-1].hash)
    index = data.draw(st.integers(0, len(rows) - 1))
    forged = replace(rows[index], at_ms=rows[index].at_ms + 1)
    rows[index] = replace(forged, hash=digest(forged))
    assert not verify(rows, anchor).is_verified


@given(ledgers, st.data())
def test_a_missing_row_is_found(items: list[LedgerEntry], data: st.DataObject) -> None:
    rows = chain(items)
    anchor = Head(rows[-1].seq, rows[-1].hash)
    del rows[data.draw(st.integers(0, len(rows) - 1))]
    assert not verify(rows, anchor).is_verified


@given(ledgers, st.data())
def test_rows_in_another_order_or_twice_are_found(items: list[LedgerEntry], data: st.DataObject) -> None:
    rows = chain(items)
    index = data.draw(st.integers(0, len(rows) - 1))
    twice = [*rows[: index + 1], rows[index], *rows[index + 1 :]]
    assert not verify(twice).is_verified
    if len(rows) > 1:
        swapped = [*rows]
        other = (index + 1) % len(rows)
        swapped[index], swapped[other] = swapped[other], swapped[index]
        assert not verify(swapped).is_verified


@given(ledgers, entries)
def test_a_row_inserted_in_the_middle_is_found(items: list[LedgerEntry], extra: LedgerEntry) -> None:
    rows = chain(items)
    first = chained(extra, Head())
    assert not verify([first, *rows]).is_verified


@given(ledgers, ledgers)
def test_a_whole_ledger_put_in_place_of_another_is_found_by_the_anchor(
    items: list[LedgerEntry], others: list[LedgerEntry]
) -> None:
    rows, forged = chain(items), chain(others)
    if rows[-1].hash != forged[min(len(rows), len(forged)) - 1].hash:
        assert not verify(forged, Head(rows[-1].seq, rows[-1].hash)).is_verified


@given(ledgers)
def test_an_export_verifies_without_the_database(items: list[LedgerEntry]) -> None:
    previous = GENESIS
    for line in [row.to_json() for row in chain(items)]:
        plain = json.loads(line)
        claimed = plain.pop("hash")
        assert plain["previous"] == previous
        import hashlib  # noqa: PLC0415 - shows that nothing else is needed

        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == claimed
        previous = claimed


@pytest.mark.parametrize(
    "change",
    [
        {"person": "Ada Lovelace"},
        {"person": "ada@example.org"},
        {"room": "räume"},
        {"activity": "x" * 65},
        {"reason": "because I say so"},
        {"uses": ("Live!",)},
        {"uses": ("",)},
        {"terms_version": "V 1"},
        {"terms_digest": "abc"},
    ],
)
def test_names_addresses_and_free_text_cannot_be_written(change: dict[str, object]) -> None:
    with pytest.raises(InvalidEntry):
        LedgerEntry(at_ms=1, kind=LedgerKind.ERASED, **change)  # type: ignore[arg-type]
