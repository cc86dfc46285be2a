"""The store: database (SQLite, WAL; SQLAlchemy Core, one writer thread) and blob folder.

Floor 1. Every method is async and runs off the event loop; each raises `StoreError` classes that say what
to do. Calls in rooms go on while the store is unavailable; what needs it is refused until it is back.
"""

from store.archive import Archive, ArchiveConfig, Piece, Stored
from store.blobs import Blobs
from store.chain import (
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
from store.errors import (
    ArchiveUnavailable,
    BlobError,
    Conflict,
    KeyFileError,
    LedgerBroken,
    NewerSchema,
    NotFound,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreInUse,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
)
from store.holds import Hold, Holds
from store.ids import is_id, new_id
from store.ledger import Ledger, Standing, standing_of
from store.media import (
    BroadcastRow,
    Broadcasts,
    BroadcastState,
    RecordingRow,
    Recordings,
    RecordingState,
)
from store.paging import cursor as page_cursor
from store.people import Persons
from store.rooms import Bans, RoomRow, Rooms
from store.secret import Secret
from store.sites import DestinationRow, Destinations, PartnerRow, Partners
from store.store import Store, StoreConfig
from store.takedowns import TakedownRow, Takedowns, TakedownState
from store.terms import Terms

__all__ = [
    "GENESIS",
    "Archive",
    "ArchiveConfig",
    "ArchiveUnavailable",
    "Bans",
    "BlobError",
    "Blobs",
    "BroadcastRow",
    "BroadcastState",
    "Broadcasts",
    "Conflict",
    "DestinationRow",
    "Destinations",
    "Head",
    "Hold",
    "Holds",
    "InvalidEntry",
    "KeyFileError",
    "Ledger",
    "LedgerBroken",
    "LedgerEntry",
    "LedgerKind",
    "LedgerReport",
    "LedgerRow",
    "NewerSchema",
    "NotFound",
    "PartnerRow",
    "Partners",
    "Persons",
    "Piece",
    "RecordingRow",
    "RecordingState",
    "Recordings",
    "RoomRow",
    "Rooms",
    "Secret",
    "Standing",
    "Store",
    "StoreBusy",
    "StoreClosed",
    "StoreConfig",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreInUse",
    "StoreLocked",
    "StoreReadOnly",
    "StoreUnavailable",
    "Stored",
    "TakedownRow",
    "TakedownState",
    "Takedowns",
    "Terms",
    "Verifier",
    "chained",
    "digest",
    "is_id",
    "new_id",
    "page_cursor",
    "standing_of",
]
