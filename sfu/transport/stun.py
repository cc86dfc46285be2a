"""STUN messages behind a guard: whatever arrives becomes a `StunMessage` or a `StunError`. PURE.

The codec is aioice's. Length, cookie and the bounds of every attribute are checked before it sees a
datagram, and everything that it may raise on damaged attributes becomes our one error.

Source: RFC 8489 (STUN), RFC 8445 section 16.1 (ICE attributes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from aioice import stun

from sfu.errors import SfuError

__all__ = [
    "COOKIE",
    "MAX_BYTES",
    "StunError",
    "StunMessage",
    "binding_error",
    "binding_request",
    "binding_success",
    "parse_stun",
]

COOKIE: Final = stun.COOKIE
MAX_BYTES: Final = 1_280
"""Longer than any check: a longer datagram is not one (RFC 8489 section 6.1)."""

_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_MESSAGE_INTEGRITY: Final = 0x0008
_FINGERPRINT: Final = 0x8028
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_MAX_ATTRIBUTES: Final = 32

_UNDERSTOOD: Final = frozenset(
    {
        0x0006,  # USERNAME
        0x0008,  # MESSAGE-INTEGRITY
        0x0009,  # ERROR-CODE
        0x000A,  # UNKNOWN-ATTRIBUTES
        0x001C,  # MESSAGE-INTEGRITY-SHA256: a peer may add it, we check the other
        0x0020,  # XOR-MAPPED-ADDRESS
        0x0024,  # PRIORITY
        0x0025,  # USE-CANDIDATE
    }
)
"""Comprehension-required attributes that a check or its answer may carry."""

_BINDING: Final = stun.Method.BINDING


class StunError(SfuError):
    """A datagram that is not a well-formed STUN Binding message."""

    code = "invalid_stun"


@dataclass(frozen=True, slots=True)
class StunMessage:
    """One Binding message, not yet authenticated.

    Attributes:
        username: as sent, "" when absent.
        unknown: comprehension-required attributes that nobody here understands.
        error: of an error response, else None.
    """

    is_request: bool
    is_success: bool
    is_error: bool
    transaction: bytes
    username: str
    use_candidate: bool
    is_controlled: bool
    is_controlling: bool
    error: int | None
    unknown: tuple[int, ...]
    _message: stun.Message

    def is_authentic(self, pwd: str) -> bool:
        """Whether MESSAGE-INTEGRITY is there and was made with this password (constant time)."""
        return self._message.check_message_integrity(pwd.encode("ascii"))


def parse_stun(data: bytes) -> StunMessage:
    """Read a datagram as a Binding message.

    Raises:
        StunError: it is none.
    """
    unknown = _check_frame(data)
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error, IndexError, KeyError, OverflowError) as error:
        raise StunError(f"malformed: {type(error).__name__}") from None
    if message.message_method != _BINDING:
        raise StunError("not a Binding message")
    attributes = message.attributes
    return StunMessage(
        is_request=message.message_class == stun.Class.REQUEST,
        is_success=message.message_class == stun.Class.RESPONSE,
        is_error=message.message_class == stun.Class.ERROR,
        transaction=message.transaction_id,
        username=attributes.get("USERNAME", ""),
        use_candidate="USE-CANDIDATE" in attributes,
        is_controlled="ICE-CONTROLLED" in attributes,
        is_controlling="ICE-CONTROLLING" in attributes,
        error=message.error_code,
        unknown=unknown,
        _message=message,
    )


def binding_request(
    transaction: bytes, username: str, pwd: str, *, priority: int, tie_breaker: int, use_candidate: bool
) -> bytes:
    """A connectivity check of a controlling agent."""
    message = stun.Message(_BINDING, stun.Class.REQUEST, transaction)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = priority
    message.attributes["ICE-CONTROLLING"] = tie_breaker
    if use_candidate:
        message.attributes["USE-CANDIDATE"] = None
    return _sign(bytes(message), pwd)


def binding_success(transaction: bytes, ip: str, port: int, pwd: str) -> bytes:
    """The answer to a check: the address that it came from."""
    message = stun.Message(_BINDING, stun.Class.RESPONSE, transaction)
    message.attributes["XOR-MAPPED-ADDRESS"] = (ip, port)
    return _sign(bytes(message), pwd)


def binding_error(
    transaction: bytes, code: int, reason: str, pwd: str, unknown: tuple[int, ...] = ()
) -> bytes:
    """An error answer to an authenticated check; `unknown` goes with code 420."""
    message = stun.Message(_BINDING, stun.Class.ERROR, transaction)
    message.attributes["ERROR-CODE"] = (code, reason)
    data = bytes(message)
    if unknown:
        value = struct.pack(f"!{len(unknown)}H", *unknown)
        data += _ATTRIBUTE.pack(_UNKNOWN_ATTRIBUTES, len(value)) + value + bytes(-len(value) % 4)
    return _sign(data, pwd)


def _sign(data: bytes, pwd: str) -> bytes:
    """Add MESSAGE-INTEGRITY and FINGERPRINT, and set the length (RFC 8489 sections 14.5 and 14.7)."""
    digest = stun.message_integrity(data, pwd.encode("ascii"))
    data += _ATTRIBUTE.pack(_MESSAGE_INTEGRITY, len(digest)) + digest
    data += _ATTRIBUTE.pack(_FINGERPRINT, 4) + struct.pack("!I", stun.message_fingerprint(data))
    return stun.set_body_length(data, len(data) - stun.HEADER_LENGTH)


def _check_frame(data: bytes) -> tuple[int, ...]:
    """Check header and attribute bounds; the comprehension-required attributes that are not understood.

    Attributes behind MESSAGE-INTEGRITY are not authenticated and count for nothing (RFC 8489 section 14.5).
    """
    if not stun.HEADER_LENGTH <= len(data) <= MAX_BYTES or len(data) % 4:
        raise StunError("wrong length")
    kind, length, cookie, _ = _HEADER.unpack_from(data)
    if kind & 0xC000 or cookie != COOKIE or length != len(data) - stun.HEADER_LENGTH:
        raise StunError("wrong header")
    unknown: list[int] = []
    position, count, authenticated = stun.HEADER_LENGTH, 0, True
    while position < len(data):
        attribute, size = _ATTRIBUTE.unpack_from(data, position)
        position += _ATTRIBUTE.size + size + -size % 4
        count += 1
        if position > len(data) or count > _MAX_ATTRIBUTES:
            raise StunError("an attribute overruns the message, or too many")
        if attribute == _MESSAGE_INTEGRITY:
            authenticated = False
        elif authenticated and attribute < 0x8000 and attribute not in _UNDERSTOOD:
            unknown.append(attribute)
    return tuple(unknown)
