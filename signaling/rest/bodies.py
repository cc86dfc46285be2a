"""Bodies of the REST API beside the views that it shares with the WebSocket."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.views import ActivityView, ParticipantView, TermsView

Name = Annotated[str, Meta(min_length=1, max_length=128)]
UseName = Annotated[str, Meta(min_length=1, max_length=32)]
UseList = Annotated[list[UseName], Meta(max_length=32)]
Codec = Annotated[str, Meta(min_length=1, max_length=16)]
Codecs = Annotated[list[Codec], Meta(min_length=1, max_length=8)]
GrantName = Literal["join", "publish", "subscribe", "chat", "moderate", "record", "broadcast", "admin"]


class SettingsBody(Struct, frozen=True):
    """Settings of a room; what is missing stays as it is, or takes the server's default."""

    title: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    mode: Literal["notice", "explicit"] | UnsetType = UNSET
    uses: UseList | UnsetType = UNSET
    audio_codecs: Codecs | UnsetType = UNSET
    video_codecs: Codecs | UnsetType = UNSET
    loudest: int | UnsetType = UNSET
    max_participants: int | UnsetType = UNSET
    max_viewers: int | UnsetType = UNSET
    max_tracks: int | UnsetType = UNSET
    chat: bool | UnsetType = UNSET
    grace_s: float | UnsetType = UNSET
    empty_s: float | UnsetType = UNSET


class CreateRoom(SettingsBody, frozen=True, kw_only=True):
    """A room to create."""

    name: Annotated[str, Meta(min_length=1, max_length=256)]


class SettingsView(Struct, frozen=True):
    """Settings in force."""

    mode: str
    uses: list[str]
    audio_codecs: list[str]
    video_codecs: list[str]
    loudest: int
    max_participants: int
    max_viewers: int
    max_tracks: int
    chat: bool
    grace_s: float
    empty_s: float


class RoomView(Struct, frozen=True):
    """An open room."""

    id: str
    name: str
    title: str
    created_ms: int
    participants: int
    viewers: int
    activities: list[ActivityView]
    settings: SettingsView | None


class RoomPage(Struct, frozen=True):
    """Some of the open rooms."""

    items: list[RoomView]
    next: str | None = None


class ParticipantPage(Struct, frozen=True):
    """Who is in a room."""

    items: list[ParticipantView]
    next: str | None = None


class ModerateBody(Struct, frozen=True):
    """What to do to a participant."""

    action: Literal["mute", "unmute", "remove", "ban"]
    ban_s: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None


class DoorView(Struct, frozen=True):
    """What somebody is shown before joining."""

    room: str
    title: str
    mode: str
    uses: list[str]
    terms: TermsView
    activities: list[ActivityView]
    ask_name: bool


class TokenBody(Struct, frozen=True):
    """A join token to make."""

    identity: Name
    grants: Annotated[list[GrantName], Meta(min_length=1, max_length=8)]
    room: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] = 3_600
    uses: UseList | None = None
    terms_version: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    external: bool = False
    guests: bool = False
    """An invitation: whoever opens its link gets an identity of their own."""


class InvitationBody(Struct, frozen=True):
    """An invitation to make."""

    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] = 12 * 3_600


class GuestView(Struct, frozen=True):
    """A guest's own token."""

    token: str
    identity: str
    expires_at: int


class TokenView(Struct, frozen=True):
    """A token that was made."""

    token: str
    expires_at: int
    join_url: str | None


class DevTokenBody(Struct, frozen=True):
    """What a page of a development server wants to join."""

    room: Annotated[str, Meta(min_length=1, max_length=256)]
    name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    moderator: bool = False
    identity: Annotated[str, Meta(pattern="^guest-[0-9a-f]{8}$")] | None = None
    """An identity that was handed out before, to renew its session."""


class DevTokenView(Struct, frozen=True):
    """A token for a page of a development server."""

    token: str
    identity: str


class SiteInfo(Struct, frozen=True):
    """Who runs this server."""

    name: str
    development: bool
    support: str
    privacy: str


class RecordBody(Struct, frozen=True):
    """What to record."""

    room: Annotated[str, Meta(min_length=1, max_length=256)]


class RecordingView(Struct, frozen=True):
    """A recording."""

    id: str
    room: str
    state: str
    reason: str | None
    started_ms: int
    ended_ms: int | None
    size_bytes: int


class RecordingPage(Struct, frozen=True):
    """Some recordings, newest first."""

    items: list[RecordingView]
    next: str | None = None


class FileView(Struct, frozen=True):
    """A file of a recording."""

    name: str
    size_bytes: int
    content_type: str
    sha256: str | None
    url: str


class FilePage(Struct, frozen=True):
    """The files of a recording."""

    items: list[FileView]
    next: str | None = None


class PartnerBody(Struct, frozen=True):
    """A partner site to register."""

    name: Name
    site: Annotated[str, Meta(min_length=1, max_length=253)]
    policy_url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    uses: UseList
    terms_version: Annotated[str, Meta(min_length=1, max_length=32)]


class PartnerView(Struct, frozen=True):
    """A partner site."""

    id: str
    name: str
    site: str
    policy_url: str
    uses: list[str]
    terms_version: str


class PartnerPage(Struct, frozen=True):
    """All partner sites."""

    items: list[PartnerView]
    next: str | None = None


class DestinationBody(Struct, frozen=True):
    """A destination to register; the key is never told again."""

    name: Name
    partner: Name
    kind: Literal["rtmp", "hls"]
    url: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    key: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    rooms: Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=100)] = []


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


class DestinationPage(Struct, frozen=True):
    """Destinations."""

    items: list[DestinationInfoView]
    next: str | None = None


class BroadcastBody(Struct, frozen=True):
    """What to send where."""

    room: Annotated[str, Meta(min_length=1, max_length=256)]
    destinations: Annotated[list[Name], Meta(min_length=1, max_length=32)]
    layout: Literal["grid"] = "grid"
    mode: Literal["program", "passthrough"] = "program"
    publisher: Name | None = None


class DestinationStateView(Struct, frozen=True):
    """How one destination is doing."""

    destination: str
    name: str
    site: str
    kind: str
    state: str
    reason: str | None
    bytes_acknowledged: int


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
    destinations: list[DestinationStateView]


class BroadcastPage(Struct, frozen=True):
    """Some broadcasts, newest first."""

    items: list[BroadcastView]
    next: str | None = None


class TermsUseBody(Struct, frozen=True):
    """A use that new terms ask for."""

    use: UseName
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    media: Annotated[list[Literal["audio", "video", "chat"]], Meta(min_length=1, max_length=3)]


class TermsBody(Struct, frozen=True):
    """A version of the terms to publish; it can never be changed."""

    version: Annotated[str, Meta(min_length=1, max_length=32)]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    paragraphs: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=10_000)]], Meta(min_length=1, max_length=200)
    ]
    age_statement: Annotated[str, Meta(min_length=1, max_length=500)]
    uses: Annotated[list[TermsUseBody], Meta(max_length=32)]
    effective_ms: Annotated[int, Meta(ge=0)]
    material: bool


class LedgerPage(Struct, frozen=True):
    """Rows of the consent ledger, oldest first."""

    items: list[dict[str, Any]]
    next: str | None = None


class WithdrawalBody(Struct, frozen=True):
    """Whose media and chat are to be removed, and from which recordings; what is missing is everything."""

    identity: Name | None = None
    """Needed with `admin`; otherwise one's own."""
    room: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """Without `admin` the room of one's token."""
    recording: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")] | None = None


class WithdrawalView(Struct, frozen=True):
    """A withdrawal that the ledger holds; it is carried out in the background."""

    recordings: list[str]
    """Those that may hold something of the person, newest first; each that did is noted as `erased`."""
    at_ms: int
