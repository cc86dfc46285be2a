"""What rebroadcast refuses; each class has a stable code for the wire."""


class RebroadcastError(Exception):
    """Root of everything that `rebroadcast` raises on purpose; the text says how to mend it."""

    code = "rebroadcast_error"


class BroadcastNotFound(RebroadcastError):
    """No such broadcast, destination, partner or room."""

    code = "not_found"


class DestinationUnregistered(RebroadcastError):
    """Nothing goes to a destination that is not registered for the room, or not at all."""

    code = "forbidden"


class BroadcastConflict(RebroadcastError):
    """Not possible as things stand now."""

    code = "conflict"


class PublisherUnsuitable(RebroadcastError):
    """The publisher to pass through sends what passthrough cannot send on."""

    code = "unsupported_codec"


class PublisherEncrypted(RebroadcastError):
    """What the publisher to pass through sends is encrypted end to end."""

    code = "e2ee"


class BroadcastInvalid(RebroadcastError):
    """A value that cannot be used."""

    code = "unprocessable"


class BroadcastTooDear(RebroadcastError):
    """There is no CPU time for one more program."""

    code = "unavailable"

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s
