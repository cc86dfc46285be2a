"""Errors of the store: one root, a class per cause that an operator can act on."""


class StoreError(Exception):
    """Root of everything that `store` raises; `code` is stable and goes on the wire."""

    code = "store_error"


class StoreUnavailable(StoreError):
    """The database cannot be used now; the message says why and what to do."""

    code = "store_unavailable"


class StoreLocked(StoreUnavailable):
    """Another program holds the database longer than the busy timeout."""

    code = "store_locked"


class StoreReadOnly(StoreUnavailable):
    """The database or its folder cannot be written."""

    code = "store_read_only"


class StoreFull(StoreUnavailable):
    """The disk has no room left."""

    code = "store_full"


class StoreCorrupt(StoreUnavailable):
    """The file is damaged or is not a database; restore it from a backup."""

    code = "store_corrupt"


class StoreBusy(StoreUnavailable):
    """More work waits for the database than its bounded queue takes; try again later."""

    code = "store_busy"


class StoreClosed(StoreUnavailable):
    """The store was closed."""

    code = "store_closed"


class StoreInUse(StoreUnavailable):
    """Another server process uses the same data folder."""

    code = "store_in_use"


class NewerSchema(StoreUnavailable):
    """The database was written by a newer version of the program."""

    code = "store_newer_schema"


class Conflict(StoreError):
    """The row exists already, or may not be changed."""

    code = "conflict"


class NotFound(StoreError):
    """No such row."""

    code = "not_found"


class KeyFileError(StoreError):
    """The key file is missing, damaged or readable by others."""

    code = "key_file"


class LedgerBroken(StoreError):
    """The ledger does not verify: nothing is appended to it, and nobody's grant holds."""

    code = "ledger_broken"


class ArchiveUnavailable(StoreUnavailable, OSError):
    """The bucket of finished recordings cannot be used now, or not as it is configured."""

    code = "unavailable"


class BlobError(StoreError):
    """A blob's name or folder is outside the rules."""

    code = "blob_error"
