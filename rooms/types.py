"""What rooms hand out and take: plain immutable values. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from policy import Acceptance, ConsentState, Permission, Site, Use
from sfu import TrackId

Transport = Literal["ws", "whip", "whep"]
"""How somebody joins: a session with signalling, or one HTTP resource."""

MediaOnResume = Literal["kept", "new"]
"""`kept`: the peer connections outlived the lost signalling; `new`: the browser makes them anew."""


class Source(StrEnum):
    """What a track shows or sounds of."""

    MIC = "mic"
    CAMERA = "camera"
    SCREEN = "screen"
    SCREEN_AUDIO = "screen_audio"


class State(StrEnum):
    """Where a participant stands in the room."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


class Action(StrEnum):
    """What a moderator can do to a participant."""

    MUTE = "mute"
    UNMUTE = "unmute"
    REMOVE = "remove"
    BAN = "ban"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """Everything that signalling knows of somebody at the door; the token is verified already."""

    room: str
    identity: str
    permissions: frozenset[Permission]
    name: str = ""
    """Screen name; empty = the identity."""
    address_hash: str = ""
    """`Store.keyed_hash("address", ip)`; empty = unknown."""
    accept: Acceptance | None = None
    choices: Mapping[Use, bool] = field(default_factory=dict)
    """Uses answered on the join screen, or vouched for by the token."""
    expires_at_ms: int | None = None
    """End of the token, Unix milliseconds."""
    resume: str | None = None
    """Secret of the place to take again; a wrong or late one makes an ordinary join."""
    media: MediaOnResume = "new"
    transport: Transport = "ws"
    is_external: bool = False
    """A viewer outside the room: sees only whom a `live` grant shows, is not listed, may not publish."""
    site: Site | None = None
    """For external viewers: the site they watch on; None = this server's own embed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackInfo:
    """One published track as others see it."""

    track: TrackId
    kind: Literal["audio", "video"]
    source: Source
    is_muted: bool = False
    """By its owner."""
    is_enforced: bool = False
    """By a moderator: the server drops its packets."""
    codec: str | None = None
    """None until the first packet."""
    is_simulcast: bool = False
    is_e2ee: bool = False
    """Encrypted end to end: participants who have the key can play it, and it goes nowhere else."""
    mid: str = ""
    """Of the owner's publish connection; only meaningful to the owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantInfo:
    """One participant as others see them."""

    id: str
    identity: str
    name: str
    permissions: frozenset[Permission]
    state: State
    joined_ms: int
    tracks: tuple[TrackInfo, ...]
    consent: Mapping[Use, ConsentState]
    transport: Transport = "ws"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityInfo:
    """One recording, broadcast or external viewing that runs, as everyone in the room is told."""

    id: str
    use: Use
    sites: tuple[Site, ...]
    since_ms: int
    started_by: str | None
    """Participant id, or None when an API key started it."""
    is_paused: bool = False
    """Nothing is kept just now; it may go on at any moment."""
    unreached: frozenset[str] = frozenset()
    """Ids of those sites that take nothing just now; they may again at any moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One chat line."""

    id: str
    at_ms: int
    participant: str
    identity: str
    name: str
    text: str
    to: str | None = None
    """Participant id of the only other reader; None = everyone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTrack:
    """One m-section of a subscribe offer, with whose track it carries."""

    mid: str
    track: TrackId
    participant: str
    kind: Literal["audio", "video"]
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeOffer:
    """What to send to the subscribe connection next."""

    version: int
    sdp: str
    is_fresh: bool
    """The client must make a new subscribe connection for it."""
    tracks: tuple[OfferedTrack, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Answer to a publish offer."""

    sdp: str
    tracks: tuple[TrackInfo, ...]
    """All tracks of the connection, each with its mid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """Answer to a viewer's offer (WHEP)."""

    sdp: str
    tracks: tuple[TrackInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataShare:
    """How much data one participant may send, envelopes included."""

    message_bytes: int
    messages_per_s: float
    bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """How one revocation went."""

    latency_ms: float
    """From the call until every consumer acknowledged (or was killed) and no packet was left in the engine.
    """
    cut: tuple[str, ...]
    """Ids of the activities that held something of the person."""
    killed: tuple[str, ...]
    """Ids of the activities whose consumer did not acknowledge in time."""
    is_recorded: bool
    """Whether the ledger took it; if not it is queued and retried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomInfo:
    """One open room."""

    id: str
    name: str
    title: str
    created_ms: int
    participants: int
    viewers: int
    activities: tuple[ActivityInfo, ...]
