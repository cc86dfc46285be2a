"""Writes `events.jsonl` and `chat.jsonl` of one recording."""

import time
from typing import Any, Final

from media.gates import Gate
from recorder import names
from recorder.journal import DELETED, LINE_MAX_BYTES, encode_line
from recorder.worker.disk import Disk

_MS_NS: Final = 1_000_000


class JournalWriter:
    """Lines on the recording's time line; each stands behind the gate of the person it is about."""

    def __init__(self, disk: Disk, origin_mono_ns: int, origin_unix_ms: int) -> None:
        self._disk = disk
        self._origin_mono_ns = origin_mono_ns
        self._origin_unix_ms = origin_unix_ms

    def at_ms(self, mono_ns: int | None = None) -> int:
        """An instant (default: now) on the time line, in milliseconds."""
        now_ns = time.monotonic_ns() if mono_ns is None else mono_ns
        return (now_ns - self._origin_mono_ns) // _MS_NS

    def event(
        self,
        event: str,
        *,
        gate: Gate | None = None,
        about: str = "",
        at_ms: int | None = None,
        **fields: Any,
    ) -> None:
        """Note what happened; with a gate it is about a person's media, and goes only while that is open.

        `about`: the person, unless a field `person` says so.
        """
        person = about or str(fields.get("person", ""))
        line = encode_line(self.at_ms() if at_ms is None else at_ms, event, fields)
        if len(line) <= LINE_MAX_BYTES:
            self._disk.append(names.EVENTS, line, gate, person=person, is_essential=True)

    def chat(self, gate: Gate, *, line_id: str, person: str, name: str, text: str, unix_ms: int) -> None:
        """Keep a chat line."""
        fields = {"id": line_id, "unix_ms": unix_ms, "person": person, "name": name, "text": text}
        line = encode_line(unix_ms - self._origin_unix_ms, "chat", fields)
        if len(line) <= LINE_MAX_BYTES:
            self._disk.append(names.CHAT, line, gate, person=person)

    def delete_chat(self, line_id: str) -> None:
        """Note that a line of before is to go; it does when the recording is finished."""
        self._disk.append(
            names.CHAT, encode_line(self.at_ms(), DELETED, {"id": line_id}), None, is_essential=True
        )
