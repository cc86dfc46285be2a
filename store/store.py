"""The store: one object that owns the database threads, the key file and the blob folder."""

import fcntl
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sqlalchemy import Connection, Engine, create_engine

from store.anchor import Anchor
from store.blobs import Blobs
from store.database import SqliteFile
from store.errors import StoreCorrupt, StoreInUse, StoreReadOnly
from store.holds import Holds
from store.keys import Keys, load, load_or_create
from store.ledger import Ledger
from store.media import Broadcasts, Recordings
from store.migrations import migrate
from store.people import Persons
from store.rooms import Bans, Rooms
from store.sites import Destinations, Partners
from store.takedowns import Takedowns
from store.terms import Terms
from store.threads import DatabaseThread

_DATABASE: Final = "parley.sqlite3"
_KEY: Final = "store.key"
_ANCHOR: Final = "ledger.anchor"
_LOCK: Final = "store.lock"


def _system_wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where data is kept and how patient the store is."""

    data_dir: Path | None
    """Folder for database, keys and blobs; made when missing. None keeps everything in memory (tests)."""
    url: str | None = None
    """SQLAlchemy URL of another database (PostgreSQL); None = SQLite in `data_dir`."""
    busy_timeout_ms: int = 5_000
    """How long a write waits for another program that holds the database."""
    queue_limit: int = 10_000
    """Jobs that may wait for the writer, and for the reader."""
    is_read_only: bool = False
    """For commands beside a running server: nothing is locked, migrated or written."""


class Store:
    """Database and blobs of one installation; made by `open`, ended by `close`."""

    def __init__(
        self,
        config: StoreConfig,
        writer: DatabaseThread,
        reader: DatabaseThread,
        keys: Keys,
        lock: int | None,
        wall_ms: Callable[[], int],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._keys = keys
        self._lock = lock
        folder = config.data_dir
        anchor = Anchor(folder / _ANCHOR, keys) if folder is not None else None
        self.ledger = Ledger(writer, reader, anchor)
        """What people agreed to, append-only."""
        self.persons = Persons(writer, reader, keys, wall_ms)
        """Who is behind the ledger's person ids; erasable."""
        self.rooms = Rooms(writer, reader, wall_ms)
        """Rooms with their settings."""
        self.bans = Bans(writer, reader, wall_ms)
        """Who is kept out of a room."""
        self.terms = Terms(writer, reader, wall_ms)
        """Published terms documents."""
        self.recordings = Recordings(writer, reader, wall_ms)
        """Recordings and their states."""
        self.holds = Holds(writer, reader, wall_ms)
        """Recordings that must not be deleted."""
        self.partners = Partners(writer, reader, wall_ms)
        """Partner sites and their terms."""
        self.destinations = Destinations(writer, reader, keys, wall_ms)
        """Where broadcasts can be sent."""
        self.takedowns = Takedowns(writer, reader, wall_ms)
        """Notices to partners that received somebody who has withdrawn."""
        self.broadcasts = Broadcasts(writer, reader)
        """Broadcasts and their states."""
        self.blobs = Blobs(folder / "blobs") if folder is not None else None
        """Media on disk; None for a store in memory."""

    @classmethod
    async def open(cls, config: StoreConfig, *, wall_ms: Callable[[], int] = _system_wall_ms) -> Self:
        """Open (or make) the store: lock the folder, check and migrate the database, verify the ledger.

        A ledger that fails verification does not stop the start: `ledger.is_verified` says so, nobody's grant
        holds then, and calls go on.

        Raises: StoreInUse, StoreReadOnly, StoreCorrupt, StoreLocked, NewerSchema, KeyFileError: each says
        what to do.
        """
        folder = config.data_dir
        lock: int | None = None
        if folder is None:
            keys = Keys(secrets.token_bytes(32))
        elif config.is_read_only:
            keys = load(folder / _KEY)
        else:
            lock = _lock(folder)
            try:
                keys = load_or_create(folder / _KEY)
            except BaseException:
                os.close(lock)
                raise
        threads: list[DatabaseThread] = []
        try:
            where = (
                config.url.partition("://")[0]
                if config.url
                else str(_path(folder) or "the database in memory")
            )
            writer = DatabaseThread(
                "store-writer", _engine(config, reads_only=config.is_read_only), where, config.queue_limit
            )
            threads.append(writer)
            if not config.is_read_only:
                await writer.run(lambda connection: _prepare(connection, wall_ms()))
            reader = writer
            if folder is not None or config.url is not None:
                reader = DatabaseThread(
                    "store-reader", _engine(config, reads_only=True), where, config.queue_limit
                )
                threads.append(reader)
            store = cls(config, writer, reader, keys, lock, wall_ms)
            if not config.is_read_only:
                await store.ledger.prepare()
            await store.ledger.verify()
        except BaseException:
            for thread in threads:
                await thread.close()
            if lock is not None:
                os.close(lock)
            raise
        return store

    def keyed_hash(self, purpose: str, value: str) -> str:
        """HMAC-SHA-256 in hex with this installation's key.

        For addresses and identities that are only compared.
        """
        return self._keys.keyed_hash(purpose, value)

    def derive_key(self, purpose: str) -> bytes:
        """32 bytes for `purpose` (signed URLs and the like).

        The same each time, of no use for another purpose.
        """
        return self._keys.derive(f"public/{purpose}")

    @property
    def waiting(self) -> int:
        """Jobs that wait for the database now."""
        return self._writer.waiting

    async def close(self) -> None:
        """Finish what waits and release everything. Idempotent."""
        await self._writer.close()
        await self._reader.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _path(folder: Path | None) -> Path | None:
    return folder / _DATABASE if folder is not None else None


def _engine(config: StoreConfig, *, reads_only: bool) -> Engine:
    if config.url is not None:
        return create_engine(config.url, pool_size=1, max_overflow=0, pool_pre_ping=True)
    return SqliteFile(
        path=_path(config.data_dir), busy_timeout_ms=config.busy_timeout_ms, is_read_only=reads_only
    ).engine()


def _prepare(connection: Connection, now_ms: int) -> None:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise StoreCorrupt("the database is damaged: restore it from a backup")
    migrate(connection, now_ms)


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreReadOnly(f"cannot write to {folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreInUse(f"another server uses {folder}: stop it, or choose another data folder") from None
    return descriptor
