"""What a page shows of a finished recording: who is in it and when, chat, composed files.

Each answer is for one use, `record` or `replay`, and holds only those who agree to it by what the ledger says
then; a composed file is given out only while everybody in it does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, Protocol, TypeVar

from recorder import names
from recorder.data_keys import DataKeys
from recorder.errors import RecordingNotFound
from recorder.journal import read_lines
from recorder.manifest import Manifest, PersonEntry
from recorder.people import names_of
from recorder.quotes import Quotes, Said
from recorder.reading import READ_MAX_BYTES, OpenFile
from recorder.types import RecordedFile, RenditionInfo

Use = Literal["record", "replay"]
CHAT_MAX_BYTES: Final = 32 << 20
"""Of a recording's chat; what is beyond is not shown on pages."""
_OWN: Final = frozenset({"single", "copy"})
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when, in milliseconds of the recording's time line."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody who is in a recording."""

    person: str
    """Id in the manifest."""
    name: str
    spans: tuple[Span, ...]
    """When they were recorded."""
    sources: tuple[Literal["camera", "screen"], ...]
    """What a copy of their own files can be made of."""
    screens: tuple[Span, ...]
    """When they shared a screen."""


@dataclass(frozen=True, slots=True)
class PlaybackInfo:
    """A finished recording as it may be shown now."""

    started_ms: int
    """Unix time in milliseconds."""
    duration_ms: int
    attendees: tuple[Attendee, ...]
    hidden: int
    """How many more people are in it, who are not shown."""
    pauses: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody wrote."""

    at_ms: int
    """On the recording's time line."""
    person: str
    name: str
    text: str


class Shows(Protocol):
    """What is needed of `recorder.renditions.Renditions`."""

    def of(self, recording: str) -> Iterable[RenditionInfo]:
        """The renditions of a recording, newest first."""

    def get(self, recording: str, rendition: str) -> RenditionInfo:
        """One of them."""

    async def shown(self, recording: str, use: Use) -> frozenset[str]:
        """Who may be shown."""

    async def open_file(self, recording: str, rendition: str, name: str, use: Use) -> OpenFile | None:
        """A file of one in which nobody has withdrawn, and everybody agrees as long as it is read."""


class Playback:
    """Belongs to one event loop.

    Every method raises RecordingNotFound, RecordingConflict when the recording is not finished or cannot be
    trusted, StoreError.
    """

    def __init__(
        self,
        renditions: Shows,
        manifest_of: Callable[[str], Awaitable[Manifest]],
        file_of: Callable[[str, str], Awaitable[tuple[RecordedFile, OpenFile] | None]],
        keys_of: Callable[[str], DataKeys | None],
        readers: Executor,
    ) -> None:
        self._renditions = renditions
        self._manifest_of = manifest_of
        self._file_of = file_of
        self._keys_of = keys_of
        self._readers = readers
        self._quotes = Quotes()

    async def info(self, recording: str, use: Use) -> PlaybackInfo:
        """Who may be shown for a use, and when they were there."""
        manifest = await self._manifest_of(recording)
        shown = await self._renditions.shown(recording, use)
        called = await self._names(recording, manifest)
        people = [entry for entry in manifest.people if entry.person in shown]
        return PlaybackInfo(
            started_ms=manifest.started_unix_ms,
            duration_ms=manifest.duration_ms,
            attendees=tuple(_attendee(manifest, entry, called[entry.person]) for entry in people),
            hidden=len(manifest.people) - len(people),
            pauses=tuple(Span(pause["from_ms"], pause["to_ms"]) for pause in manifest.pauses),
        )

    async def chat(self, recording: str, use: Use, *, after: int = 0, limit: int = 50) -> list[Quote]:
        """Chat lines of those who may be quoted, by time, behind the first `after` of them."""
        manifest = await self._manifest_of(recording)
        called = await self._names(recording, manifest)
        lines = await self._said(recording, manifest)
        # Last, so that what is taken back while a long chat is read counts.
        shown = await self._renditions.shown(recording, use)
        said = (line for line in lines if line.person in shown)
        return [
            Quote(line.at_ms, line.person, called.get(line.person, ""), line.text)
            for line in islice(said, after, after + limit)
        ]

    async def renditions(self, recording: str, use: Use) -> list[RenditionInfo]:
        """Composed files that may be shown now, newest first.

        With the use `record` those of one person alone, and those that are not finished, too.
        """
        shown = await self._renditions.shown(recording, use)
        return [info for info in self._renditions.of(recording) if _is_for(info, use, shown)]

    async def open_file(self, recording: str, rendition: str, name: str, use: Use) -> OpenFile | None:
        """A file of a composed file that may be shown now; None without such a file."""
        info = self._renditions.get(recording, rendition)
        if not _is_for(info, use, frozenset(info.people)):
            raise RecordingNotFound(f"the recording has no rendition {rendition[:64]!r}")
        return await self._renditions.open_file(recording, rendition, name, use)

    def forget(self, recording: str) -> None:
        """Keep nothing in memory of a recording's chat, or (empty) of any."""
        self._quotes.forget(recording)

    async def _said(self, recording: str, manifest: Manifest) -> Sequence[Said]:
        """Everybody's lines, by time."""
        digest = next((other.sha256 for other in manifest.others if other.name == names.CHAT), "")
        kept = self._quotes.get(recording, digest)
        if kept is not None:
            return kept
        opened = await self._file_of(recording, names.CHAT)
        if opened is None:
            return ()
        content = await _whole(opened[1])
        lines = await self._reading(lambda: _lines(content))
        if opened[0].sha256 == digest and not opened[1].is_ended:
            self._quotes.keep(recording, digest, lines, len(content))
        return lines

    async def _names(self, recording: str, manifest: Manifest) -> dict[str, str]:
        return await self._reading(lambda: names_of(manifest, self._keys_of(recording)))

    async def _reading(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)


def _attendee(manifest: Manifest, entry: PersonEntry, name: str) -> Attendee:
    recorded = {file.source for file in manifest.files if file.person == entry.person}
    sources: list[Literal["camera", "screen"]] = []
    if recorded & {"camera", "mic"}:
        sources.append("camera")
    if recorded & {"screen", "screen_audio"}:
        sources.append("screen")
    screens = [track for track in manifest.tracks if (track.person, track.source) == (entry.person, "screen")]
    return Attendee(
        person=entry.person,
        name=name,
        spans=tuple(Span(join.from_ms, join.to_ms) for join in entry.grants),
        sources=tuple(sources),
        screens=tuple(Span(track.from_ms, track.to_ms) for track in screens),
    )


def _lines(content: bytes) -> list[Said]:
    found = [
        Said(at_ms, str(line.get("person", "")), str(line.get("text", "")))
        for line in read_lines(content)
        if isinstance(at_ms := line.get("at_ms"), int)
    ]
    return sorted(found, key=lambda said: said.at_ms)


def _is_for(info: RenditionInfo, use: Use, shown: frozenset[str]) -> bool:
    """Whether a rendition belongs to a use, and everybody in it may be shown."""
    if use == "record":
        return info.state != "finished" or set(info.people) <= shown
    return (
        info.state == "finished"
        and info.wish.use == "replay"
        and info.wish.layout not in _OWN
        and set(info.people) <= shown
    )


async def _whole(file: OpenFile) -> bytes:
    try:
        pieces, size = [], 0
        while size < CHAT_MAX_BYTES and (piece := await file.read(size, READ_MAX_BYTES)):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)
    finally:
        await file.close()
