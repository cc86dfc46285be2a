"""What a data message carries beside its bytes: who sent it, what about, and to whom. PURE.

    u16 length | that many bytes of JSON | payload

The same frame goes both ways. A client's JSON says `topic` and `to`; the server's says `from` and `identity`,
which no client can set, `topic`, and `private` when it was not for everyone.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from rooms.errors import RoomsError

_LENGTH: Final = struct.Struct("!H")
_MAX_HEAD_BYTES: Final = 4_096
_MAX_READERS: Final = 32


class EnvelopeError(RoomsError):
    """A data message that is not in its frame; the text says what is wrong with it."""

    code = "invalid_request"


class _Head(Struct, frozen=True):
    topic: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    to: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=_MAX_READERS)]
        | None
    ) = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One data message of a participant.

    Attributes:
        topic: what it is about, "" for nothing in particular.
        to: identities that it is for; None for everyone.
    """

    topic: str
    to: frozenset[str] | None
    payload: bytes


def open_envelope(message: bytes) -> Envelope:
    """Read a message as a client sends it.

    Raises: EnvelopeError.
    """
    if len(message) < _LENGTH.size:
        raise EnvelopeError("a data message begins with the length of its head")
    (size,) = _LENGTH.unpack_from(message)
    if size > _MAX_HEAD_BYTES or _LENGTH.size + size > len(message):
        raise EnvelopeError("the head of a data message is longer than the message, or than it may be")
    try:
        head = _decoder.decode(message[_LENGTH.size : _LENGTH.size + size])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(f"the head of a data message: {str(error)[:200]}") from error
    to = None if head.to is None else frozenset(head.to)
    return Envelope(head.topic, to, message[_LENGTH.size + size :])


def seal_envelope(envelope: Envelope, *, participant: str, identity: str) -> bytes:
    """The message as the others get it, in its sender's name."""
    head: dict[str, object] = {"from": participant, "identity": identity, "topic": envelope.topic}
    if envelope.to is not None:
        head["private"] = True
    written = msgspec.json.encode(head)
    return _LENGTH.pack(len(written)) + written + envelope.payload


_decoder: Final = msgspec.json.Decoder(_Head)
