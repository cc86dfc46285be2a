"""What the server and a program process say to each other over the control channel. PURE."""

from typing import Literal

import msgspec

HLS_PIECE_BYTES = 512 * 1024
"""A segment travels in pieces of at most this size, well below the channel's frame limit."""
HLS_SEGMENT_MAX_BYTES = 16 << 20
"""More than this is no segment: it is dropped, and the next keyframe begins anew."""


class OutputConfig(msgspec.Struct, frozen=True, tag="output"):
    """One destination of the program."""

    id: str
    kind: Literal["rtmp", "hls"]
    url: str = ""
    """RTMP: the whole URL with its key; never logged."""
    addresses: tuple[tuple[str, int], ...] = ()
    """RTMP: the judged addresses, the only ones that are connected to."""


class ProgramConfig(msgspec.Struct, frozen=True):
    """How a program looks and sounds, and where its parts come from."""

    epoch_slot: int
    layout: str = "grid"
    mode: Literal["program", "passthrough"] = "program"
    """With `passthrough` every tap is of the one publisher."""
    width: int = 1280
    height: int = 720
    fps: int = 30
    video_bps: int = 2_500_000
    audio_bps: int = 128_000
    segment_s: float = 2.0
    delay_ms: int = 250
    """How far the program is behind the room: time for repairs to arrive."""
    chat_shown_s: float = 15.0


class Person(msgspec.Struct, frozen=True, tag="person"):
    """Somebody is there, is granted (then `name` is set), or is gone."""

    person: str
    participant: str
    name: str | None
    is_present: bool


class OpenTap(msgspec.Struct, frozen=True, tag="open_tap"):
    """Records of this tap may come, while the page shows (`slot`, `version`) open."""

    tap: int
    person: str
    participant: str
    kind: Literal["audio", "video"]
    source: str
    slot: int
    version: int


class CloseTap(msgspec.Struct, frozen=True, tag="close_tap"):
    """No more records of this tap."""

    tap: int


class MuteTap(msgspec.Struct, frozen=True, tag="mute_tap"):
    """The track is muted: its last picture is not to stay."""

    tap: int
    is_muted: bool


class ChatShown(msgspec.Struct, frozen=True, tag="chat"):
    """A chat line for the overlay, while the page shows (`slot`, `version`) open."""

    id: str
    person: str
    name: str
    text: str
    slot: int
    version: int


class CutPerson(msgspec.Struct, frozen=True, tag="cut"):
    """Take this person out of everything that has not left yet; answer `CutDone`."""

    cut_id: int
    person: str
    epoch: int


class Speaking(msgspec.Struct, frozen=True, tag="speaking"):
    """Who speaks, loudest first: participant ids of granted people."""

    participants: tuple[str, ...]


class RemoveOutput(msgspec.Struct, frozen=True, tag="remove_output"):
    """Close one destination."""

    id: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Close every destination politely and end."""


ToWorker = (
    Person
    | OpenTap
    | CloseTap
    | MuteTap
    | ChatShown
    | CutPerson
    | Speaking
    | OutputConfig
    | RemoveOutput
    | Stop
)


class CutDone(msgspec.Struct, frozen=True, tag="cut_done"):
    """Nothing of that person is in this process or on its way out any more."""

    cut_id: int


class OutputState(msgspec.Struct, frozen=True, tag="output_state"):
    """A destination's truth."""

    id: str
    state: str
    reason: str
    bytes_acknowledged: int


class Slate(msgspec.Struct, frozen=True, tag="slate"):
    """The placeholder stands in for the picture, with the reason; or a picture goes out again."""

    reason: str | None


class HlsStart(msgspec.Struct, frozen=True, tag="hls_start"):
    """A new part begins: its initialisation segment."""

    id: str
    init: bytes
    epoch: int


class HlsPiece(msgspec.Struct, frozen=True, tag="hls_piece"):
    """A piece of a segment; the last one says what the segment is."""

    id: str
    data: bytes
    epoch: int
    is_last: bool
    duration_s: float = 0.0
    persons: tuple[str, ...] = ()


class KeyframeWanted(msgspec.Struct, frozen=True, tag="keyframe_wanted"):
    """Nothing of this tap can be shown before a keyframe."""

    tap: int


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How the program is doing, once a second."""

    pictures: int
    skipped: int
    """Pictures that were not made because the machine was late."""
    lost_records: int
    cpu_s: float


FromWorker = CutDone | OutputState | Slate | HlsStart | HlsPiece | KeyframeWanted | Progress
