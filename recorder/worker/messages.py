"""What the server and a recorder's worker process say to each other over the control channel. PURE."""

from typing import Literal

import msgspec

from recorder.data_keys import KeyAccess


class RecordConfig(msgspec.Struct, frozen=True, tag="record"):
    """Record a room into a folder."""

    folder: str
    recording: str
    room: str
    """Random id of the room."""
    terms_version: str
    origin_mono_ns: int
    """CLOCK_MONOTONIC at time 0 of the recording's time line."""
    origin_unix_ms: int
    """Unix time of the same instant."""
    queue_max_bytes: int
    keys: KeyAccess | None = None
    """What is written is sealed with these; None writes it plain."""


class FinishConfig(msgspec.Struct, frozen=True, tag="finish"):
    """Make a folder whole: torn ends off, plain files, hashes, a manifest to sign."""

    folder: str
    keys: KeyAccess | None = None


class EraseConfig(msgspec.Struct, frozen=True, tag="erase"):
    """Take one person out of a finished folder."""

    folder: str
    person: str
    keys: KeyAccess | None = None
    archived: dict[str, str] = {}
    """Digests of files, by name, that need not be on the disk."""


WorkerConfig = RecordConfig | FinishConfig | EraseConfig


class Person(msgspec.Struct, frozen=True, tag="person"):
    """Somebody is there, or gone; `name` only with a grant."""

    person: str
    participant: str
    name: str | None
    is_present: bool


class OpenTap(msgspec.Struct, frozen=True, tag="open_tap"):
    """Records of this tap may come while the page shows (slot, version) open."""

    tap: int
    person: str
    participant: str
    track: int
    kind: Literal["audio", "video"]
    source: str
    slot: int
    version: int
    terms_version: str


class CloseTap(msgspec.Struct, frozen=True, tag="close_tap"):
    """The tap ended by itself; what is whole of it is written while its gate is open."""

    tap: int
    reason: str


class MuteTap(msgspec.Struct, frozen=True, tag="mute_tap"):
    """The track was muted, or is heard again."""

    tap: int
    is_muted: bool


class Pause(msgspec.Struct, frozen=True, tag="pause"):
    """Keep nothing from now on, or go on in new parts; a repeated one changes nothing."""

    is_paused: bool


class ChatLine(msgspec.Struct, frozen=True, tag="chat_line"):
    """A line for `chat.jsonl`, written while its gate is open."""

    id: str
    person: str
    name: str
    text: str
    unix_ms: int
    slot: int
    version: int


class DeleteChat(msgspec.Struct, frozen=True, tag="delete_chat"):
    """A line of before is not to be in what is finished."""

    id: str


class CutPerson(msgspec.Struct, frozen=True, tag="cut_person"):
    """Discard everything held of these (slot, closed version) gates, then answer `CutDone`."""

    cut_id: int
    person: str
    gates: tuple[tuple[int, int], ...]
    reason: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Write what is whole, sync it, and end."""

    reason: str


ToWorker = Person | OpenTap | CloseTap | MuteTap | Pause | ChatLine | DeleteChat | CutPerson | Stop


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker listens; before this it has been told nothing, and so can write nothing of anybody."""


class CutDone(msgspec.Struct, frozen=True, tag="cut_done"):
    """Nothing of that cut will be written any more."""

    cut_id: int


class KeyframeWanted(msgspec.Struct, frozen=True, tag="keyframe_wanted"):
    """Ask the tap's publisher for a keyframe."""

    tap: int


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How it goes; once a second."""

    size_bytes: int
    dropped_by_gate: int
    lost_packets: int
    waiting_bytes: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The work ended early: `disk_full`, `io_error`, `folder_in_use`, `no_events`, `no_manifest`."""

    reason: str
    detail: str


class Flushed(msgspec.Struct, frozen=True, tag="flushed"):
    """The last byte is synced; the process ends now."""

    size_bytes: int


class FinishProgress(msgspec.Struct, frozen=True, tag="finish_progress"):
    """Files made plain so far."""

    done: int
    total: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The folder is whole and `manifest.draft.json` waits for its signature."""

    size_bytes: int
    quarantined: int


FromWorker = Ready | CutDone | KeyframeWanted | Progress | Failed | Flushed | FinishProgress | Finished
