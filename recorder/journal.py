"""The lines of `events.jsonl` and `chat.jsonl`: JSON objects, one a line, readable up to a torn end. PURE."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

LINE_MAX_BYTES: Final = 65_536

Line = Mapping[str, Any]
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


def read_lines(data: bytes) -> Iterator[Line]:
    """The lines of a file's content, up to the first that does not decode."""
    for line in data[: whole_lines(data)].splitlines():
        decoded = _decode(line)
        if decoded is not None:
            yield decoded


def without_person(data: bytes, person: str, tracks: Collection[int] = ()) -> bytes:
    """A file's content without the lines that tell something of a person, or of their tracks."""
    lines = list(read_lines(data))
    theirs = {*tracks, *(line["track"] for line in lines if line.get("person") == person and "track" in line)}
    kept = (line for line in lines if not _is_about(line, person, theirs))
    return b"".join(msgspec.json.encode(line) + b"\n" for line in kept)


def _is_about(line: Line, person: str, tracks: Collection[int]) -> bool:
    if line.get("person") == person or line.get("track") in tracks:
        return True
    facts = line.get("facts")
    name = facts.get("name") if isinstance(facts, dict) else line.get("file")
    return str(name or "").startswith(f"{person}-")


def _decode(line: bytes) -> Line | None:
    if not line or len(line) > LINE_MAX_BYTES:
        return None
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
