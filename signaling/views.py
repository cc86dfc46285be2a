"""What the wire shows of rooms, as structs: WebSocket messages and REST bodies share them.

PURE: no I/O.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from policy import ConsentState, Site, TermsDocument, Use
from rooms import (
    ActivityInfo,
    ChatMessage,
    DataRefused,
    DataShare,
    NoticeRaised,
    ParticipantInfo,
    Refused,
    SubscribeOffer,
    TrackInfo,
)
from signaling.errors import Problem, problem_of


class TrackView(Struct, frozen=True):
    """One published track."""

    track: int
    kind: str
    source: str
    muted: bool
    enforced: bool
    codec: str | None
    simulcast: bool
    e2ee: bool


class ParticipantView(Struct, frozen=True):
    """One participant as others see them."""

    id: str
    identity: str
    name: str
    permissions: list[str]
    state: str
    joined_ms: int
    tracks: list[TrackView]
    consent: dict[str, str]


class SiteView(Struct, frozen=True):
    """Where something goes."""

    site: str
    name: str
    url: str


class ReachedSiteView(SiteView, frozen=True):
    """Where something goes, and whether it arrives."""

    is_reached: bool
    """Whether the site takes what is sent; if not, it may again at any moment."""


class ActivityView(Struct, frozen=True):
    """A recording or broadcast that runs; `kind` is its use."""

    id: str
    kind: str
    sites: list[ReachedSiteView]
    since_ms: int
    started_by: str | None
    is_paused: bool = False
    """Nothing is kept just now; it may go on at any moment."""


class NoticeView(Struct, frozen=True):
    """What must be shown before somebody's media may go out."""

    notice: str
    uses: list[str]
    sites: list[SiteView]
    activity: str


class ChatView(Struct, frozen=True):
    """One chat line."""

    id: str
    at_ms: int
    participant: str
    identity: str
    name: str
    text: str


class TermsUseView(Struct, frozen=True):
    """One use that the terms ask for."""

    use: str
    title: str
    text: str
    media: list[str]


class TermsView(Struct, frozen=True):
    """The terms in force, for one participant."""

    version: str
    url: str
    title: str
    age_statement: str
    uses: list[TermsUseView]
    effective_ms: int
    accepted: bool


class TermsText(Struct, frozen=True):
    """One version of the terms in full."""

    version: str
    url: str
    title: str
    effective_ms: int
    text: str
    age_statement: str
    uses: list[TermsUseView]


class OfferedTrackView(Struct, frozen=True):
    """What one m-section of an offer carries."""

    mid: str
    track: int
    participant: str
    kind: str
    source: str


class SubscribeOfferView(Struct, frozen=True):
    """An offer for the subscribe peer connection."""

    version: int
    fresh: bool
    sdp: str
    tracks: list[OfferedTrackView]


class DataView(Struct, frozen=True):
    """How much data one participant may send; messages are counted with their envelopes."""

    message_bytes: int
    messages_per_s: float
    bytes_per_s: float


class JoinResult(Struct, frozen=True):
    """All that somebody who came in needs to know."""

    participant: str
    identity: str
    name: str
    room: str
    resumed: bool
    media: str
    resume: str
    resume_grace_s: float
    permissions: list[str]
    token_expires_at: int
    mode: str
    terms: TermsView
    ice_servers: list[dict[str, object]]
    participants: list[ParticipantView]
    activities: list[ActivityView]
    notice: NoticeView | None
    chat_history: list[ChatView]
    consent: dict[str, str]
    data: DataView | None


def track_view(track: TrackInfo) -> TrackView:
    """A track for the wire."""
    return TrackView(
        track=track.track,
        kind=track.kind,
        source=str(track.source),
        muted=track.is_muted,
        enforced=track.is_enforced,
        codec=track.codec,
        simulcast=track.is_simulcast,
        e2ee=track.is_e2ee,
    )


def participant_view(participant: ParticipantInfo) -> ParticipantView:
    """A participant for the wire."""
    return ParticipantView(
        id=participant.id,
        identity=participant.identity,
        name=participant.name,
        permissions=sorted(str(permission) for permission in participant.permissions),
        state=str(participant.state),
        joined_ms=participant.joined_ms,
        tracks=[track_view(track) for track in participant.tracks],
        consent=consent_view(participant.consent),
    )


def consent_view(consent: Mapping[Use, ConsentState]) -> dict[str, str]:
    """Consent states by use for the wire."""
    return {str(use): str(state) for use, state in consent.items()}


def site_view(site: Site) -> SiteView:
    """A site for the wire."""
    return SiteView(site=site.id, name=site.name, url=site.url)


def activity_view(activity: ActivityInfo) -> ActivityView:
    """An activity for the wire."""
    return ActivityView(
        id=activity.id,
        kind=str(activity.use),
        sites=[
            ReachedSiteView(
                site=site.id, name=site.name, url=site.url, is_reached=site.id not in activity.unreached
            )
            for site in activity.sites
        ],
        since_ms=activity.since_ms,
        started_by=activity.started_by,
        is_paused=activity.is_paused,
    )


def notice_view(notice: NoticeRaised) -> NoticeView:
    """A notice for the wire."""
    return NoticeView(
        notice=notice.notice_id,
        uses=[str(use) for use in notice.uses],
        sites=[site_view(site) for site in notice.sites],
        activity=notice.activity,
    )


def data_view(share: DataShare | None) -> DataView | None:
    """How much data may be sent, for the wire."""
    if share is None:
        return None
    return DataView(share.message_bytes, share.messages_per_s, share.bytes_per_s)


def data_refused_view(event: DataRefused) -> dict[str, object]:
    """A refusal of data messages for the wire."""
    view: dict[str, object] = {"code": event.code, "reason": event.reason, "count": event.count}
    if event.retry_after_s is not None:
        view["retry_after_s"] = round(event.retry_after_s, 3)
    return view


def chat_view(message: ChatMessage) -> ChatView:
    """A chat line for the wire."""
    return ChatView(
        id=message.id,
        at_ms=message.at_ms,
        participant=message.participant,
        identity=message.identity,
        name=message.name,
        text=message.text,
    )


def terms_uses(
    document: TermsDocument, offered: Sequence[Use] | frozenset[Use] | None = None
) -> list[TermsUseView]:
    """The uses that a document asks for, only those in `offered` when given."""
    return [
        TermsUseView(
            use=str(item.use),
            title=item.title,
            text=item.text,
            media=sorted(str(kind) for kind in item.media),
        )
        for item in document.uses
        if offered is None or item.use in offered
    ]


def terms_view(
    document: TermsDocument, *, is_accepted: bool, offered: frozenset[Use] | None = None
) -> TermsView:
    """The terms for one participant."""
    return TermsView(
        version=document.version,
        url=f"/terms/{document.version}",
        title=document.title,
        age_statement=document.age_statement,
        uses=terms_uses(document, offered),
        effective_ms=document.effective_at_ms,
        accepted=is_accepted,
    )


def terms_text(document: TermsDocument) -> TermsText:
    """A version of the terms in full."""
    return TermsText(
        version=document.version,
        url=f"/terms/{document.version}",
        title=document.title,
        effective_ms=document.effective_at_ms,
        text="\n\n".join(document.paragraphs),
        age_statement=document.age_statement,
        uses=terms_uses(document),
    )


def offer_view(offer: SubscribeOffer) -> SubscribeOfferView:
    """A subscribe offer for the wire."""
    return SubscribeOfferView(
        version=offer.version,
        fresh=offer.is_fresh,
        sdp=offer.sdp,
        tracks=[
            OfferedTrackView(
                mid=track.mid,
                track=track.track,
                participant=track.participant,
                kind=track.kind,
                source=str(track.source),
            )
            for track in offer.tracks
        ],
    )


def refusal(error: BaseException) -> Problem | None:
    """The refusal behind an exception of a lower floor, with what mends it; None for a fault."""
    if isinstance(error, Refused):
        extra: dict[str, object] = {}
        notices = [notice for notice in error.notices if isinstance(notice, NoticeRaised)]
        if notices:
            extra["notice"] = notice_view(notices[0])
            extra["notices"] = [notice_view(notice) for notice in notices]
            extra["uses"] = sorted({str(use) for notice in notices for use in notice.uses})
        if error.terms_version is not None:
            extra["terms_version"] = error.terms_version
        return Problem(str(error.code), error.reason, retry_after_s=error.retry_after_s, extra=extra)
    return problem_of(error)
