"""The tables as they are now; `migrations.py` makes them. Portable types only (SQLite, PostgreSQL)."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

metadata: Final = MetaData()

ledger: Final = Table(
    "ledger",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("room", Text, nullable=False),
    Column("uses", Text, nullable=False),
    Column("activity", Text, nullable=False),
    Column("terms_version", Text, nullable=False),
    Column("terms_digest", Text, nullable=False),
    Column("age_18", Integer, nullable=False),
    Column("vouched", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

terms: Final = Table(
    "terms",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False, unique=True),
    Column("document", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("published_at_ms", BigInteger, nullable=False),
)

persons: Final = Table(
    "persons",
    metadata,
    Column("person", Text, primary_key=True),
    Column("identity_hash", Text, nullable=False, unique=True),
    Column("identity_sealed", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

rooms: Final = Table(
    "rooms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("settings", Text, nullable=False),
    Column("is_kept", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

bans: Final = Table(
    "bans",
    metadata,
    Column("id", Text, primary_key=True),
    Column("room", Text, nullable=False, index=True),
    Column("identity_hash", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

recordings: Final = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("room", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("terms_version", Text, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("stopped_at_ms", BigInteger),
    Column("expires_at_ms", BigInteger),
    Column("size_bytes", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Column("uses", Text),
    Column("uses_since", Text),
)

partners: Final = Table(
    "partners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("site", Text, nullable=False, unique=True),
    Column("policy_url", Text, nullable=False),
    Column("terms_version", Text, nullable=False),
    Column("uses", Text, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("origins", Text, nullable=False),
    Column("takedown_url", Text, nullable=False),
    Column("is_blocked", Integer, nullable=False),
)

destinations: Final = Table(
    "destinations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("partner", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("key_sealed", LargeBinary),
    Column("rooms", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("delay_ms", BigInteger, nullable=False),
    Column("encodings", Text, nullable=False),
)

broadcasts: Final = Table(
    "broadcasts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("room", Text, nullable=False),
    Column("room_name", Text, nullable=False),
    Column("recording", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("destinations", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("stopped_at_ms", BigInteger),
)

holds: Final = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("recording", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger),
    Column("released_by", Text, nullable=False),
    Column("released_at_ms", BigInteger),
)

takedowns: Final = Table(
    "takedowns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("partner", Text, nullable=False),
    Column("person", Text, nullable=False, index=True),
    Column("withdrawn_at_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("answered_at_ms", BigInteger),
    Column("reason", Text, nullable=False),
)

schema_version: Final = Table(
    "schema_version",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("applied_at_ms", BigInteger, nullable=False),
)
