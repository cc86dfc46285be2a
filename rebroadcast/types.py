"""Broadcasts, destinations and partner sites as callers see them: plain immutable values. PURE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec import UNSET, UnsetType

Layout = Literal["grid", "speaker", "single", "screen"]
Corner = Literal["top_left", "top_right", "bottom_left", "bottom_right"]
Mode = Literal["program", "passthrough"]
Kind = Literal["rtmp", "srt", "whip", "hls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingWish:
    """How a destination wants the picture; None leaves a thing as configured."""

    height: int | None = None
    """Pixels; the width follows."""
    fps: int | None = None
    video_bps: int | None = None
    """None: as configured, less for less to encode."""
    codec: str = "h264"
    """`h264`, or `vp8` where WHIP is spoken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """How one destination of a broadcast is doing."""

    destination: str
    name: str
    partner: str
    site: str
    kind: str
    state: str
    """`idle`, `connecting`, `live`, `degraded`, `slate`, `backing_off`, `failed`, `stopped`."""
    reason: str | None
    """What a person can act on when it is not `live`."""
    bytes_acknowledged: int
    """What the site's host acknowledged, over all connections. HLS: what players could fetch."""
    delay_s: float = 0.0
    program: str = ""
    """Id of the program that it is fed by; HLS is played under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookChange:
    """What to change of a program's look; None leaves a thing as it is."""

    layout: str | None = None
    person: str | None = None
    """Identity whose the large place (in `single`: the only one) is; empty: whoever speaks."""
    names: bool | None = None
    chat: bool | None = None
    logo: bytes | None = None
    """A PNG; empty takes it away."""
    corner: str | None = None
    gains: Mapping[str, float] | None = None
    """By identity: 0 is silent, 1 as sent, 4 the most; who is not named keeps theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookInfo:
    """How a program looks and sounds now."""

    layout: str
    person: str | None
    names: bool
    chat: bool
    has_logo: bool
    corner: str
    gains: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingInfo:
    """One encoding that a program makes."""

    width: int
    height: int
    fps: int
    video_bps: int
    codec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramInfo:
    """How the making of a program is doing."""

    fps: float
    """Pictures a second that go out."""
    lowered: str | None
    """What was lowered, and why; None when nothing was."""
    skipped: int
    """Pictures that were left out since the start because the machine was late."""
    lost_packets: int
    """Packets that the program came too late to take."""
    cpu_s: float
    """CPU time that the present program process has taken."""
    cores: float
    """CPU time that it takes for each second, of late."""
    encodings: tuple[EncodingInfo, ...] = ()
    """What is made of the one picture, each once for all destinations that want it."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """How much of a recording has come from the archive."""

    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayInfo:
    """A recording that is broadcast again, and how far it has come."""

    recording: str
    at_ms: int | None
    """The time that was set for it, Unix time; None: at once."""
    is_looped: bool
    position_ms: int
    duration_ms: int
    turn: int
    """The how manieth showing it is, from 1; 0 before the first."""
    fetching: Fetching | None = None
    """What it waits for before it begins; None: nothing has to be fetched any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastInfo:
    """One broadcast."""

    id: str
    room: str
    state: str
    """`scheduled`, `starting`, `running`, `stopping`, `stopped`, `failed`."""
    reason: str | None
    mode: str
    started_ms: int
    """Of a scheduled one: when it was asked for."""
    ended_ms: int | None
    look: LookInfo | None
    """None for passthrough."""
    program: ProgramInfo | None
    """None while none is being made."""
    destinations: tuple[DestinationStatus, ...]
    replay: ReplayInfo | None = None
    """None for a broadcast of a room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationInfo:
    """One registered destination; never its key."""

    id: str
    name: str
    partner: str
    site: str
    kind: str
    rooms: tuple[str, ...]
    shown_url: str | None
    """Scheme, host and application; None for HLS."""
    key_hint: str | None
    """Last four characters of the stream key; None without one."""
    is_encrypted: bool = True
    """Whether what goes there is encrypted on its way."""
    delay_s: float = 0.0
    """How long everything is held back before it goes there."""
    encodings: tuple[EncodingWish, ...] = ()
    """How it wants the picture: one way, or HLS in several; none: as configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerInfo:
    """One partner site with the terms it agreed to."""

    id: str
    name: str
    site: str
    policy_url: str
    uses: tuple[str, ...]
    terms_version: str
    origins: tuple[str, ...] = ()
    """Origins whose pages may embed rooms for this partner."""
    takedown_url: str | None = None
    """Where it takes takedown notices."""
    from_ms: int = 0
    """When its terms come into force, Unix time."""
    until_ms: int | None = None
    """When they end; None: they have no end."""
    is_blocked: bool = False
    """The kill switch: nothing goes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerChange:
    """What a partner agreed to since; None leaves a thing as it is."""

    name: str | None = None
    policy_url: str | None = None
    uses: Sequence[str] | None = None
    terms_version: str | None = None
    origins: Sequence[str] | None = None
    """None of them: `https://` and its site."""
    takedown_url: str | None = None
    """Empty: it takes no notices any more."""
    from_ms: int | None = None
    until_ms: int | UnsetType | None = UNSET
    """None: its terms have no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebroadcastConfig:
    """How programs are made when a broadcast does not say otherwise."""

    width: int = 1280
    """Pixels, even."""
    height: int = 720
    """Pixels, even."""
    fps: int = 30
    video_bps: int = 2_500_000
    audio_bps: int = 128_000
    segment_s: float = 2.0
    """Length of an HLS segment, and the longest wait of a new output for a keyframe."""
    part_s: float = 1 / 3
    """The longest part of an HLS segment."""
    dvr_s: float = 12.0
    """How far back an HLS player can seek."""
    dvr_bytes: int = 64 << 20
    """What the HLS window of one program may hold in memory."""
    logo: bytes = b""
    """A PNG that every program shows; empty for none."""
    allow_private_destinations: bool = False
    """Destinations on loopback and private addresses: for partners on the operator's own network."""
    ca_file: str = ""
    """PEM certificates that TLS destinations may be signed by, besides the system's."""
    cores: float = 0.0
    """CPU that all programs may take together; 0: what live rooms and the reserve leave."""
    reserve: float = 0.25
    """Share of the machine's cores that stays free of programs."""
    broadcasts_per_room: int = 4
    """Programs that one room may run at the same time."""
    empty_s: float = 1_800.0
    """How long a broadcast of a room goes on with nobody in the room, seconds; 0: until it is stopped."""
