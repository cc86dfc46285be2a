"""Numbered migrations: each runs once, in its own transaction, and is never edited after a release."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, inspect, select, text

from store.errors import NewerSchema
from store.schema import schema_version

_BLOB: Final = {"sqlite": "BLOB", "postgresql": "BYTEA"}

_TABLES_1: Final = (
    """CREATE TABLE ledger (
        seq BIGINT NOT NULL PRIMARY KEY, at_ms BIGINT NOT NULL, kind TEXT NOT NULL, person TEXT NOT NULL,
        room TEXT NOT NULL, uses TEXT NOT NULL, activity TEXT NOT NULL, terms_version TEXT NOT NULL,
        terms_digest TEXT NOT NULL, age_18 INTEGER NOT NULL, vouched INTEGER NOT NULL, reason TEXT NOT NULL,
        previous TEXT NOT NULL, hash TEXT NOT NULL)""",
    "CREATE INDEX ix_ledger_person ON ledger (person)",
    "CREATE INDEX ix_ledger_room ON ledger (room)",
    """CREATE TABLE terms (
        number BIGINT NOT NULL PRIMARY KEY, version TEXT NOT NULL UNIQUE, document TEXT NOT NULL,
        digest TEXT NOT NULL, published_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE persons (
        person TEXT NOT NULL PRIMARY KEY, identity_hash TEXT NOT NULL UNIQUE, identity_sealed {blob} NOT NULL,
        created_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE rooms (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
        is_kept INTEGER NOT NULL, created_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE bans (
        id TEXT NOT NULL PRIMARY KEY, room TEXT NOT NULL REFERENCES rooms (id), identity_hash TEXT NOT NULL,
        address_hash TEXT NOT NULL, created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL)""",
    "CREATE INDEX ix_bans_room ON bans (room)",
    """CREATE TABLE recordings (
        id TEXT NOT NULL PRIMARY KEY, room TEXT NOT NULL, room_name TEXT NOT NULL, state TEXT NOT NULL,
        reason TEXT NOT NULL, started_by TEXT NOT NULL, terms_version TEXT NOT NULL,
        started_at_ms BIGINT NOT NULL, stopped_at_ms BIGINT, expires_at_ms BIGINT,
        size_bytes BIGINT NOT NULL, details TEXT NOT NULL)""",
    "CREATE INDEX ix_recordings_started ON recordings (started_at_ms, id)",
    """CREATE TABLE partners (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, site TEXT NOT NULL UNIQUE, policy_url TEXT NOT NULL,
        terms_version TEXT NOT NULL, uses TEXT NOT NULL, from_ms BIGINT NOT NULL, until_ms BIGINT,
        created_at_ms BIGINT NOT NULL)""",
    """CREATE TABLE destinations (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, partner TEXT NOT NULL REFERENCES partners (id),
        kind TEXT NOT NULL, url TEXT NOT NULL, key_sealed {blob}, rooms TEXT NOT NULL,
        created_at_ms BIGINT NOT NULL)""",
    "CREATE INDEX ix_destinations_partner ON destinations (partner)",
    """CREATE TABLE broadcasts (
        id TEXT NOT NULL PRIMARY KEY, room TEXT NOT NULL, room_name TEXT NOT NULL, recording TEXT NOT NULL,
        state TEXT NOT NULL, reason TEXT NOT NULL, started_by TEXT NOT NULL, destinations TEXT NOT NULL,
        details TEXT NOT NULL, started_at_ms BIGINT NOT NULL, stopped_at_ms BIGINT)""",
    "CREATE INDEX ix_broadcasts_started ON broadcasts (started_at_ms, id)",
)

_FORBID: Final = {
    "sqlite": (
        """CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
        """CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION {table}_append_only() RETURNS trigger AS
        $$ BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '23514'; END $$ LANGUAGE plpgsql""",
        """CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()""",
    ),
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    apply: Callable[[Connection], None]


def _first(connection: Connection) -> None:
    dialect = connection.dialect.name
    for statement in _TABLES_1:
        connection.execute(text(statement.format(blob=_BLOB[dialect])))
    for table in ("ledger", "terms"):
        for statement in _FORBID[dialect]:
            connection.execute(text(statement.format(table=table)))


_HOLDS: Final = (
    """CREATE TABLE holds (
        id TEXT NOT NULL PRIMARY KEY, recording TEXT NOT NULL, reason TEXT NOT NULL, placed_by TEXT NOT NULL,
        placed_at_ms BIGINT NOT NULL, until_ms BIGINT, released_by TEXT NOT NULL, released_at_ms BIGINT)""",
    "CREATE INDEX ix_holds_recording ON holds (recording)",
)


def _holds(connection: Connection) -> None:
    for statement in _HOLDS:
        connection.execute(text(statement))


_SITES: Final = (
    "ALTER TABLE partners ADD COLUMN origins TEXT NOT NULL DEFAULT '[]'",
    # Pages of a site that was known before may go on to embed rooms.
    """UPDATE partners SET origins = '["https://' || site || '"]'""",
    "ALTER TABLE partners ADD COLUMN takedown_url TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE partners ADD COLUMN is_blocked INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE destinations ADD COLUMN delay_ms BIGINT NOT NULL DEFAULT 0",
)


def _sites(connection: Connection) -> None:
    for statement in _SITES:
        connection.exec_driver_sql(statement)


_TAKEDOWNS: Final = (
    """CREATE TABLE takedowns (
        id TEXT NOT NULL PRIMARY KEY, partner TEXT NOT NULL, person TEXT NOT NULL,
        withdrawn_at_ms BIGINT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
        next_at_ms BIGINT NOT NULL, created_at_ms BIGINT NOT NULL, answered_at_ms BIGINT,
        reason TEXT NOT NULL,
        UNIQUE (partner, person, withdrawn_at_ms))""",
    "CREATE INDEX ix_takedowns_person ON takedowns (person)",
)


def _takedowns(connection: Connection) -> None:
    for statement in _TAKEDOWNS:
        connection.execute(text(statement))


def _encodings(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE destinations ADD COLUMN encodings TEXT NOT NULL DEFAULT '[]'")


_ROOM_USES: Final = (
    # What the recorded room offered; of recordings that were there before nobody knows it.
    "ALTER TABLE recordings ADD COLUMN uses TEXT",
    "ALTER TABLE recordings ADD COLUMN uses_since TEXT",
)


def _room_uses(connection: Connection) -> None:
    for statement in _ROOM_USES:
        connection.exec_driver_sql(statement)


def _reached(connection: Connection) -> None:
    """Broadcasts keep where they went: of the earlier ones, what is known of it now."""
    places = {
        row.id: {"partner": row.partner, "site": row.site, "kind": row.kind}
        for row in connection.execute(
            text(
                "SELECT destinations.id, kind, partner, site FROM destinations"
                " JOIN partners ON partners.id = partner"
            )
        )
    }
    for row in connection.execute(text("SELECT id, destinations, details FROM broadcasts")).all():
        known = {place: places[place] for place in json.loads(row.destinations) if place in places}
        details = json.dumps({**json.loads(row.details), "reached": known})
        connection.execute(
            text("UPDATE broadcasts SET details = :details WHERE id = :id"),
            {"details": details, "id": row.id},
        )


MIGRATIONS: Final = (
    Migration(1, "first tables", _first),
    Migration(2, "legal holds", _holds),
    Migration(3, "terms of sites", _sites),
    Migration(4, "takedown notices", _takedowns),
    Migration(5, "encodings of destinations", _encodings),
    Migration(6, "uses of recorded rooms", _room_uses),
    Migration(7, "where broadcasts went", _reached),
)


def current_number(connection: Connection) -> int:
    """The number of the newest migration that the database has; 0 for an empty one."""
    if not inspect(connection).has_table(schema_version.name):
        return 0
    numbers = connection.scalars(select(schema_version.c.number)).all()
    return max(numbers, default=0)


def migrate(connection: Connection, now_ms: int, migrations: tuple[Migration, ...] = MIGRATIONS) -> list[int]:
    """Bring the database up to date inside the caller's transaction; the numbers that were applied.

    Raises: NewerSchema when the database has migrations that this program does not know.
    """
    have = current_number(connection)
    newest = migrations[-1].number
    if have > newest:
        raise NewerSchema(f"the database has schema {have}, this program knows {newest}: use a newer program")
    if have == 0:
        schema_version.create(connection)
    applied: list[int] = []
    for migration in migrations:
        if migration.number <= have:
            continue
        migration.apply(connection)
        connection.execute(
            schema_version.insert().values(number=migration.number, name=migration.name, applied_at_ms=now_ms)
        )
        applied.append(migration.number)
    return applied
