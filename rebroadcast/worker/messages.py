"""What the server and a program process say to each other over the control channel. PURE."""

from typing import Literal

import msgspec

REPAIR_MS = 250
"""How far a program is behind the room: time for repairs to arrive."""
HLS_PIECE_BYTES = 512 * 1024
"""A part travels in pieces of at most this size, well below the channel's frame limit."""
HLS_SEGMENT_MAX_BYTES = 16 << 20
"""More than this is no segment: it is dropped, and the next keyframe begins anew."""


class Encoding(msgspec.Struct, frozen=True):
    """One way in which a program's picture is encoded; all destinations that want the same share it."""

    width: int
    """Pixels, even."""
    height: int
    """Pixels, even."""
    fps: int
    bps: int
    codec: Literal["h264", "vp8"] = "h264"

    @property
    def name(self) -> str:
        """A short name, the same for the same encoding and no other of its program."""
        return f"{self.height}p{self.fps}-{self.bps}-{self.codec}"


class OutputConfig(msgspec.Struct, frozen=True, tag="output"):
    """One destination of the program."""

    id: str
    kind: Literal["rtmp", "srt", "whip", "hls"]
    url: str = ""
    """RTMP: the whole URL with its key; never logged."""
    addresses: tuple[tuple[str, int], ...] = ()
    """The judged addresses, the only ones that are connected to; none for HLS."""
    secret: str = ""
    """SRT: stream id and passphrase; WHIP: the bearer token; never logged."""
    encoding: Encoding | None = None
    """How the picture goes there; None: as the program is configured, or passed through."""


class Look(msgspec.Struct, frozen=True, tag="look"):
    """How the picture is arranged from now on."""

    layout: Literal["grid", "speaker", "single", "screen"] = "grid"
    is_bound: bool = False
    """The large place belongs to the people marked `is_main`: while none is there, nobody else takes it."""
    has_names: bool = True
    has_chat: bool = True
    logo: bytes = b""
    """A PNG; empty for none."""
    corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] = "top_right"


class ProgramConfig(msgspec.Struct, frozen=True):
    """How a program looks and sounds, and where its parts come from."""

    epoch_slot: int
    look: Look = Look()
    mode: Literal["program", "passthrough"] = "program"
    """With `passthrough` every tap is of the one publisher."""
    width: int = 1280
    height: int = 720
    """Of outputs that ask for no other encoding; it is composed at the largest that is asked for."""
    fps: int = 30
    video_bps: int = 2_500_000
    audio_bps: int = 128_000
    segment_s: float = 2.0
    part_s: float = 1 / 3
    delay_ms: int = REPAIR_MS
    """How far the program is behind the room: time for repairs to arrive."""
    hold_ms: int = 0
    """How much further it is held back, so that it can be dumped."""
    chat_shown_s: float = 15.0
    allow_private: bool = False
    """WHIP: whether the site's answer may name addresses that are not public."""
    ca_file: str = ""
    """PEM certificates that TLS destinations may be signed by, besides the system's."""
    is_replay: bool = False
    """Whether the sink hands over parts of a recording (`handover`) instead of tap records."""


class Person(msgspec.Struct, frozen=True, tag="person"):
    """Somebody is there, is granted (then `name` is set), or is gone."""

    person: str
    participant: str
    name: str | None
    is_present: bool
    is_main: bool = False
    """Whether the large place is theirs."""
    gain: float = 1.0
    """By what their sound is multiplied."""
    from_ns: int = 0
    """When they come, CLOCK_MONOTONIC; 0: they are there."""
    until_ns: int = 0
    """When they go, CLOCK_MONOTONIC; 0: they stay until it is told."""


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


class ChatDeleted(msgspec.Struct, frozen=True, tag="chat_deleted"):
    """A line of before is not to be shown any more."""

    id: str


class CutPerson(msgspec.Struct, frozen=True, tag="cut"):
    """Take this person out of everything that has not left yet; answer `CutDone`."""

    cut_id: int
    person: str
    epoch: int


class Speaking(msgspec.Struct, frozen=True, tag="speaking"):
    """Who speaks, loudest first: participant ids of granted people."""

    participants: tuple[str, ...]


class Dump(msgspec.Struct, frozen=True, tag="dump"):
    """Throw away what the delay holds."""


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
    | ChatDeleted
    | CutPerson
    | Speaking
    | Dump
    | Look
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
    """A new format begins: its initialisation segment."""

    id: str
    init: bytes
    epoch: int
    codecs: str = ""
    width: int = 0
    height: int = 0
    origin_ms: int = 0
    """Unix time of the program's beginning, where the times of all parts count from."""


class HlsPiece(msgspec.Struct, frozen=True, tag="hls_piece"):
    """A piece of a part; all of them say what the part is."""

    id: str
    data: bytes
    epoch: int
    is_last: bool
    at_s: float = 0.0
    duration_s: float = 0.0
    persons: tuple[str, ...] = ()
    is_independent: bool = True
    """Whether the part begins with a keyframe."""
    ends_segment: bool = True
    """Whether the part after it begins another segment."""


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
    fps: float = 0.0
    """Pictures a second that go out now."""
    lowered: str = ""
    """What was lowered, and why."""


FromWorker = CutDone | OutputState | Slate | HlsStart | HlsPiece | KeyframeWanted | Progress
