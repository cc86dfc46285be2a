"""Encode and decode AMF0 values, the language of RTMP commands.

PURE. Numbers are float, objects and ECMA arrays dict, strict arrays list, null and undefined None.

Source: Action Message Format AMF 0, Adobe 2007.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "float | bool | str | dict[str, Value] | list[Value] | None"
Encodable: TypeAlias = "float | bool | str | Mapping[str, Encodable] | Sequence[Encodable] | None"

MAX_DEPTH: Final = 8
MAX_VALUES: Final = 1024

_NUMBER, _BOOLEAN, _STRING, _OBJECT = 0x00, 0x01, 0x02, 0x03
_NULL, _UNDEFINED, _ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY = 0x05, 0x06, 0x08, 0x09, 0x0A
_DATE, _LONG_STRING = 0x0B, 0x0C


class Amf0Error(ValueError):
    """Bytes that are no AMF0 value, or one beyond our bounds."""

    code = "bad_amf0"

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"AMF0 at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


def encode(*values: Encodable) -> bytes:
    """One AMF0 encoding of each value, in order."""
    out = bytearray()
    for value in values:
        _write(out, value)
    return bytes(out)


def decode(data: bytes) -> list[Value]:
    """All values in `data`.

    Raises:
        Amf0Error: truncated or unknown data, nesting beyond MAX_DEPTH, more than MAX_VALUES values.
    """
    reader = _Reader(data)
    values: list[Value] = []
    while not reader.at_end():
        values.append(reader.value(0))
    return values


def _write(out: bytearray, value: Encodable) -> None:
    if value is None:
        out.append(_NULL)
    elif isinstance(value, bool):
        out += struct.pack(">BB", _BOOLEAN, value)
    elif isinstance(value, int | float):
        out += struct.pack(">Bd", _NUMBER, value)
    elif isinstance(value, str):
        raw = value.encode()
        if len(raw) > 0xFFFF:
            out += struct.pack(">BI", _LONG_STRING, len(raw)) + raw
        else:
            out += struct.pack(">BH", _STRING, len(raw)) + raw
    elif isinstance(value, Mapping):
        out.append(_OBJECT)
        for key, item in value.items():
            raw = key.encode()
            out += struct.pack(">H", len(raw)) + raw
            _write(out, item)
        out += b"\x00\x00" + bytes([_OBJECT_END])
    else:
        out += struct.pack(">BI", _STRICT_ARRAY, len(value))
        for item in value:
            _write(out, item)


class _Reader:
    """A cursor over AMF0 bytes that counts what it has built."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._values = 0

    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise Amf0Error(self._at, f"{size} bytes wanted, {len(self._data) - self._at} left")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _text(self, size: int) -> str:
        start = self._at
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise Amf0Error(start, "a string is not UTF-8") from error

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def value(self, depth: int) -> Value:
        start = self._at
        self._values += 1
        if self._values > MAX_VALUES:
            raise Amf0Error(start, f"more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise Amf0Error(start, f"nested deeper than {MAX_DEPTH}")
        match self._number(1):
            case 0x00:
                return float(struct.unpack(">d", self._take(8))[0])
            case 0x01:
                return self._number(1) != 0
            case 0x02:
                return self._text(self._number(2))
            case 0x03:
                return self._members(depth)
            case 0x05 | 0x06:
                return None
            case 0x08:
                self._take(4)  # the count is a hint; the end marker rules
                return self._members(depth)
            case 0x0A:
                return self._items(depth)
            case 0x0B:
                return float(struct.unpack(">d2x", self._take(10))[0])
            case 0x0C:
                return self._text(self._number(4))
            case marker:
                raise Amf0Error(start, f"unknown marker {marker:#04x}")

    def _members(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while True:
            key = self._text(self._number(2))
            if not key and self._at < len(self._data) and self._data[self._at] == _OBJECT_END:
                self._at += 1
                return members
            members[key] = self.value(depth + 1)

    def _items(self, depth: int) -> list[Value]:
        count = self._number(4)
        if count > MAX_VALUES:
            raise Amf0Error(self._at, f"an array of {count} values")
        return [self.value(depth + 1) for _ in range(count)]
