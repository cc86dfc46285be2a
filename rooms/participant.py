"""The handle by which one session acts in a room."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from policy import (
    Acceptance,
    ConsentState,
    Deny,
    Permission,
    TermsDocument,
    Use,
    has_accepted,
    may_chat,
)
from rooms.activities import Activities
from rooms.consent import ConsentService
from rooms.errors import Code, Refused
from rooms.events import (
    ActivitiesChanged,
    Chat,
    ChatDeleted,
    DataLost,
    DataRefused,
    NoticeRaised,
    Removed,
    RoomEvent,
    SpeakersChanged,
    SubscribeOfferReady,
)
from rooms.house import House
from rooms.leaving import Leaving
from rooms.mailbox import Mailbox
from rooms.member import Member
from rooms.moderation import Moderation
from rooms.plane_errors import plane_errors
from rooms.publishing import Publishing, refused
from rooms.renewal import Renewal
from rooms.room import Room
from rooms.subscribing import Subscribing
from rooms.types import (
    Action,
    ChatMessage,
    DataShare,
    MediaOnResume,
    ParticipantInfo,
    Published,
    Revocation,
    Source,
    SubscribeOffer,
    Transport,
    Viewed,
)
from sfu import PeerId, TrackId


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """The parts of the service that a participant's calls go to."""

    house: House
    consent: ConsentService
    activities: Activities
    publishing: Publishing
    subscribing: Subscribing
    moderation: Moderation
    leaving: Leaving
    renewal: Renewal


class Participant:
    """One session's hold on its place in a room; made by `RoomService.join`.

    A resume makes a new handle for the same place; what an older handle is asked then is refused with
    `conflict`, and its `leave` and `suspend` do nothing. Every method runs on the event loop's thread and
    may raise `Refused`.
    """

    def __init__(
        self, desks: Desks, room: Room, member: Member, *, secret: str, is_resumed: bool, media: MediaOnResume
    ) -> None:
        self._desks = desks
        self._member = member
        self.room = room
        self.resume_secret = secret
        """Takes this place again within the grace time; serves once. Empty for WHIP and WHEP."""
        self.is_resumed = is_resumed
        self.media: MediaOnResume = media
        """Whether the peer connections of before still stand."""
        self.events: Mailbox[RoomEvent] = Mailbox(
            desks.house.limits.events_waiting,
            replaceable=(SpeakersChanged, SubscribeOfferReady, ActivitiesChanged, DataRefused, DataLost),
            overflow_event=Removed("slow_reader"),
            on_overflow=self._overflow,
        )
        """For one consumer; ends after `Removed` or `RoomClosed`."""

    # What the session knows

    @property
    def id(self) -> str:
        """Random id of this place; others see it."""
        return self._member.id

    @property
    def person(self) -> str:
        """Random id in the ledger; not for other participants."""
        return self._member.person

    @property
    def identity(self) -> str:
        """The token's subject."""
        return self._member.identity

    @property
    def name(self) -> str:
        """Screen name, unique in the room."""
        return self._member.name

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the token allows now."""
        return self._member.permissions

    @property
    def transport(self) -> Transport:
        """How the session joined."""
        return self._member.transport

    @property
    def is_external(self) -> bool:
        """A viewer outside the room."""
        return self._member.is_external

    @property
    def expires_at_ms(self) -> int | None:
        """End of the token, Unix milliseconds."""
        return self._member.facts.expires_at_ms

    @property
    def is_attached(self) -> bool:
        """Whether this handle still holds the place."""
        return self._member.session is self

    @property
    def has_accepted_terms(self) -> bool:
        """Whether the person's acceptance serves now, age statement included."""
        now_ms = self._desks.house.now_ms()
        return has_accepted(self._member.facts, self.room.facts, now_ms) is None

    def info(self) -> ParticipantInfo:
        """As the others see it."""
        return self.room.info_of(self._member)

    def others(self) -> tuple[ParticipantInfo, ...]:
        """Everyone else in the room."""
        if self.is_external:
            return ()
        return tuple(info for info in self.room.participants() if info.id != self.id)

    def pending_notices(self) -> tuple[NoticeRaised, ...]:
        """Notices that the person has not acknowledged."""
        return self.room.notices_for(self._member)

    def chat_history(self) -> tuple[ChatMessage, ...]:
        """The newest chat lines that this person may see."""
        return () if self.is_external else self.room.chat.visible_to(self.id)

    def data_share(self) -> DataShare | None:
        """How much data the person may send; None while the server carries none."""
        house = self._desks.house
        message_bytes = house.plane.data_message_bytes
        if message_bytes is None:
            return None
        limits = house.limits
        return DataShare(
            message_bytes=message_bytes,
            messages_per_s=limits.data_per_s,
            bytes_per_s=limits.data_bytes_per_s,
        )

    def consent_states(self) -> Mapping[Use, ConsentState]:
        """How the person stands towards every use."""
        return self._desks.consent.states(self.room, self._member)

    def terms(self) -> TermsDocument:
        """The terms in force."""
        return self._desks.consent.policy.current_terms()

    # Media

    async def publish(
        self, offer: str, sources: Mapping[str, Source] | None = None, *, is_e2ee: bool = False
    ) -> Published:
        """Answer a publish offer: a renegotiation or ICE restart of the connection, or a new connection.

        `sources`: mid -> what the track shows. `is_e2ee`: what it sends is encrypted end to end: it goes to
        participants alone, into no recording and no broadcast.

        Raises: Refused (forbidden, terms_required, age_required, notice_required, invalid_sdp,
        unsupported_codec, too_large, conflict, not_found, room_full, unavailable).
        """
        return await self._desks.publishing.publish(
            self.room, self._here(), offer, sources or {}, is_e2ee=is_e2ee
        )

    async def next_offer(self) -> SubscribeOffer | None:
        """The subscribe offer to send next, after `SubscribeOfferReady`; None when there is none now.

        Raises: Refused.
        """
        return await self._desks.subscribing.next_offer(self.room, self._here())

    async def subscribe_answer(self, version: int, sdp: str) -> None:
        """Take the answer to an offer.

        Raises: Refused (not_found, invalid_sdp).
        """
        await self._desks.subscribing.answer(self.room, self._here(), version, sdp)

    async def restart_subscriber(self, *, is_fresh: bool = False) -> None:
        """The subscribe connection failed.

        An offer follows, for the same connection unless it must be a new one.

        Raises: Refused.
        """
        await self._desks.subscribing.restart(self.room, self._here(), is_fresh=is_fresh)

    async def subscription(
        self,
        track: TrackId,
        *,
        is_enabled: bool = True,
        spatial: int | None = None,
        temporal: int | None = None,
        height: int | None = None,
        priority: int | None = None,
    ) -> None:
        """Pause or resume a received track, or say how it is shown.

        `spatial`, `temporal`: the highest layers wanted (0 is the lowest, None the best); `height`: pixels
        that the picture is shown at; `priority` 1 to 255: what climbs first (None: 128 for a screen, 1 for
        a camera).

        Raises: Refused (not_found).
        """
        await self._desks.subscribing.set_layer(
            self.room,
            self._here(),
            track,
            is_enabled=is_enabled,
            spatial=spatial,
            temporal=temporal,
            height=height,
            priority=priority,
        )

    async def set_muted(self, track: TrackId, is_muted: bool) -> None:
        """Mute or unmute an own track, for everyone and at once.

        Raises: Refused (not_found, forbidden).
        """
        await self._desks.publishing.set_muted(self.room, self._here(), track, is_muted=is_muted)

    async def set_source(self, track: TrackId, source: Source) -> None:
        """Say what an own track shows now.

        Raises: Refused (not_found).
        """
        self._desks.publishing.set_source(self.room, self._here(), track, source)

    async def view(self, offer: str, identity: str | None = None) -> Viewed:
        """Answer a viewer's offer (WHEP): one participant, or whoever speaks.

        An external viewer sees only whom a `live` grant shows; its first view raises the notice in the room.

        Raises: Refused (forbidden, conflict, invalid_sdp, unsupported_codec, room_full, unavailable).
        """
        member = self._here()
        if Permission.SUBSCRIBE not in member.permissions:
            raise Refused(
                Code.FORBIDDEN, "the token does not allow watching: ask for one with the subscribe grant"
            )
        activity = None
        if member.is_external and member.site is not None:
            activity = await self._desks.activities.watch(self.room, member.site)
            self._here()
        return await self._desks.consent.gates.desk(self.room).views.start(member, offer, identity, activity)

    async def trickle(self, fragment: str) -> None:
        """Take a trickle fragment for the publish or view connection (WHIP, WHEP).

        Raises: Refused (not_found, invalid_sdp).
        """
        with plane_errors():
            await self.room.router.trickle(self._peer(), fragment)

    async def restart_ice(self, fragment: str) -> str:
        """Restart ICE of the publish or view connection by fragment (WHIP, WHEP): the answer's fragment.

        Raises: Refused (not_found, invalid_sdp).
        """
        with plane_errors():
            return await self.room.router.restart(self._peer(), fragment)

    # Chat

    async def chat(self, text: str, to: str | None = None) -> ChatMessage:
        """Write a chat line to everyone, or to one participant (id). It goes out where its author is granted.

        Raises: Refused (forbidden, terms_required, age_required, notice_required, rate_limited, too_large,
        invalid_request, not_found).
        """
        member, room, house = self._here(), self.room, self._desks.house
        now_ms = house.now_ms()
        decision = may_chat(member.permissions, member.seen, room.facts, room.notice_ids(), now_ms)
        if isinstance(decision, Deny):
            raise refused(room, member, decision, self._desks.consent.policy.current_terms().version)
        reader = room.members.get(to) if to is not None else None
        if to is not None and reader is None:
            raise Refused(Code.NOT_FOUND, "the reader of the line is not in the room")
        line = room.chat.compose(
            member, text, line_id=house.id("c"), now=house.clock.monotonic(), now_ms=now_ms, to=to
        )
        room.chat.add(line)
        if reader is not None:
            room.tell_some({reader, member}, Chat(line))
            return line
        room.tell(Chat(line))
        self._desks.consent.chat_written(room, member, line)
        return line

    async def delete_chat(self, line_id: str) -> None:
        """Take back a line of one's own, or as a moderator anybody's: everywhere, recordings included.

        Raises: Refused (not_found, forbidden).
        """
        member, room = self._here(), self.room
        line = next((line for line in room.chat.visible_to(member.id) if line.id == line_id), None)
        if line is None:
            raise Refused(Code.NOT_FOUND, "no such line, or one too old to be taken back")
        if line.identity != member.identity and Permission.MODERATE not in member.permissions:
            raise Refused(Code.FORBIDDEN, "only its author and moderators may delete a line")
        room.chat.delete(line)
        if line.to is not None:
            both = {line.to, line.participant} & room.members.keys()
            room.tell_some([room.members[person] for person in both], ChatDeleted(line.id))
            return
        room.tell(ChatDeleted(line.id))
        self._desks.consent.chat_deleted(room, line)

    # Consent

    async def accept_terms(self, version: str, age_18: bool) -> Mapping[Use, ConsentState]:
        """Accept the terms in force, with the age statement.

        Raises: Refused (age_required, conflict).
        """
        acceptance = Acceptance(terms_version=version, age_18=age_18)
        await self._desks.consent.accept(self.room, self._here(), acceptance)
        return self.consent_states()

    async def consent(
        self, choices: Mapping[Use, bool]
    ) -> tuple[Mapping[Use, ConsentState], Revocation | None]:
        """Agree to uses, or take them back; taking back cuts first.

        How the person stands then, and how the cut went.

        Raises: Refused (invalid_request, terms_required, age_required, unavailable).
        """
        revocation = await self._desks.consent.choose(self.room, self._here(), choices)
        return self.consent_states(), revocation

    async def acknowledge(self, notice_id: str) -> None:
        """The person has seen a notice.

        Raises: Refused (not_found).
        """
        await self._desks.consent.acknowledge(self.room, self._here(), notice_id)

    async def revoke(self, uses: tuple[Use, ...] | None = None) -> Revocation:
        """Take uses back, all of them by default; done when no packet of theirs can reach a sink.

        Raises: Refused when the handle no longer holds the place.
        """
        member = self._here()
        named = self._desks.consent.uses_of(self.room) if uses is None else uses
        cutting = self._desks.consent.refuse(self.room, member, named, "revoked")
        self.room.tell_updated(member)
        return await asyncio.shield(cutting)

    # Others

    async def moderate(self, action: Action, identity: str, *, ban_s: float | None = None) -> None:
        """Mute, unmute, remove or ban somebody; effective on media when this returns.

        Raises: Refused (forbidden, not_found).
        """
        permissions = self._here().permissions
        await self._desks.moderation.moderate(
            self.room, action, identity, permissions=permissions, ban_s=ban_s
        )

    # The stay

    async def suspend(self) -> None:
        """Signalling is lost: gates close, the place is kept for the grace time. Without one: a leave."""
        if self.is_attached:
            await self._desks.leaving.suspend(self.room, self._member)

    async def leave(self, reason: str = "left") -> Revocation | None:
        """End the stay; grants end before this returns. None when it had ended already."""
        if not self.is_attached:
            return None
        return await self._desks.leaving.leave(self.room, self._member, reason)

    async def renew(self, expires_at_ms: int | None, permissions: frozenset[Permission]) -> None:
        """A new token for the same place: permissions that it lacks end at once.

        Raises: Refused (unauthorized, forbidden).
        """
        await self._desks.renewal.renew(self.room, self._here(), expires_at_ms, permissions)

    def _here(self) -> Member:
        if not self.is_attached:
            raise Refused(Code.CONFLICT, "this session has ended, or another one has taken its place")
        return self._member

    def _peer(self) -> PeerId:
        member = self._here()
        viewing = member.viewing
        peer = viewing.peer if viewing is not None else member.publish_peer
        if peer is None:
            raise Refused(Code.NOT_FOUND, "there is no connection")
        return peer

    def _overflow(self) -> None:
        # The session does not read: it goes as if its connection were lost, and may resume.
        self._desks.house.scope.start(self._cut_off(), "slow_reader")

    async def _cut_off(self) -> None:
        await self.suspend()
