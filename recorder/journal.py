"""The lines of `events.jsonl` and `chat.jsonl`: JSON objects, one a line, readable up to a torn end. PURE.

A line about a person may be sealed with that person's key: `{"person": id, "sealed": base64}` then stands
for it.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from media.sealed import SealError, seal, unseal

LINE_MAX_BYTES: Final = 65_536
"""Of a plain line; a sealed one is a third longer."""

DELETED: Final = "chat_deleted"
"""In `chat.jsonl`: the line of this `id` is to go."""

Line = Mapping[str, Any]
KeyOf = Callable[[str], bytes | None]
"""A person's key; None when it is not there."""
_CONTEXT: Final = b"line"
_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


def encode_line(at_ms: int, event: str, fields: Mapping[str, Any]) -> bytes:
    """One line: `at_ms` on the recording's time line, what happened, and its fields."""
    return msgspec.json.encode({"at_ms": at_ms, "event": event, **fields}) + b"\n"


def whole_lines(data: bytes) -> int:
    """Bytes up to the end of the last line before the first that is torn or does not decode."""
    end = 0
    while True:
        newline = data.find(b"\n", end)
        if newline < 0 or _decode(data[end:newline]) is None:
            return end
        end = newline + 1


def seal_line(line: bytes, person: str, key: bytes) -> bytes:
    """The line that stands for `line`, which is about a person."""
    text = base64.b64encode(seal(key, line, _CONTEXT)).decode()
    return msgspec.json.encode({"person": person, "sealed": text}) + b"\n"


def plain_lines(data: bytes, key_of: KeyOf | None = None) -> bytes:
    """A file's content with sealed lines opened; those whose key is not there are left out."""
    whole = data[: whole_lines(data)].splitlines(keepends=True)
    plain = (_opened(line, key_of) for line in whole)
    return b"".join(line for line in plain if line is not None)


def read_lines(data: bytes, key_of: KeyOf | None = None) -> Iterator[Line]:
    """The lines of a file's content, up to the first that does not decode, sealed ones opened if possible."""
    for line in plain_lines(data, key_of).splitlines():
        decoded = _decode(line)
        if decoded is not None:
            yield decoded


def without_person(data: bytes, person: str, tracks: Collection[int] = ()) -> bytes:
    """A file's content without the lines that tell something of a person, or of their tracks."""
    whole = data[: whole_lines(data)].splitlines(keepends=True)
    lines = [(raw, line) for raw in whole if (line := _decode(raw.rstrip(b"\n"))) is not None]
    theirs = {
        *tracks,
        *(line["track"] for _, line in lines if line.get("person") == person and "track" in line),
    }
    return b"".join(raw for raw, line in lines if not _is_about(line, person, theirs))


def without_deleted(data: bytes, key_of: KeyOf | None = None) -> bytes:
    """The content of `chat.jsonl` without the lines that were deleted, and without the notes that say so."""
    whole = data[: whole_lines(data)].splitlines(keepends=True)
    lines = [(raw, _decode((_opened(raw, key_of) or b"").rstrip(b"\n")) or {}) for raw in whole]
    deleted = {line.get("id") for _, line in lines if line.get("event") == DELETED}
    return b"".join(raw for raw, line in lines if line.get("id") not in deleted) if deleted else data


def _is_about(line: Line, person: str, tracks: Collection[int]) -> bool:
    if line.get("person") == person or line.get("track") in tracks:
        return True
    facts = line.get("facts")
    name = facts.get("name") if isinstance(facts, dict) else line.get("file")
    return str(name or "").startswith(f"{person}-")


def _opened(raw: bytes, key_of: KeyOf | None) -> bytes | None:
    line = _decode(raw.rstrip(b"\n"))
    if line is None or "sealed" not in line:
        return raw
    key = key_of(str(line.get("person", ""))) if key_of is not None else None
    if key is None:
        return None
    try:
        return unseal(key, base64.b64decode(str(line["sealed"]), validate=True), _CONTEXT)
    except (SealError, binascii.Error, ValueError):
        return None


def _decode(line: bytes) -> Line | None:
    if not line or len(line) > 2 * LINE_MAX_BYTES:
        return None
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
