"""Joining: who is let in, with what they said at the door, and who takes their place again."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import structlog

from policy import (
    Acceptance,
    Comer,
    ConsentFacts,
    Deny,
    Door,
    Hold,
    NameRefused,
    RoomMode,
    Site,
    Use,
    admit,
    normalize_identity,
    normalize_room,
    normalize_screen_name,
    unique_name,
)
from rooms.errors import Code, Refused
from rooms.events import ParticipantJoined, Removed, SpeakersChanged
from rooms.house import House, secret_hash
from rooms.member import Member
from rooms.participant import Desks, Participant
from rooms.register import Register
from rooms.room import Room, notice_of
from rooms.types import JoinRequest, MediaOnResume, State
from store import StoreError

_log = structlog.get_logger("rooms")

OWN_SITE = Site(id="embed", name="embedded player")
"""Where an external viewer watches when the token names no partner: the operator's own pages."""


class Joining:
    """The door of every room."""

    def __init__(self, house: House, desks: Desks, register: Register) -> None:
        self._house = house
        self._desks = desks
        self._consent = desks.consent
        self._register = register
        self.is_draining = False
        """Nobody new is let in; who is inside may resume."""

    async def join(self, request: JoinRequest) -> Participant:
        """Let somebody in, or give them their place again.

        An identity that is inside already is replaced: the newest join wins, the older session is told
        `replaced`.

        Raises: Refused (unauthorized, forbidden, banned, room_full, notice_required, invalid_request,
        conflict, unavailable, shutting_down).
        """
        request = _normal(request)
        resumed = await self._resume(request)
        if resumed is not None:
            return resumed
        if self.is_draining:
            raise Refused(
                Code.SHUTTING_DOWN, "the server is shutting down: join again soon", retry_after_s=2.0
            )
        if not self._register.exists(request.room) and not self._house.config.creates_on_join:
            raise Refused(Code.FORBIDDEN, "there is no such room for you")
        room = await self._register.obtain(request.room)
        self._admit(room, request)
        member = await self._member(request)
        await self._speak_for(room, member, request)
        # Others came and went while the store was asked: the door is looked at once more.
        self._admit(room, request)
        return await self._enter(room, member)

    async def _resume(self, request: JoinRequest) -> Participant | None:
        """The place that the request's secret takes again, or None: then it is an ordinary join."""
        room = self._register.find(request.room)
        if request.resume is None or room is None or room.is_closed:
            return None
        member = room.resumes.get(secret_hash(request.resume))
        if member is None or member.identity != request.identity or not member.is_present:
            return None
        self._admit(room, replace(request, transport="ws"))
        old, member.session = member.session, None
        if old is not None:
            old.events.close(Removed("replaced"))
        if member.grace is not None:
            member.grace.cancel()
            member.grace = None
        member.address_hash = request.address_hash
        member.state = State.ACTIVE
        participant = self._attach(room, member, is_resumed=True, media=request.media)
        with self._answering(room, member):
            await self._desks.renewal.renew(room, member, request.expires_at_ms, request.permissions)
            if request.media == "new":
                await self._desks.leaving.drop_peers(room, member)
                self._desks.subscribing.catch_up(room, member)
            else:
                self._desks.publishing.resume(room, member)
                self._desks.subscribing.resume(room, member)
            member.tell(SpeakersChanged(room.spoken))
            await self._consent.resume(room, member, Hold.SIGNALLING)
            if request.accept is not None:
                await self._speak_for(room, member, request)
        room.tell_updated(member)
        _log.info("participant_resumed", room=room.id, participant=member.id)
        return participant

    def _admit(self, room: Room, request: JoinRequest) -> None:
        """Look at the comer once more, from what is known now.

        Raises: Refused.
        """
        house, now_ms = self._house, self._house.now_ms()
        if room.is_closed:
            raise Refused(Code.CONFLICT, "the room was closed just now: join again", retry_after_s=1.0)
        room.bans[:] = [ban for ban in room.bans if now_ms < ban.expires_at_ms]
        comer = Comer(
            permissions=request.permissions,
            identity_hash=house.store.keyed_hash("ban", request.identity),
            address_hash=request.address_hash,
            expires_at_ms=request.expires_at_ms,
            is_external=request.is_external,
            is_replacing=room.by_identity(request.identity) is not None,
        )
        door = Door(
            participants=room.count(),
            viewers=len(room.viewers),
            max_participants=room.settings.max_participants,
            max_viewers=room.settings.max_viewers,
            bans=tuple(room.bans),
        )
        decision = admit(comer, door, now_ms)
        if isinstance(decision, Deny):
            _log.info("join_refused", room=room.id, code=decision.code)
            code = Code(decision.code)
            retry_after_s = 10.0 if code is Code.ROOM_FULL else None
            raise Refused(code, decision.reason, retry_after_s=retry_after_s)
        if request.transport == "whip" and room.running() and not self._vouches(request):
            uses = ", ".join(dict.fromkeys(activity.use for activity in room.running()))
            raise Refused(
                Code.NOTICE_REQUIRED,
                f"{uses} runs in this room: publish with a token whose terms claim names "
                f"{self._consent.policy.current_terms().version}",
                notices=tuple(notice_of(activity) for activity in room.running()),
            )

    def _vouches(self, request: JoinRequest) -> bool:
        accept = request.accept
        return (
            accept is not None
            and accept.vouched
            and accept.age_18
            and self._consent.policy.terms.serves(accept.terms_version, self._house.now_ms())
        )

    async def _member(self, request: JoinRequest) -> Member:
        house = self._house
        person: str | None = None
        if not request.is_external and request.transport != "whep":
            try:
                person = await house.store.persons.find(request.identity)
            except StoreError as error:
                _log.warning("person_not_found", code=error.code)
        return Member(
            id=house.id("p"),
            person=person or house.id("u"),
            identity=request.identity,
            identity_hash=house.store.keyed_hash("ban", request.identity),
            address_hash=request.address_hash,
            name=request.name,
            permissions=request.permissions,
            transport=request.transport,
            is_external=request.is_external,
            site=(request.site or OWN_SITE) if request.is_external else None,
            joined_ms=house.now_ms(),
            facts=ConsentFacts(expires_at_ms=request.expires_at_ms),
            acknowledges_all=request.transport == "whip" and self._vouches(request),
        )

    async def _speak_for(self, room: Room, member: Member, request: JoinRequest) -> None:
        """Take what was accepted and chosen on the join screen, or vouched for.

        What does not serve is asked later.
        """
        if request.is_external or request.transport == "whep" or request.accept is None:
            return
        try:
            choices = self._choices(room, request.accept, request.choices)
            agreed = [use for use, is_agreed in choices.items() if is_agreed]
            await self._consent.accept(room, member, request.accept, agreed)
            if len(agreed) < len(choices):
                await self._consent.choose(room, member, dict.fromkeys(choices.keys() - agreed, False))
        except Refused as error:
            # The person is let in as a viewer and asked again; nothing was granted.
            _log.info("join_consent_refused", room=room.id, participant=member.id, code=str(error.code))

    def _choices(self, room: Room, accept: Acceptance, choices: Mapping[Use, bool]) -> dict[Use, bool]:
        known = self._consent.uses_of(room)
        chosen = {use: is_agreed for use, is_agreed in choices.items() if use in known}
        if accept.vouched and room.settings.mode is RoomMode.NOTICE:
            # Who vouches, vouches for the uses it names: the others are not covered by the acceptance.
            chosen = {**dict.fromkeys(known, False), **chosen}
        return chosen

    async def _enter(self, room: Room, member: Member) -> Participant:
        old = room.by_identity(member.identity) if not member.is_external else None
        ending = self._desks.leaving.begin(room, old, "replaced") if old is not None else None
        taken = frozenset(other.name_key for other in room.members.values() if other.is_present)
        if not member.is_external:
            member.name = unique_name(member.name, taken)
        people = room.viewers if member.is_external else room.members
        people[member.id] = member
        self._register.unwatch_empty(room)
        participant = self._attach(room, member, is_resumed=False, media="new")
        self._desks.renewal.watch(room, member)
        if not member.is_external:
            others = [other for other in room.members.values() if other is not member]
            # Not at once: the newcomer's answer does not wait until a large room has been told.
            room.announcement.begin(lambda: _arrival(room, member), others)
            self._desks.activities.greet(room, member)
            self._consent.welcome(room, member)
            self._desks.subscribing.catch_up(room, member)
        if ending is not None:
            with self._answering(room, member):
                await asyncio.shield(ending)
        _log.info("participant_joined", room=room.id, participant=member.id, transport=member.transport)
        return participant

    @contextmanager
    def _answering(self, room: Room, member: Member) -> Iterator[None]:
        """Whoever is inside and will not be told so, the call having failed, has no signalling."""
        session = member.session
        try:
            yield
        except BaseException:
            if member.session is session:
                self._house.scope.start(self._desks.leaving.suspend(room, member), "unanswered join")
            raise

    def _attach(self, room: Room, member: Member, *, is_resumed: bool, media: MediaOnResume) -> Participant:
        secret = self._house.secret() if member.transport == "ws" and not member.is_external else ""
        room.resumes.pop(member.resume_hash, None)
        if secret:
            member.resume_hash = secret_hash(secret)
            room.resumes[member.resume_hash] = member
        participant = Participant(
            self._desks, room, member, secret=secret, is_resumed=is_resumed, media=media
        )
        member.session = participant
        return participant


def _arrival(room: Room, member: Member) -> ParticipantJoined | None:
    """What the others are told of a newcomer; None when that one is gone already."""
    is_here = member.is_present and room.members.get(member.id) is member
    return ParticipantJoined(room.info_of(member)) if is_here else None


def _normal(request: JoinRequest) -> JoinRequest:
    """The request with its names normalised.

    Raises: Refused (invalid_request).
    """
    try:
        identity = normalize_identity(request.identity)
        name = normalize_screen_name(request.name or identity[:64])
        return replace(request, room=normalize_room(request.room), identity=identity, name=name)
    except NameRefused as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error
