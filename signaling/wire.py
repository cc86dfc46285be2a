"""Bytes of one WebSocket message to plain values and back: sizes, depth and types first, schema later.

PURE: no I/O.
"""

import json
import math
from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgpack
import msgspec

from signaling.errors import SignalingError

MAX_MESSAGE_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 16
MAX_VALUES: Final = 8_192
MAX_ARRAY: Final = 1_024
MAX_MAP: Final = 256
MAX_STRING_BYTES: Final = MAX_MESSAGE_BYTES
"""Fields have limits of their own; one that is over its limit is told by name, and ends nothing."""
_INT_LIMIT: Final = 1 << 63

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
"""What a message may consist of."""


class WireError(SignalingError):
    """A message that is not decoded; the connection ends."""

    code = "invalid_request"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Encoding(Enum):
    """The two subprotocols."""

    MSGPACK = "parley.v1.msgpack"
    JSON = "parley.v1.json"

    def decode(self, data: bytes) -> Value:
        """The value of one message.

        Raises:
            WireError: anything else than one bounded value; nothing else, whatever the input.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            raise WireError("longer than 256 KiB")
        value = _decode_msgpack(data) if self is Encoding.MSGPACK else _decode_json(data)
        return check(value)

    def encode(self, message: object) -> bytes:
        """One message: a struct, or what structs are made of."""
        if self is Encoding.MSGPACK:
            return _MSGPACK.encode(message)
        return _JSON.encode(message)


_MSGPACK = msgspec.msgpack.Encoder()
_JSON = msgspec.json.Encoder()
SUBPROTOCOLS: Final[Sequence[str]] = tuple(encoding.value for encoding in Encoding)
"""Names for the upgrade, in the server's order."""


def check(value: object) -> Value:
    """Bound what a decoder let through: depth, number of values, sizes, types, finite numbers.

    Raises:
        WireError: over a bound, or a type that no message has.
    """
    # One level at a time instead of recursion: a level is a list of containers, each looked at once.
    level: list[object] = [value]
    seen = 0
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        seen += len(level)
        if seen > MAX_VALUES:
            raise WireError(f"more than {MAX_VALUES} values")
        for item in level:
            _check_one(item, below)
        if not below:
            return value  # type: ignore[return-value]  # every item was looked at
        level = below
    raise WireError(f"nested deeper than {MAX_DEPTH}")


def _check_one(item: object, below: list[object]) -> None:
    match item:
        case None | bool():
            pass
        case int():
            if not -_INT_LIMIT <= item < _INT_LIMIT:
                raise WireError("a number of more than 64 bits")
        case float():
            if not math.isfinite(item):
                raise WireError("a number that is not finite")
        case str():
            _check_string(item)
        case list():
            if len(item) > MAX_ARRAY:
                raise WireError(f"an array of more than {MAX_ARRAY}")
            below.extend(item)
        case dict():
            if len(item) > MAX_MAP:
                raise WireError(f"a map of more than {MAX_MAP}")
            for key in item:
                if not isinstance(key, str):
                    raise WireError("a key that is not a string")
                _check_string(key)
            below.extend(item.values())
        case _:
            raise WireError(f"a value of type {type(item).__name__}")


def _check_string(text: str) -> None:
    if len(text) > MAX_STRING_BYTES:
        raise WireError(f"a string longer than {MAX_STRING_BYTES} bytes")
    if not text.isascii():
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise WireError("a string with half a surrogate pair") from error
        if size > MAX_STRING_BYTES:
            raise WireError(f"a string longer than {MAX_STRING_BYTES} bytes")


def _decode_msgpack(data: bytes) -> object:
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=MAX_STRING_BYTES,
            max_bin_len=0,
            max_array_len=MAX_ARRAY,
            max_map_len=MAX_MAP,
            max_ext_len=0,
            object_pairs_hook=_unique,
        )
    except WireError:
        raise
    # msgpack raises ValueError (with its subclasses), and for odd keys and ext codes TypeError or
    # OverflowError.
    except (
        ValueError,
        TypeError,
        OverflowError,
        msgpack.UnpackException,
        RecursionError,
        MemoryError,
    ) as error:
        raise WireError("not one msgpack value within the limits") from error


def _decode_json(data: bytes) -> object:
    try:
        return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except WireError:
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError("not one JSON value") from error


def _unique(pairs: list[tuple[object, object]]) -> dict[object, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise WireError("a doubled key")
    return members


def _refuse(name: str) -> object:
    raise WireError(f"{name} is not a number here")
