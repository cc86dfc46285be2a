"""Bodies and answers about partner sites, destinations, broadcasts, embeds and takedown notices."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.rest.bodies import Name, UseList

_Url = Annotated[str, Meta(min_length=1, max_length=2_000)]
_Version = Annotated[str, Meta(min_length=1, max_length=32)]
_Origins = Annotated[list[Annotated[str, Meta(min_length=1, max_length=300)]], Meta(max_length=32)]
_UnixMs = Annotated[int, Meta(ge=0, le=1 << 53)]


class PartnerBody(Struct, frozen=True):
    """A partner site to register; its terms are in force from `from_ms` until `until_ms`."""

    name: Name
    site: Annotated[str, Meta(min_length=1, max_length=253)]
    policy_url: _Url
    uses: UseList
    terms_version: _Version
    origins: _Origins = []
    takedown_url: _Url | None = None
    from_ms: _UnixMs = 0
    until_ms: _UnixMs | None = None


class PartnerChangeBody(Struct, frozen=True, kw_only=True):
    """What a partner agreed to since; what is left out stays as it is."""

    name: Name | None = None
    policy_url: _Url | None = None
    uses: UseList | None = None
    terms_version: _Version | None = None
    origins: _Origins | None = None
    takedown_url: _Url | UnsetType | None = UNSET
    from_ms: _UnixMs | None = None
    until_ms: _UnixMs | UnsetType | None = UNSET


class PartnerView(Struct, frozen=True):
    """A partner site."""

    id: str
    name: str
    site: str
    policy_url: str
    uses: list[str]
    terms_version: str
    origins: list[str]
    takedown_url: str | None
    from_ms: int
    until_ms: int | None
    blocked: bool


class PartnerPage(Struct, frozen=True):
    """All partner sites."""

    items: list[PartnerView]
    next: str | None = None


class AcknowledgementBody(Struct, frozen=True):
    """A partner's word that a notice was carried out."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]


class TakedownKeyView(Struct, frozen=True):
    """What partners verify notices with."""

    ed25519: str


class TakedownView(Struct, frozen=True):
    """One notice to a partner."""

    id: str
    partner: str
    site: str
    withdrawn_ms: int
    state: str
    attempts: int
    answered_ms: int | None
    reason: str


class TakedownPage(Struct, frozen=True):
    """Notices, newest first."""

    items: list[TakedownView]
    next: str | None = None


class CopyView(Struct, frozen=True):
    """One destination that may have received something of a person."""

    broadcast: str
    room: str
    site: str
    destination: str
    kind: str
    from_ms: int
    until_ms: int | None


class TimeView(Struct, frozen=True):
    """From when until when, Unix times in milliseconds; null: still."""

    from_ms: int
    until_ms: int | None


class PresenceView(Struct, frozen=True):
    """A recording that may hold something of a person, and when they are in it."""

    recording: str
    spans: list[TimeView]


class CopiesView(Struct, frozen=True):
    """Where somebody's media and chat went."""

    recordings: list[PresenceView]
    broadcasts: list[CopyView]
    takedowns: list[TakedownView]


class EmbedBody(Struct, frozen=True):
    """On whose site a room is to be embedded, and for how long."""

    partner: Name
    ttl_s: Annotated[int, Meta(ge=60, le=7_776_000)] = 86_400


class EmbedView(Struct, frozen=True):
    """A signed link of a player."""

    url: str
    html: str
    oembed_url: str
    expires_at: int


class EncodingBody(Struct, frozen=True, kw_only=True):
    """How a destination wants the picture; what is left out is as configured."""

    height: Annotated[int, Meta(ge=2, le=4_320)] | None = None
    fps: Annotated[int, Meta(ge=1, le=120)] | None = None
    video_bps: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    codec: Literal["h264", "vp8"] = "h264"


class DestinationBody(Struct, frozen=True):
    """A destination to register; the key is never told again."""

    name: Name
    partner: Name
    kind: Literal["rtmp", "srt", "whip", "hls"]
    url: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    key: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    rooms: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=100)] = []
    delay_s: Annotated[float, Meta(ge=0, le=30)] = 0.0
    encodings: Annotated[list[EncodingBody], Meta(max_length=16)] = []


class DestinationInfoView(Struct, frozen=True):
    """A destination, without its key."""

    id: str
    name: str
    partner: str
    site: str
    kind: str
    rooms: list[str]
    shown_url: str | None
    key_hint: str | None
    encrypted: bool
    delay_s: float
    encodings: list[EncodingBody]


class DestinationPage(Struct, frozen=True):
    """Destinations."""

    items: list[DestinationInfoView]
    next: str | None = None


class LookBody(Struct, frozen=True, kw_only=True):
    """How a program looks and sounds; what is left out stays as it is."""

    layout: Literal["grid", "speaker", "single", "screen"] | None = None
    person: Annotated[str, Meta(max_length=256)] | None = None
    names: bool | None = None
    chat: bool | None = None
    logo: Annotated[str, Meta(max_length=360_000)] | None = None
    corner: Literal["top_left", "top_right", "bottom_left", "bottom_right"] | None = None
    gains: Annotated[dict[str, Annotated[float, Meta(ge=0, le=4)]], Meta(max_length=100)] | None = None


class BroadcastBody(LookBody, frozen=True, kw_only=True):
    """What to send where: a room while it happens, or a recording again."""

    room: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    recording: Name | None = None
    destinations: Annotated[list[Name], Meta(min_length=1, max_length=32)]
    mode: Literal["program", "passthrough"] = "program"
    publisher: Name | None = None
    at: datetime | None = None
    loop: bool = False


class AddedDestinationBody(Struct, frozen=True):
    """One more destination of a running broadcast."""

    destination: Name


class DestinationStateView(Struct, frozen=True):
    """How one destination is doing."""

    destination: str
    name: str
    site: str
    kind: str
    state: str
    reason: str | None
    bytes_acknowledged: int
    delay_s: float
    hls_url: str | None


class LookView(Struct, frozen=True):
    """How a program looks and sounds now."""

    layout: str
    person: str | None
    names: bool
    chat: bool
    has_logo: bool
    corner: str
    gains: dict[str, float]


class EncodingView(Struct, frozen=True):
    """One encoding that a program makes, for all destinations that want it."""

    width: int
    height: int
    fps: int
    video_bps: int
    codec: str


class ProgramView(Struct, frozen=True):
    """How the making of a program is doing."""

    fps: float
    lowered: str | None
    skipped: int
    lost_packets: int
    cpu_s: float
    cores: float
    encodings: list[EncodingView]


class FetchingView(Struct, frozen=True):
    """How much of a recording has come from the archive."""

    done_bytes: int
    total_bytes: int


class ReplayView(Struct, frozen=True):
    """A recording that is broadcast again, and how far it has come."""

    recording: str
    at_ms: int | None
    loop: bool
    position_ms: int
    duration_ms: int
    turn: int
    fetching: FetchingView | None


class BroadcastView(Struct, frozen=True):
    """A broadcast."""

    id: str
    room: str
    state: str
    reason: str | None
    mode: str
    started_ms: int
    ended_ms: int | None
    hls_url: str | None
    look: LookView | None
    program: ProgramView | None
    destinations: list[DestinationStateView]
    replay: ReplayView | None = None


class BroadcastPage(Struct, frozen=True):
    """Some broadcasts, newest first."""

    items: list[BroadcastView]
    next: str | None = None
