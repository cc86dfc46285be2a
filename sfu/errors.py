"""The errors of the media plane: one root, each class with a stable code for the wire.

PURE: no I/O.
"""


class SfuError(Exception):
    """Root of everything that `sfu` raises on purpose."""

    code: str = "sfu_error"


class SdpError(SfuError):
    """A session description that does not parse, or breaks a limit; `line` counts from 1, 0: the whole."""

    code = "invalid_sdp"

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class NegotiationError(SfuError):
    """A session description that parses but cannot be agreed to (wrong version, wrong role)."""

    code = "negotiation_failed"


class UnsupportedCodec(NegotiationError):
    """An offer in which no section has a codec that the room allows."""

    code = "unsupported_codec"


class UnknownPeer(SfuError):
    """A peer, subscriber or viewer id that is not (or no longer) in this router."""

    code = "not_found"


class UnknownTrack(SfuError):
    """A track id that is not (or no longer) in this router."""

    code = "not_found"


class EndToEndEncrypted(SfuError):
    """A track that only the room's members can decrypt cannot be recorded, broadcast or shown outside."""

    code = "e2ee"


class EngineError(SfuError):
    """A command that the engine refused, or did not acknowledge in time."""

    code = "engine_error"


class TcpPortTaken(EngineError):
    """The TCP port of ICE cannot be listened on."""

    code = "engine_error"


class QueueFull(EngineError):
    """A command that found the worker's bounded queue full."""

    code = "engine_busy"


class RouterClosed(SfuError):
    """A call on a router, or a plane, that is closed."""

    code = "room_closed"


class TooManyPeers(SfuError):
    """A configured limit of peers, tracks or subscriptions is reached."""

    code = "room_full"
