"""What goes wrong with the database or its folder gets an error that says what to do."""

import asyncio
import json
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect

from store import (
    KeyFileError,
    NewerSchema,
    Store,
    StoreBusy,
    StoreClosed,
    StoreConfig,
    StoreCorrupt,
    StoreInUse,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from store.database import SqliteFile
from store.migrations import MIGRATIONS, Migration, current_number, migrate
from store.schema import metadata
from store.threads import DatabaseThread
from tests.store.test_ledger import entry


async def made(folder: Path) -> None:
    await (await Store.open(StoreConfig(data_dir=folder))).close()


async def refusal(folder: Path, kind: type[StoreUnavailable] | type[KeyFileError], **config: object) -> str:
    with pytest.raises(kind) as error:
        await (await Store.open(StoreConfig(data_dir=folder, **config))).close()  # type: ignore[arg-type]
    return str(error.value)


async def test_a_second_server_on_the_same_folder_is_refused(disk: Store, tmp_path: Path) -> None:
    assert "another server" in await refusal(tmp_path / "data", StoreInUse)


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to be one" * 50, b"SQLite format 3\0" + b"\xff" * 4096],
)
async def test_a_file_that_is_no_database_is_named_so(tmp_path: Path, content: bytes) -> None:
    await made(tmp_path)
    (tmp_path / "parley.sqlite3").write_bytes(content)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"parley.sqlite3{suffix}").unlink(missing_ok=True)
    assert "restore it from a backup" in await refusal(tmp_path, StoreCorrupt)


async def test_a_truncated_database_is_named_so(tmp_path: Path) -> None:
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    for number in range(200):
        await store.ledger.append(entry(f"u_{number}"))
    await store.close()
    path = tmp_path / "parley.sqlite3"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    await refusal(tmp_path, StoreCorrupt)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write" in await refusal(tmp_path / "file" / "data", StoreReadOnly)


async def test_a_database_that_somebody_else_locks_is_named_and_works_again_afterwards(
    tmp_path: Path,
) -> None:
    store = await Store.open(StoreConfig(data_dir=tmp_path, busy_timeout_ms=20))
    other = sqlite3.connect(tmp_path / "parley.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked) as error:
        await store.ledger.append(entry())
    assert "another program" in str(error.value)
    # Readers go on: the write-ahead log keeps them apart.
    assert await store.ledger.size() == 0
    other.execute("ROLLBACK")
    other.close()
    await store.ledger.append(entry())
    await store.close()


async def test_a_database_that_turned_read_only_is_named(tmp_path: Path) -> None:
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    await store._writer.run(lambda connection: None)

    def forbid(connection) -> None:  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("PRAGMA query_only = ON")

    await store._writer.run(forbid)
    with pytest.raises(StoreReadOnly):
        await store.ledger.append(entry())
    await store.close()


async def test_work_beyond_the_queue_is_refused_and_the_loop_is_never_blocked() -> None:
    gate = threading.Event()
    thread = DatabaseThread("test", SqliteFile(path=None).engine(), "the database", 2)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def block(_: object) -> None:
        loop.call_soon_threadsafe(started.set)
        gate.wait(5)

    blocker = loop.create_task(thread.run(block))
    await started.wait()
    waiting = [asyncio.get_running_loop().create_task(thread.run(lambda _: 7)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreBusy):
        await thread.run(lambda _: 8)
    gate.set()
    assert await asyncio.gather(*waiting) == [7, 7]
    await blocker
    await thread.close()
    await thread.close()
    with pytest.raises(StoreClosed):
        await thread.run(lambda _: 9)


async def test_a_job_whose_caller_went_away_is_done_nevertheless(memory: Store) -> None:
    task = asyncio.get_running_loop().create_task(memory.ledger.append(entry()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert await memory.ledger.size() == 1


async def test_a_fault_of_a_job_is_its_callers_and_the_thread_goes_on(memory: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await memory._writer.run(lambda _: 1 // 0)
    assert await memory.ledger.size() == 0


async def test_the_tables_are_those_of_the_schema_and_every_migration_runs_once(tmp_path: Path) -> None:
    engine = SqliteFile(path=tmp_path / "x.sqlite3").engine()
    with engine.begin() as connection:
        assert migrate(connection, 1) == [migration.number for migration in MIGRATIONS]
    with engine.begin() as connection:
        assert migrate(connection, 2) == []
        found = inspect(connection)
        assert set(found.get_table_names()) == set(metadata.tables)
        for table in metadata.tables.values():
            columns = {column["name"]: column for column in found.get_columns(table.name)}
            assert set(columns) == {column.name for column in table.columns}, table.name
            assert all(columns[column.name]["nullable"] == column.nullable for column in table.columns)
    engine.dispose()


def test_a_site_that_was_known_before_may_embed_rooms_on_its_own_pages(tmp_path: Path) -> None:
    engine = SqliteFile(path=tmp_path / "x.sqlite3").engine()
    with engine.begin() as connection:
        migrate(connection, 1, MIGRATIONS[:2])
        connection.exec_driver_sql(
            "INSERT INTO partners VALUES ('pa_1', 'Partner', 'partner.example', '', '1', '[]', 0, NULL, 0)"
        )
        migrate(connection, 2)
        origins = connection.exec_driver_sql("SELECT origins FROM partners").scalar_one()
    assert origins == '["https://partner.example"]'
    engine.dispose()


def test_earlier_broadcasts_keep_where_they_went_as_far_as_it_is_known(tmp_path: Path) -> None:
    engine = SqliteFile(path=tmp_path / "x.sqlite3").engine()
    with engine.begin() as connection:
        migrate(connection, 1, MIGRATIONS[:6])
        connection.exec_driver_sql(
            "INSERT INTO partners VALUES ('pt_1', 'TV', 'tv.example', '', '1', '[]', 0, NULL, 0, '[]', '', 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO destinations VALUES ('dst_1', 'Main', 'pt_1', 'rtmp', '', NULL, '[]', 0, 0, '[]')"
        )
        connection.exec_driver_sql(
            "INSERT INTO broadcasts VALUES ('bc_1', 'rm_1', 'demo', '', 'stopped', '', '',"
            """ '["dst_1", "dst_gone"]', '{"mode": "program"}', 0, 1)"""
        )
        migrate(connection, 2)
        details = json.loads(connection.exec_driver_sql("SELECT details FROM broadcasts").scalar_one())
    assert details == {
        "mode": "program",
        "reached": {"dst_1": {"partner": "pt_1", "site": "tv.example", "kind": "rtmp"}},
    }
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def half(connection) -> None:  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("CREATE TABLE half (x INTEGER)")
        raise RuntimeError("in the middle")

    engine = SqliteFile(path=tmp_path / "x.sqlite3").engine()
    with engine.begin() as connection:
        migrate(connection, 1)
    with pytest.raises(RuntimeError), engine.begin() as connection:
        migrate(connection, 2, (*MIGRATIONS, Migration(99, "half", half)))
    with engine.begin() as connection:
        assert current_number(connection) == MIGRATIONS[-1].number
        assert not inspect(connection).has_table("half")
    engine.dispose()


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    await made(tmp_path)
    connection = sqlite3.connect(tmp_path / "parley.sqlite3")
    connection.execute("INSERT INTO schema_version VALUES (999, 'later', 0)")
    connection.commit()
    connection.close()
    assert "newer program" in await refusal(tmp_path, NewerSchema)


async def test_the_key_file_is_private_and_its_loss_or_damage_is_named(tmp_path: Path) -> None:
    await made(tmp_path)
    key = tmp_path / "store.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    assert "chmod 600" in await refusal(tmp_path, KeyFileError)
    key.chmod(0o600)
    key.write_text("zz")
    assert "damaged" in await refusal(tmp_path, KeyFileError)


async def test_a_read_only_store_needs_what_it_reads(tmp_path: Path) -> None:
    with pytest.raises((KeyFileError, StoreUnavailable)):
        await Store.open(StoreConfig(data_dir=tmp_path, is_read_only=True))


async def test_hashes_and_keys_differ_by_purpose_and_installation(disk: Store, memory: Store) -> None:
    assert disk.keyed_hash("address", "192.0.2.1") == disk.keyed_hash("address", "192.0.2.1")
    assert disk.keyed_hash("address", "192.0.2.1") != disk.keyed_hash("ban", "192.0.2.1")
    assert disk.keyed_hash("address", "192.0.2.1") != memory.keyed_hash("address", "192.0.2.1")
    assert disk.derive_key("hls") != disk.derive_key("other")
    assert len(disk.derive_key("hls")) == 32


async def test_an_open_that_fails_leaves_no_lock_behind(tmp_path: Path) -> None:
    await made(tmp_path)
    path = tmp_path / "parley.sqlite3"
    content = path.read_bytes()
    path.write_bytes(b"x" * 5000)
    await refusal(tmp_path, StoreCorrupt)
    path.write_bytes(content)
    await made(tmp_path)
