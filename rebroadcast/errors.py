"""What rebroadcast refuses; each class has a stable code for the wire."""


class RebroadcastError(Exception):
    """Root of everything that `rebroadcast` raises on purpose; the text says how to mend it."""

    code = "rebroadcast_error"


class BroadcastNotFound(RebroadcastError):
    """No such broadcast, destination, partner or room."""

    code = "not_found"


class BroadcastConflict(RebroadcastError):
    """Not possible as things stand now."""

    code = "conflict"


class BroadcastForbidden(RebroadcastError):
    """The broadcast terms do not allow it."""

    code = "forbidden"


class BroadcastInvalid(RebroadcastError):
    """A value that cannot be used."""

    code = "unprocessable"
