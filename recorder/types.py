"""Configuration and answers of the recorder. PURE."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from store import ArchiveConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderConfig:
    """How the recorder behaves; where it writes is the store's blob folder."""

    encrypts: bool = True
    """Whether what is recorded is sealed on the disk, with a key for each person in each recording."""
    key_file: Path | None = None
    """Holds the master keys; None: `recordings.key` in the data folder. Made when missing."""
    master_keys: tuple[str, ...] = ()
    """Hexadecimal, instead of a key file: the first wraps, all unwrap."""
    min_free_bytes: int = 256 << 20
    """A recording does not start with less free space than this."""
    queue_max_bytes: int = 32 << 20
    """What may wait for a slow disk, per recording; more is dropped and told as a gap."""
    stop_patience_s: float = 10.0
    """How long a worker may take to write its last bytes before it is killed (and the folder recovered)."""
    finish_patience_s: float = 10.0
    """How long `stop` waits for the finished files; finishing goes on behind it."""
    restarts_max: int = 5
    """Worker restarts within a minute before the recording is given up."""
    archive: ArchiveConfig | None = None
    """Where finished recordings go; None: they stay on the disk."""
    archive_uploads: int = 2
    """Objects that are sent at once, each in memory."""
    keeps_local: bool = True
    """Whether what is archived stays on the disk too."""


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """How far a recording or rendition is on its way to the archive."""

    state: Literal["waiting", "uploading", "archived", "failed"]
    done_bytes: int
    total_bytes: int
    """0 until it is known, and after a restart."""
    reason: str | None
    """Why it waits or failed."""


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """One recording as it is told outside."""

    id: str
    room: str
    """Name of the room."""
    state: str
    """`recording`, `paused`, `stopping`, `finished`, `interrupted`, `failed`."""
    reason: str | None
    """Why it was interrupted or failed, or ended early."""
    started_ms: int
    """Unix time in milliseconds."""
    ended_ms: int | None
    """Unix time in milliseconds; None while it runs."""
    size_bytes: int
    """Bytes on disk."""
    expires_ms: int | None = None
    """When its room's retention deletes it, Unix time; None: never."""
    is_held: bool = False
    """Whether a legal hold keeps it from being deleted."""
    archive: ArchiveState | None = None
    """How far it is on its way to the archive; None without one."""


@dataclass(frozen=True, slots=True)
class ErasedCopy:
    """What came of a withdrawal in one composed file and what lay beside it."""

    rendition: str
    layout: str
    outcome: Literal["removed", "made_again", "withheld"]
    """`removed`: nothing of it was left; `made_again`: destroyed, and composed anew without the person;
    `withheld`: not given out, and destroyed when the legal hold ends."""
    files: tuple[str, ...]
    """Names of what was destroyed, or is withheld: picture and sound, chat, stills."""
    at_ms: int
    """Unix time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What came of a withdrawal in one recording."""

    recording: str
    outcome: Literal["erased", "pending", "held"]
    """`erased`; `pending`: it runs still, or it is its turn soon; `held`: nothing of them leaves the server
    any more, and what is there is erased when the legal hold ends."""
    at_ms: int | None
    """When they were erased, Unix time."""
    copies: tuple[ErasedCopy, ...] = ()
    """Composed files of it that held the person."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When somebody is in a recording."""

    recording: str
    spans: tuple[tuple[int, int | None], ...]
    """From when until when, Unix times in milliseconds; None: they may be in it now."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file of a recording."""

    name: str
    size_bytes: int
    content_type: str
    sha256: str | None
    """Hex digest from the manifest; None while the recording runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderWish:
    """How a recording is to be composed."""

    format: Literal["mp4", "webm"] = "mp4"
    """`mp4`: H.264 and AAC; `webm`: VP9 and Opus."""
    layout: Literal["grid", "speaker", "single", "screen", "copy"] = "grid"
    """`copy`: one person's own files put together as they were published, whatever their codecs are."""
    person: str = ""
    """Person (an id of the manifest) whose the large place is; nobody else is in `single` and `copy`."""
    source: Literal["camera", "screen"] = "camera"
    """Of a copy: which picture; its sound comes with it."""
    names: bool = True
    chat: Literal["burned", "webvtt", "none"] = "burned"
    use: Literal["record", "replay"] = "record"
    """What people must have agreed to, as the ledger has it when it is made."""
    width: int = 1280
    height: int = 720
    fps: int = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionInfo:
    """One composed file of a recording."""

    id: str
    recording: str
    state: str
    """`queued`, `rendering`, `finished`, `failed`, `withheld`."""
    reason: str | None
    """Why it failed or is withheld."""
    progress: float
    """0..1."""
    created_ms: int
    """Unix time in milliseconds."""
    name: str | None
    """Of the file; None until it is finished."""
    size_bytes: int
    sha256: str | None
    people: tuple[str, ...]
    """Persons who are in it."""
    wish: RenderWish
    beside: tuple[str, ...] = ()
    """Names of the files that belong to it: `chat.vtt`, `stills.vtt`, `stills-000.jpg`, ..., `poster.jpg`."""
