"""The requests that a client may send over the WebSocket, as structs; the contract is docs/protocol.md.

PURE: no I/O. Unknown fields are ignored, a field of the wrong type is an error that names it.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

Id = int | Annotated[str, Meta(max_length=64)]
"""A JSON-RPC request id."""

ShortText = Annotated[str, Meta(min_length=1, max_length=128)]
Sdp = Annotated[str, Meta(min_length=1, max_length=65_536)]
TokenText = Annotated[str, Meta(min_length=1, max_length=8_192)]
Uses = Annotated[dict[Annotated[str, Meta(min_length=1, max_length=64)], bool], Meta(max_length=32)]
TrackNumber = Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
Layer = Annotated[int, Meta(ge=0, le=7)]
Height = Annotated[int, Meta(ge=1, le=16_384)]
Priority = Annotated[int, Meta(ge=1, le=255)]
TermsVersion = Annotated[str, Meta(min_length=1, max_length=32)]
Version = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF)]


class Lane(Enum):
    """Requests of one lane are carried out one after the other; the lanes do not wait for each other."""

    MEDIA = "media"
    CONTROL = "control"


class Accept(Struct, frozen=True):
    """Acceptance of a terms version, with the age statement."""

    terms_version: TermsVersion
    age_18: bool


class ClientInfo(Struct, frozen=True):
    """Who speaks, for diagnostics."""

    name: Annotated[str, Meta(max_length=64)] = ""
    version: Annotated[str, Meta(max_length=64)] = ""


class Join(Struct, frozen=True):
    """Enter the token's room."""

    token: TokenText
    name: Annotated[str, Meta(max_length=256)] | None = None
    accept: Accept | None = None
    uses: Uses | None = None
    resume: Annotated[str, Meta(max_length=256)] | None = None
    media: Literal["kept", "new"] = "new"
    client: ClientInfo | None = None


class Publish(Struct, frozen=True):
    """Offer for the publish peer connection."""

    sdp: Sdp
    sources: Annotated[
        dict[Annotated[str, Meta(max_length=32)], Literal["camera", "mic", "screen", "screen_audio"]],
        Meta(max_length=64),
    ] = msgspec.field(default_factory=dict)
    e2ee: bool = False


class SubscribeAnswer(Struct, frozen=True):
    """Answer to a `subscribe_offer`."""

    version: Version
    sdp: Sdp


class SubscribeRestart(Struct, frozen=True):
    """Ask for an offer that restarts ICE."""


class Subscription(Struct, frozen=True):
    """Pause a received track, or say how it is shown: which layer at most, how large, how important."""

    track: TrackNumber
    enabled: bool
    spatial: Layer | None = None
    temporal: Layer | None = None
    height: Height | None = None
    priority: Priority | None = None


class Mute(Struct, frozen=True):
    """Mute an own track."""

    track: TrackNumber
    muted: bool


class Chat(Struct, frozen=True):
    """Say something to the room."""

    text: Annotated[str, Meta(min_length=1, max_length=6_000)]


class ChatDelete(Struct, frozen=True):
    """Take a line back."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]


class AcceptTerms(Struct, frozen=True):
    """Accept the terms in force."""

    terms_version: TermsVersion
    age_18: bool


class Consent(Struct, frozen=True):
    """Set own choices."""

    uses: Uses


class Acknowledge(Struct, frozen=True):
    """Say that a notice was seen."""

    notice: ShortText


class Moderate(Struct, frozen=True):
    """Act on somebody else."""

    action: Literal["mute", "unmute", "remove", "ban"]
    identity: ShortText
    ban_s: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None


class RecordStart(Struct, frozen=True):
    """Record this room."""


class RecordPause(Struct, frozen=True):
    """Keep nothing of a running recording of this room from now on."""

    recording: ShortText


class RecordResume(Struct, frozen=True):
    """Go on with a paused recording of this room."""

    recording: ShortText


class RecordStop(Struct, frozen=True):
    """Stop a recording of this room."""

    recording: ShortText


LayoutName = Literal["grid", "speaker", "single", "screen"]


class BroadcastStart(Struct, frozen=True):
    """Send this room to destinations."""

    destinations: Annotated[list[ShortText], Meta(min_length=1, max_length=32)]
    layout: LayoutName = "grid"
    person: Annotated[str, Meta(max_length=256)] | None = None
    names: bool | None = None
    chat: bool | None = None
    mode: Literal["program", "passthrough"] = "program"
    publisher: ShortText | None = None


class BroadcastChange(Struct, frozen=True):
    """Change how a program of this room looks and sounds; what is left out stays as it is."""

    broadcast: ShortText
    layout: LayoutName | None = None
    person: Annotated[str, Meta(max_length=256)] | None = None
    names: bool | None = None
    chat: bool | None = None
    gains: Annotated[dict[str, Annotated[float, Meta(ge=0, le=4)]], Meta(max_length=100)] | None = None


class BroadcastStop(Struct, frozen=True):
    """Stop a broadcast of this room."""

    broadcast: ShortText


class Destinations(Struct, frozen=True):
    """Ask where this room may be sent."""


class Renew(Struct, frozen=True):
    """Bring a fresh token."""

    token: TokenText


class Leave(Struct, frozen=True):
    """Go."""


class Ping(Struct, frozen=True):
    """Ask for the server's clock."""


Act = (
    Publish
    | SubscribeAnswer
    | SubscribeRestart
    | Subscription
    | Mute
    | Chat
    | ChatDelete
    | AcceptTerms
    | Consent
    | Acknowledge
    | Moderate
    | RecordStart
    | RecordPause
    | RecordResume
    | RecordStop
    | BroadcastStart
    | BroadcastChange
    | BroadcastStop
    | Destinations
)
"""Requests that need a participant and nothing of the connection itself."""

Request = Join | Act | Renew | Leave | Ping

METHODS: Final[Mapping[str, tuple[type[Request], Lane]]] = MappingProxyType({
    "join": (Join, Lane.CONTROL),
    "publish": (Publish, Lane.MEDIA),
    "subscribe_answer": (SubscribeAnswer, Lane.MEDIA),
    "subscribe_restart": (SubscribeRestart, Lane.MEDIA),
    "subscription": (Subscription, Lane.MEDIA),
    "mute": (Mute, Lane.MEDIA),
    "chat": (Chat, Lane.CONTROL),
    "chat_delete": (ChatDelete, Lane.CONTROL),
    "accept_terms": (AcceptTerms, Lane.CONTROL),
    "consent": (Consent, Lane.CONTROL),
    "acknowledge": (Acknowledge, Lane.CONTROL),
    "moderate": (Moderate, Lane.CONTROL),
    "record_start": (RecordStart, Lane.CONTROL),
    "record_pause": (RecordPause, Lane.CONTROL),
    "record_resume": (RecordResume, Lane.CONTROL),
    "record_stop": (RecordStop, Lane.CONTROL),
    "broadcast_start": (BroadcastStart, Lane.CONTROL),
    "broadcast_change": (BroadcastChange, Lane.CONTROL),
    "broadcast_stop": (BroadcastStop, Lane.CONTROL),
    "destinations": (Destinations, Lane.CONTROL),
    "renew": (Renew, Lane.CONTROL),
    "leave": (Leave, Lane.CONTROL),
    "ping": (Ping, Lane.CONTROL),
})  # fmt: skip
"""Every method with its params and its lane."""


class Answer(Struct, frozen=True):
    """A JSON-RPC result."""

    id: Id
    result: object
    jsonrpc: str = "2.0"


class ErrorBody(Struct, frozen=True, omit_defaults=True):
    """The `error` member of a JSON-RPC error."""

    code: int
    message: str
    data: dict[str, object] | None = None


class Failure(Struct, frozen=True):
    """A JSON-RPC error; `id` is None when the request could not be told."""

    id: Id | None
    error: ErrorBody
    jsonrpc: str = "2.0"


class Notification(Struct, frozen=True):
    """A JSON-RPC notification from the server."""

    method: str
    params: object
    jsonrpc: str = "2.0"
