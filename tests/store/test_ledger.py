"""The ledger on disk: appended, verified at start, refused once it was touched."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from store import (
    Conflict,
    LedgerBroken,
    LedgerEntry,
    LedgerKind,
    Store,
    StoreConfig,
    StoreFull,
    Verifier,
)
from store.ledger import standing_of


def entry(person: str = "u_a", kind: LedgerKind = LedgerKind.TERMS_ACCEPTED, **fields: object) -> LedgerEntry:
    return LedgerEntry(at_ms=1, kind=kind, person=person, **fields)  # type: ignore[arg-type]


async def filled(folder: Path, rows: int = 5) -> None:
    store = await Store.open(StoreConfig(data_dir=folder))
    for number in range(rows):
        await store.ledger.append(entry(f"u_{number}"))
    await store.close()


async def problem_after(folder: Path) -> str | None:
    store = await Store.open(StoreConfig(data_dir=folder))
    try:
        if store.ledger.is_verified:
            await store.ledger.append(entry())
        else:
            with pytest.raises(LedgerBroken):
                await store.ledger.append(entry())
        return store.ledger.report.problem
    finally:
        await store.close()


def tamper(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "parley.sqlite3")
    for trigger in ("ledger_no_update", "ledger_no_delete"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_entries_appended_together_are_chained_and_counted(disk: Store) -> None:
    head = await disk.ledger.append(entry("u_a"), entry("u_b"))
    assert head.seq == 2
    rows = await disk.ledger.rows()
    assert [(row.seq, row.person) for row in rows] == [(1, "u_a"), (2, "u_b")]
    assert rows[1].previous == rows[0].hash
    assert (await disk.ledger.verify()).is_verified


async def test_appends_at_once_make_one_chain(disk: Store) -> None:
    await asyncio.gather(*(disk.ledger.append(entry(f"u_{number}")) for number in range(40)))
    report = await disk.ledger.verify()
    assert (report.rows, report.problem) == (40, None)


async def test_the_database_itself_refuses_to_change_or_delete(disk: Store, tmp_path: Path) -> None:
    await disk.ledger.append(entry())
    for statement in (
        "UPDATE ledger SET person = 'u_x'",
        "DELETE FROM ledger",
        "UPDATE terms SET digest = ''",
    ):
        if "terms" in statement:
            await disk.terms.history()
        with pytest.raises(Conflict, match="append-only"):
            await disk._writer.run(lambda connection, text=statement: connection.exec_driver_sql(text))
    assert (await disk.ledger.verify()).rows == 1


async def test_a_ledger_that_was_left_alone_verifies_at_the_next_start(tmp_path: Path) -> None:
    await filled(tmp_path)
    assert await problem_after(tmp_path) is None


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE ledger SET person = 'u_z' WHERE seq = 3", "row 3 was changed"),
        ("UPDATE ledger SET age_18 = 1 WHERE seq = 2", "row 2 was changed"),
        ("UPDATE ledger SET age_18 = 7 WHERE seq = 2", "a row after 0 has a value that was never written"),
        (
            "UPDATE ledger SET kind = 'party' WHERE seq = 2",
            "a row after 0 has a value that was never written",
        ),
        (
            "UPDATE ledger SET person = x'00' WHERE seq = 2",
            "a row after 0 has a value that was never written",
        ),
        ("UPDATE ledger SET at_ms = 1.5 WHERE seq = 4", "row 4 was changed"),
        ("DELETE FROM ledger WHERE seq = 2", "row 2 is missing: the next one is 3"),
        ("DELETE FROM ledger WHERE seq = 1", "row 1 is missing: the next one is 2"),
        ("DELETE FROM ledger WHERE seq = 5", "rows 5 to 5 are missing at the end"),
        ("DELETE FROM ledger", "rows 1 to 5 are missing at the end"),
        ("UPDATE ledger SET hash = previous WHERE seq = 5", "row 5 was changed"),
    ],
)
async def test_tampering_is_found_at_start_and_nothing_is_appended(
    tmp_path: Path, statement: str, problem: str
) -> None:
    await filled(tmp_path)
    tamper(tmp_path, statement)
    assert await problem_after(tmp_path) == problem


async def test_a_ledger_rewritten_from_the_start_is_found_by_the_anchor(tmp_path: Path) -> None:
    real, forged = tmp_path / "real", tmp_path / "forged"
    await filled(real)
    store = await Store.open(StoreConfig(data_dir=forged))
    for _ in range(9):
        await store.ledger.append(entry("u_somebody_else"))
    await store.close()
    (real / "parley.sqlite3").write_bytes((forged / "parley.sqlite3").read_bytes())
    assert "the ledger was replaced" in str(await problem_after(real))
    # Not even together with its own anchor: that one was written with another key.
    (real / "ledger.anchor").write_bytes((forged / "ledger.anchor").read_bytes())
    assert "not written with this key" in str(await problem_after(real))


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[1]", b"\xff" * 100, b'{"seq": 5, "hash": "x", "tag": "y"}']
)
async def test_an_anchor_that_is_missing_damaged_or_forged_is_found(
    tmp_path: Path, content: bytes | None
) -> None:
    await filled(tmp_path)
    anchor = tmp_path / "ledger.anchor"
    if content is None:
        anchor.unlink()
    else:
        anchor.write_bytes(content)
    assert "anchor" in str(await problem_after(tmp_path))


async def test_a_crash_between_the_rows_and_the_anchor_does_no_harm(tmp_path: Path) -> None:
    await filled(tmp_path, rows=3)
    old = (tmp_path / "ledger.anchor").read_bytes()
    await filled(tmp_path, rows=2)
    (tmp_path / "ledger.anchor").write_bytes(old)
    assert await problem_after(tmp_path) is None


async def test_an_operator_can_anchor_a_restored_backup_on_purpose(tmp_path: Path) -> None:
    await filled(tmp_path)
    tamper(tmp_path, "DELETE FROM ledger WHERE seq = 5")
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    assert not store.ledger.is_verified
    assert (await store.ledger.anchor_again()).is_verified
    await store.ledger.append(entry())
    await store.close()
    tamper_free = await Store.open(StoreConfig(data_dir=tmp_path))
    assert tamper_free.ledger.is_verified
    await tamper_free.close()


async def test_a_broken_chain_cannot_be_anchored(tmp_path: Path) -> None:
    await filled(tmp_path)
    tamper(tmp_path, "UPDATE ledger SET person = 'u_z' WHERE seq = 3")
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    with pytest.raises(LedgerBroken):
        await store.ledger.anchor_again()
    await store.close()


async def test_an_append_that_failed_leaves_the_chain_whole(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await disk.ledger.append(entry("u_a"))

    def fail(*_: object) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr("store.ledger._values", fail)
    with pytest.raises(StoreFull):
        await disk.ledger.append(entry("u_b"))
    monkeypatch.undo()
    await disk.ledger.append(entry("u_c"))
    assert [row.person for row in await disk.ledger.rows()] == ["u_a", "u_c"]
    assert (await disk.ledger.verify()).is_verified


async def test_an_anchor_that_cannot_be_written_is_counted_and_loses_no_row(
    disk: Store, tmp_path: Path
) -> None:
    await disk.ledger.append(entry())
    (tmp_path / "data" / "ledger.new").mkdir()
    await disk.ledger.append(entry())
    assert disk.ledger.anchor_faults == 1
    assert await disk.ledger.size() == 2


async def test_an_export_holds_every_row_in_order(disk: Store) -> None:
    for number in range(7):
        await disk.ledger.append(entry(f"u_{number}"))
    lines = [json.loads(line) async for line in disk.ledger.export()]
    assert [line["seq"] for line in lines] == list(range(1, 8))


async def test_rows_can_be_read_by_room_person_and_kind(disk: Store) -> None:
    await disk.ledger.append(entry("u_a", room="rm_1"), entry("u_b", room="rm_1"), entry("u_a", room="rm_2"))
    assert [row.seq for row in await disk.ledger.rows(room="rm_1")] == [1, 2]
    assert [row.seq for row in await disk.ledger.rows(person="u_a", after=1)] == [3]
    await disk.ledger.append(entry("u_b", kind=LedgerKind.WITHDRAWN))
    assert [row.seq for row in await disk.ledger.rows(kind=LedgerKind.WITHDRAWN)] == [4]


async def test_a_person_stands_where_their_rows_say(disk: Store) -> None:
    await disk.ledger.append(
        entry(kind=LedgerKind.TERMS_ACCEPTED, terms_version="2026-11", age_18=True),
        entry(kind=LedgerKind.USE_AGREED, uses=("live", "record")),
        entry(kind=LedgerKind.REVOKED, uses=("live", "record"), reason="left"),
        entry(kind=LedgerKind.REVOKED, uses=("live",), reason="revoked"),
    )
    standing = await disk.ledger.choices_of("u_a")
    assert (standing.terms_version, standing.age_18) == ("2026-11", True)
    assert standing.uses == {"live": False, "record": True}
    assert standing_of([]).uses == {}


@pytest.mark.parametrize(
    ("kind", "fields", "record"),
    [
        (LedgerKind.WITHDRAWN, {}, False),
        (LedgerKind.WITHDRAWN, {"room": "rm_1"}, False),
        (LedgerKind.WITHDRAWN, {"activity": "rec_1"}, True),
        (LedgerKind.REVOKED, {"reason": "withdrawn"}, False),
        (LedgerKind.REVOKED, {"reason": "terms_changed"}, True),
        (LedgerKind.ERASED, {"activity": "rec_1"}, True),
    ],
)
async def test_what_was_withdrawn_for_good_is_agreed_to_no_longer(
    disk: Store, kind: LedgerKind, fields: dict[str, str], record: bool
) -> None:
    await disk.ledger.append(
        entry(kind=LedgerKind.USE_AGREED, uses=("live", "record")),
        entry(kind=kind, uses=("record", "replay"), **fields),
    )
    standing = await disk.ledger.choices_of("u_a")
    assert (standing.uses["record"], standing.uses["live"]) == (record, True)


async def test_a_read_only_store_verifies_beside_a_running_server(disk: Store, tmp_path: Path) -> None:
    await disk.ledger.append(entry())
    beside = await Store.open(StoreConfig(data_dir=tmp_path / "data", is_read_only=True))
    assert beside.ledger.report.rows == 1
    assert beside.ledger.is_verified
    await beside.close()


def test_a_verifier_without_rows_and_anchor_is_content() -> None:
    assert Verifier().report().is_verified
