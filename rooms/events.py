"""What a session is told: frozen events, each named like the notification it becomes. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass

from policy import ConsentState, Site, TermsDocument, Use
from rooms.types import ActivityInfo, ChatMessage, ParticipantInfo, TrackInfo
from sfu import TrackId


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """Somebody else came in."""

    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantUpdated:
    """Somebody's name, permissions, state or consent changed."""

    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """Somebody else is gone; the reasons are those of `Removed`."""

    participant: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """Somebody else's new track."""

    participant: str
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    """A track of somebody (also one's own, when the server ended it) is gone."""

    participant: str
    track: TrackId


@dataclass(frozen=True, slots=True)
class TrackMuted:
    """A track was muted or unmuted; goes to its owner too when a moderator did it."""

    participant: str
    track: TrackId
    is_muted: bool
    is_enforced: bool


@dataclass(frozen=True, slots=True)
class SubscribeOfferReady:
    """`Participant.next_offer()` has something to say; at most one of these waits."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat line; its author gets it too."""

    message: ChatMessage


@dataclass(frozen=True, slots=True)
class ChatDeleted:
    """A chat line is no more."""

    id: str


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Who speaks now: (participant, level in dBov), loudest first. Only the newest of these waits."""

    speakers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class NoticeRaised:
    """Show this before the person's media may go out; answer with `Participant.acknowledge(notice_id)`."""

    notice_id: str
    uses: tuple[Use, ...]
    sites: tuple[Site, ...]
    activity: str


@dataclass(frozen=True, slots=True)
class ActivitiesChanged:
    """All that runs now; the indicator follows it."""

    activities: tuple[ActivityInfo, ...]


@dataclass(frozen=True, slots=True)
class ConsentChanged:
    """One's own consent changed other than by one's own call."""

    consent: Mapping[Use, ConsentState]
    reason: str


@dataclass(frozen=True, slots=True)
class TermsChanged:
    """Another version of the terms is in force; `is_accepted`: the person's acceptance still serves."""

    terms: TermsDocument
    is_accepted: bool


@dataclass(frozen=True, slots=True)
class RevocationDone:
    """A revocation of this person is through: nothing of the revoked version reaches a sink any more."""

    uses: tuple[Use, ...]
    latency_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class CodecUnsupported:
    """This client cannot decode `track` (or, to its owner: somebody cannot)."""

    track: TrackId
    codec: str


@dataclass(frozen=True, slots=True)
class LayerChosen:
    """What this participant receives of a video track changed.

    `state`: `active`, `paused` (as asked for) or `starved` (the path does not carry it). `spatial`,
    `temporal`: the highest layers that come, None the best there is.
    """

    track: TrackId
    state: str
    spatial: int | None
    temporal: int | None


@dataclass(frozen=True, slots=True)
class LayersWanted:
    """Which encodings of an own video anybody has a use for; the others may rest."""

    track: TrackId
    rids: tuple[str, ...]
    is_wanted: bool
    """Whether anybody has a use for any: says it of an encoding that has no rid."""
    spatial: int | None = None
    """The highest spatial layer inside such an encoding that anybody has a use for; None: all."""


@dataclass(frozen=True, slots=True)
class DataRefused:
    """Data messages of this participant went to nobody: the newest refusal, and how many since the join."""

    code: str
    reason: str
    count: int
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class DataLost:
    """This participant reads too slowly: so many reliable messages for it were lost since the join."""

    count: int


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """One's own peer connection is gone: `role` is `publish`, `subscribe` or `view`.

    Signalling may start anew.
    """

    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """Session over: `removed`, `banned`, `replaced`, `token_expired`, `slow_reader`, `lost`, `left`."""

    reason: str


@dataclass(frozen=True, slots=True)
class RoomClosed:
    """The room is over."""

    reason: str


RoomEvent = (
    ParticipantJoined
    | ParticipantUpdated
    | ParticipantLeft
    | TrackPublished
    | TrackUnpublished
    | TrackMuted
    | SubscribeOfferReady
    | Chat
    | ChatDeleted
    | SpeakersChanged
    | NoticeRaised
    | ActivitiesChanged
    | ConsentChanged
    | TermsChanged
    | RevocationDone
    | CodecUnsupported
    | LayerChosen
    | LayersWanted
    | DataRefused
    | DataLost
    | PeerClosed
    | Removed
    | RoomClosed
)
