"""Bodies of the REST API beside the views that it shares with the WebSocket."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from signaling.views import ActivityView, ParticipantView, TermsView

Name = Annotated[str, Meta(min_length=1, max_length=128)]
UseName = Annotated[str, Meta(min_length=1, max_length=32)]
UseList = Annotated[list[UseName], Meta(max_length=32)]
Codec = Annotated[str, Meta(min_length=1, max_length=16)]
Codecs = Annotated[list[Codec], Meta(min_length=1, max_length=8)]
GrantName = Literal[
    "join", "publish", "subscribe", "chat", "moderate", "record", "watch", "broadcast", "admin"
]


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
    retention_days: int | UnsetType | None = UNSET
    """Days that recordings begun from now on are kept after their end; null: until somebody deletes them."""


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
    retention_days: int | None


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


class ArchiveView(Struct, frozen=True):
    """How far a finished recording is on its way to the archive."""

    state: Literal["waiting", "uploading", "archived", "failed"]
    done_bytes: int
    total_bytes: int
    """0 until it is known."""
    reason: str | None
    """Why it waits or failed."""


class RecordingView(Struct, frozen=True):
    """A recording."""

    id: str
    room: str
    state: str
    reason: str | None
    started_ms: int
    ended_ms: int | None
    size_bytes: int
    expires_ms: int | None
    """When its room's retention deletes it; null: never."""
    is_held: bool
    """Whether a legal hold keeps it from being deleted."""
    archive: ArchiveView | None = None
    """How far it is on its way to the archive; null: it runs, or there is no archive."""


class HoldBody(Struct, frozen=True):
    """A legal hold."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    until_ms: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    """Unix time in milliseconds at which it ends by itself; null: when it is released."""


class HoldView(Struct, frozen=True):
    """A legal hold, ended or not."""

    id: str
    reason: str
    placed_by: str
    placed_at_ms: int
    until_ms: int | None
    released_by: str
    released_at_ms: int | None


class HoldPage(Struct, frozen=True):
    """All holds of a recording, oldest first."""

    items: list[HoldView]


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


class RenderBody(Struct, frozen=True, kw_only=True):
    """How to compose a finished recording."""

    format: Literal["mp4", "webm"] = "mp4"
    layout: Literal["grid", "speaker", "single", "screen", "copy"] = "grid"
    """`copy`: a person's own files put together as they were published; only person and source count."""
    person: Annotated[str, Meta(max_length=64)] = ""
    source: Literal["camera", "screen"] = "camera"
    names: bool = True
    chat: Literal["burned", "webvtt", "none"] = "burned"
    use: Literal["record", "replay"] = "record"
    width: Annotated[int, Meta(ge=160, le=1920, multiple_of=2)] = 1280
    height: Annotated[int, Meta(ge=90, le=1080, multiple_of=2)] = 720
    fps: Annotated[int, Meta(ge=5, le=60)] = 25


class RenditionView(Struct, frozen=True):
    """A composed file of a recording."""

    id: str
    recording: str
    state: str
    reason: str | None
    progress: float
    created_ms: int
    size_bytes: int
    sha256: str | None
    people: list[str]
    format: str
    layout: str
    person: str
    source: str
    use: str
    chat: str
    url: str | None
    captions_url: str | None
    poster_url: str | None
    stills_url: str | None


class RenditionPage(Struct, frozen=True):
    """Composed files, newest first."""

    items: list[RenditionView]
    next: str | None = None


class SpanView(Struct, frozen=True):
    """From when until when, in milliseconds of a recording's time line."""

    from_ms: int
    to_ms: int


class AttendeeView(Struct, frozen=True):
    """Somebody in a recording."""

    person: str
    name: str
    spans: list[SpanView]
    """When they were recorded."""
    sources: list[str]
    """What a copy of their own files can be made of: `camera`, `screen`; none for viewers."""
    screens: list[SpanView]
    """When they shared a screen."""


class PlaybackView(Struct, frozen=True):
    """A finished recording as its page shows it."""

    id: str
    room: str
    use: Literal["record", "replay"]
    """What those who are shown agreed to: `replay` with a viewer's token."""
    started_ms: int
    duration_ms: int
    people: list[AttendeeView]
    hidden: int
    """How many more people are in it, who are not shown."""
    pauses: list[SpanView]
    renditions: list[RenditionView]
    """Newest first; their links need no token."""
    expires_at: int
    """When the links end."""


class QuoteView(Struct, frozen=True):
    """What somebody wrote, and when, in milliseconds of the recording's time line."""

    at_ms: int
    person: str
    name: str
    text: str


class ChatPage(Struct, frozen=True):
    """Chat lines by time."""

    items: list[QuoteView]
    next: str | None = None


class ViewerBody(Struct, frozen=True):
    """For how long a viewer's link serves."""

    ttl_s: Annotated[int, Meta(ge=60, le=86_400)] = 86_400


class ViewerView(Struct, frozen=True):
    """A viewer's link of a recording's page."""

    token: str
    expires_at: int
    url: str


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


class ErasedCopyView(Struct, frozen=True):
    """What came of a withdrawal in one composed file and what lay beside it."""

    rendition: str
    layout: str
    outcome: Literal["removed", "made_again", "withheld"]
    """`made_again`: destroyed, and composed anew without the person; `withheld`: a legal hold keeps it."""
    files: list[str]
    """Names of what was destroyed or is withheld: picture and sound, chat, stills."""
    at_ms: int


class ErasureView(Struct, frozen=True):
    """What came of a withdrawal in one recording."""

    recording: str
    outcome: Literal["erased", "pending", "held"]
    """`held`: a legal hold delays the erasure; nothing of the person leaves the server any more."""
    at_ms: int | None
    """When they were erased."""
    copies: list[ErasedCopyView] = []


class ErasurePage(Struct, frozen=True):
    """What came of somebody's withdrawals."""

    items: list[ErasureView]


class WithdrawalView(Struct, frozen=True):
    """A withdrawal that the ledger holds; it is carried out in the background."""

    recordings: list[str]
    """Those that may hold something of the person, newest first; each that did is noted as `erased`."""
    at_ms: int
