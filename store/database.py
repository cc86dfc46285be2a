"""Opening a database and naming what goes wrong with it."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from store.errors import (
    Conflict,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)

# SQLite's result codes by name (https://www.sqlite.org/rescode.html); extended codes share the prefix.
_CAUSES: tuple[tuple[str, type[StoreError], str], ...] = (
    ("SQLITE_BUSY", StoreLocked, "another program holds it: close that program"),
    ("SQLITE_LOCKED", StoreLocked, "another program holds it: close that program"),
    ("SQLITE_READONLY", StoreReadOnly, "it cannot be written: check the file's and the folder's permissions"),
    ("SQLITE_PERM", StoreReadOnly, "it cannot be written: check the file's and the folder's permissions"),
    ("SQLITE_CANTOPEN", StoreReadOnly, "it cannot be opened: check the folder's permissions"),
    ("SQLITE_CORRUPT", StoreCorrupt, "it is damaged: restore it from a backup"),
    ("SQLITE_NOTADB", StoreCorrupt, "it is not a database: restore it from a backup"),
    ("SQLITE_FULL", StoreFull, "the disk is full: make room"),
    ("SQLITE_IOERR", StoreUnavailable, "the disk reports an error"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """Where a SQLite database lies and how it is opened."""

    path: Path | None
    """None keeps it in memory, for tests."""
    busy_timeout_ms: int = 5_000
    is_read_only: bool = False

    def engine(self) -> Engine:
        """An engine of one connection, for use by one thread: WAL, foreign keys on, every commit on disk."""
        target = "" if self.path is None else str(self.path)
        mode = "?mode=ro" if self.is_read_only else "?mode=rwc"
        address = "file::memory:" if self.path is None else f"file:{_quoted(target)}{mode}"
        engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: sqlite3.connect(
                address,
                uri=True,
                timeout=self.busy_timeout_ms / 1000,
                check_same_thread=False,
                isolation_level=None,
            ),
            poolclass=StaticPool,
        )
        event.listen(engine, "connect", self._prepare)
        event.listen(engine, "begin", self._begin)
        return engine

    def _prepare(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {self.busy_timeout_ms}")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA trusted_schema = OFF")
            if self.is_read_only:
                cursor.execute("PRAGMA query_only = ON")
            else:
                cursor.execute("PRAGMA journal_mode = WAL")
                # FULL: a commit that returned is on disk. The ledger's promise needs it.
                cursor.execute("PRAGMA synchronous = FULL")
        finally:
            cursor.close()

    def _begin(self, connection: Any) -> None:
        # IMMEDIATE takes the write lock at the start, so a transaction never fails half-way for a lock.
        connection.exec_driver_sql("BEGIN" if self.is_read_only else "BEGIN IMMEDIATE")


def translate(error: Exception, where: str) -> StoreError:
    """The store's own error for what the database raised; `where` names the database."""
    if isinstance(error, StoreError):
        return error
    original = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(original, "sqlite_errorname", ""))
    for prefix, kind, advice in _CAUSES:
        if name.startswith(prefix):
            return kind(f"{where}: {advice}")
    if isinstance(error, IntegrityError) or isinstance(original, sqlite3.IntegrityError):
        return Conflict(_constraint(original))
    if isinstance(error, (SQLAlchemyError, sqlite3.Error, OSError)):
        return StoreUnavailable(f"{where}: {type(original).__name__}")
    raise error


def _constraint(original: object) -> str:
    # SQLite's message names the table and columns, or is our trigger's text; never a value.
    return str(original)[:200]


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
