"""Puts a recording's manifest together from its events and from what its files say. PURE.

A recording that a crash cut short gets the same manifest as one that was stopped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from recorder.errors import ManifestInvalid
from recorder.journal import Line
from recorder.manifest import FileEntry, Join, Manifest, OtherEntry, PartFacts, PersonEntry, TrackEntry

NOTES_MAX: Final = 10_000
"""Gaps, clock points and the like that are listed for each track; `events.jsonl` has all."""


class _Builder:
    """Reads events in order."""

    def __init__(self) -> None:
        self.start: Line = {}
        self.worker_starts = 0
        self.last_ms = 0
        self.ended: str | None = None
        self.names: dict[str, str] = {}
        self.grants: dict[str, list[dict[str, Any]]] = {}
        self.tracks: dict[int, dict[str, Any]] = {}
        self.parts: dict[str, Line] = {}
        self.quarantined: list[str] = []
        self.pauses: list[dict[str, int]] = []

    def read(self, line: Line) -> None:
        at_ms = line.get("at_ms")
        if not isinstance(at_ms, int):
            return
        if line.get("event") not in {"file_finished", "file_quarantined"}:
            self.last_ms = max(self.last_ms, at_ms)
        handler = _HANDLERS.get(str(line.get("event")))
        if handler is not None:
            handler(self, at_ms, line)

    def worker_started(self, at_ms: int, line: Line) -> None:
        self.worker_starts += 1
        if not self.start:
            self.start = line
        for known in self.tracks.values():
            known.setdefault("to_ms", at_ms)

    def recording_ended(self, _: int, line: Line) -> None:
        self.ended = str(line.get("reason", ""))

    def paused(self, at_ms: int, _: Line) -> None:
        if (not self.pauses or "to_ms" in self.pauses[-1]) and len(self.pauses) < NOTES_MAX:
            self.pauses.append({"from_ms": at_ms})

    def resumed(self, at_ms: int, _: Line) -> None:
        if self.pauses:
            self.pauses[-1].setdefault("to_ms", at_ms)

    def person_joined(self, at_ms: int, line: Line) -> None:
        person = str(line.get("person", ""))
        self.names[person] = str(line.get("name", ""))
        self._open_grant(person, str(line.get("participant", "")), at_ms)

    def person_left(self, at_ms: int, line: Line) -> None:
        self._close_grant(str(line.get("person", "")), at_ms, "left")

    def cut(self, at_ms: int, line: Line) -> None:
        self._close_grant(str(line.get("person", "")), at_ms, str(line.get("reason", "")))

    def _open_grant(self, person: str, participant: str, at_ms: int) -> dict[str, Any]:
        grants = self.grants.setdefault(person, [])
        if not grants or "to_ms" in grants[-1]:
            grants.append({"participant": participant, "from_ms": at_ms, "terms_version": ""})
        return grants[-1]

    def _close_grant(self, person: str, at_ms: int, reason: str) -> None:
        grants = self.grants.get(person)
        if grants and "to_ms" not in grants[-1]:
            grants[-1] |= {"to_ms": at_ms, "ended": reason}

    def tap_opened(self, at_ms: int, line: Line) -> None:
        person, participant = str(line.get("person", "")), str(line.get("participant", ""))
        grant = self._open_grant(person, participant, at_ms)
        grant["terms_version"] = str(line.get("terms_version", ""))
        track = line.get("track")
        if not isinstance(track, int):
            return
        known = self.tracks.setdefault(
            track,
            {
                "person": person,
                "participant": participant,
                "kind": str(line.get("kind", "")),
                "source": str(line.get("source", "")),
                "from_ms": at_ms,
                "clock": [],
                "gaps": [],
                "layers": [],
                "mutes": [],
            },
        )
        known.pop("to_ms", None)

    def tap_closed(self, at_ms: int, line: Line) -> None:
        known = self.tracks.get(line.get("track", -1))
        if known is not None:
            known["to_ms"] = at_ms

    def _note(self, track: object, kind: str, note: Mapping[str, Any]) -> None:
        known = self.tracks.get(track) if isinstance(track, int) else None
        if known is not None and len(known[kind]) < NOTES_MAX:
            known[kind].append(note)

    def gap(self, at_ms: int, line: Line) -> None:
        note = {"at_ms": at_ms, "packets": int(line.get("packets", 0)), "reason": str(line.get("reason", ""))}
        self._note(line.get("track"), "gaps", note)

    def layer_switched(self, at_ms: int, line: Line) -> None:
        note = {
            "at_ms": at_ms,
            "encoding": int(line.get("encoding", 0)),
            "previous": int(line.get("previous", 0)),
        }
        self._note(line.get("track"), "layers", note)

    def clock(self, at_ms: int, line: Line) -> None:
        note = {"at_ms": at_ms, "publisher_unix_ms": int(line.get("publisher_unix_ms", 0))}
        self._note(line.get("track"), "clock", note)

    def muted(self, at_ms: int, line: Line) -> None:
        self._note(line.get("track"), "mutes", {"at_ms": at_ms, "is_muted": True})

    def unmuted(self, at_ms: int, line: Line) -> None:
        self._note(line.get("track"), "mutes", {"at_ms": at_ms, "is_muted": False})

    def part_opened(self, _: int, line: Line) -> None:
        self.parts[str(line.get("file", ""))] = line

    def file_quarantined(self, _: int, line: Line) -> None:
        self.quarantined.append(str(line.get("file", "")))


_HANDLERS: Final[Mapping[str, Callable[["_Builder", int, Line], None]]] = {
    "worker_started": _Builder.worker_started,
    "recording_ended": _Builder.recording_ended,
    "paused": _Builder.paused,
    "resumed": _Builder.resumed,
    "person_joined": _Builder.person_joined,
    "person_left": _Builder.person_left,
    "cut": _Builder.cut,
    "tap_opened": _Builder.tap_opened,
    "tap_closed": _Builder.tap_closed,
    "gap": _Builder.gap,
    "layer_switched": _Builder.layer_switched,
    "clock": _Builder.clock,
    "muted": _Builder.muted,
    "unmuted": _Builder.unmuted,
    "part_opened": _Builder.part_opened,
    "file_quarantined": _Builder.file_quarantined,
}


def build(
    events: Iterable[Line], chat: Iterable[Line], parts: Sequence[PartFacts], others: Sequence[OtherEntry]
) -> Manifest:
    """Put a manifest together. Raises: ManifestInvalid when the events do not even say what was recorded."""
    builder = _Builder()
    try:
        for line in events:
            builder.read(line)
    except (TypeError, ValueError) as error:
        raise ManifestInvalid(f"an event cannot be read: {error}") from error
    start = builder.start
    if not isinstance(start.get("recording"), str) or not isinstance(start.get("origin_unix_ms"), int):
        raise ManifestInvalid("the events do not begin with the recording's start")
    end_ms = max([builder.last_ms, *(part.end_ms for part in parts)])
    chat_lines: dict[str, int] = {}
    for line in chat:
        person = str(line.get("person", ""))
        chat_lines[person] = chat_lines.get(person, 0) + 1
    return Manifest(
        recording=str(start["recording"]),
        room=str(start.get("room", "")),
        state="interrupted" if builder.ended is None else "finished",
        reason="the recorder or the server died" if builder.ended is None else builder.ended,
        started_unix_ms=int(start["origin_unix_ms"]),
        duration_ms=end_ms,
        terms_version=str(start.get("terms_version", "")),
        worker_starts=builder.worker_starts,
        people=[_person(builder, person, chat_lines.get(person, 0), end_ms) for person in builder.grants],
        tracks=[
            TrackEntry(track=track, **{"to_ms": end_ms, **known}) for track, known in builder.tracks.items()
        ],
        files=[_file(part, builder.parts.get(part.name, {})) for part in parts],
        others=list(others),
        quarantined=builder.quarantined,
        pauses=[{"to_ms": end_ms, **pause} for pause in builder.pauses],
    )


def _person(builder: _Builder, person: str, chat_lines: int, end_ms: int) -> PersonEntry:
    grants = [Join(**{"to_ms": end_ms, "ended": "", **grant}) for grant in builder.grants[person]]
    return PersonEntry(
        person=person, name=builder.names.get(person, ""), grants=grants, chat_lines=chat_lines
    )


def _file(part: PartFacts, opened: Line) -> FileEntry:
    return FileEntry(
        track=int(opened.get("track", 0)),
        codec=str(opened.get("codec", "")),
        width=int(opened.get("width", 0)),
        height=int(opened.get("height", 0)),
        **msgspec.structs.asdict(part),
    )
