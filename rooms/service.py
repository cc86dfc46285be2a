"""The room service: opens rooms, lets people in, and holds the parts together."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Self

import structlog

from cluster import Cluster, LocalCluster, Node
from media.tasks import TaskScope
from policy import (
    Acceptance,
    Comer,
    ConsentFacts,
    Deny,
    Door,
    Hold,
    NameRefused,
    Permission,
    RoomMode,
    RoomSettings,
    Site,
    Use,
    admit,
    name_key,
    normalize_identity,
    normalize_room,
    normalize_screen_name,
    unique_name,
)
from rooms.activities import Activities
from rooms.activity import Activity, Kill
from rooms.clock import Clock, SystemClock, Timer, wait_all
from rooms.config import RoomsConfig
from rooms.consent import ConsentService
from rooms.errors import Code, Refused
from rooms.events import ParticipantJoined, Removed
from rooms.house import House, secret_hash
from rooms.leaving import Leaving
from rooms.ledger_keeper import LedgerKeeper
from rooms.member import Member
from rooms.moderation import Moderation
from rooms.participant import Desks, Participant
from rooms.plane_events import PlaneEvents
from rooms.publishing import Publishing
from rooms.renewal import Renewal
from rooms.room import Room, notice_of
from rooms.subscribing import Subscribing
from rooms.types import Action, JoinRequest, MediaOnResume, RoomInfo, State
from rooms.withdrawals import Withdrawals
from sfu import CodecPolicy, MediaPlane, SfuError
from store import RoomRow, Store, StoreError

_log = structlog.get_logger("rooms")
_CLOSE_S = 5.0
_HEARTBEAT_S = 3.0

OWN_SITE = Site(id="embed", name="embedded player")
"""Where an external viewer watches when the token names no partner: the operator's own pages."""


class RoomService:
    """Every room of this node; one for each server process. Belongs to one event loop."""

    def __init__(self, house: House, consent: ConsentService) -> None:
        self._house = house
        self.consent = consent
        """Terms, grants, the cut and the ledger."""
        self.withdrawals = Withdrawals(house, consent)
        """Who wants what was recorded of them removed."""
        self._rooms: dict[str, Room] = {}
        self._opening: dict[str, asyncio.Future[None]] = {}
        self._kept: dict[str, RoomRow] = {}
        self._is_draining = False
        self._is_closed = False
        self._heartbeat: Timer | None = None
        activities = Activities(house, consent)
        subscribing = Subscribing(house)
        publishing = Publishing(house, consent, subscribing)
        leaving = Leaving(house, consent, publishing, subscribing, activities)
        self._desks = Desks(
            house=house,
            consent=consent,
            activities=activities,
            publishing=publishing,
            subscribing=subscribing,
            moderation=Moderation(house, publishing, leaving),
            leaving=leaving,
            renewal=Renewal(house, consent, publishing, subscribing, leaving),
        )
        self._plane_events = PlaneEvents(house, consent, publishing, subscribing, leaving)

    @classmethod
    async def start(
        cls,
        plane: MediaPlane,
        store: Store,
        config: RoomsConfig | None = None,
        *,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        cluster: Cluster | None = None,
    ) -> Self:
        """Read terms, partners and kept rooms, and be ready.

        The caller closes the service before plane and store.

        Raises: StoreUnavailable when the store cannot be read; Refused when a kept room cannot be opened.
        """
        clock = clock or SystemClock()
        config = config or RoomsConfig()
        scope = TaskScope("rooms")
        limits = config.limits
        keeper = LedgerKeeper(
            store.ledger, clock, scope, retry_s=limits.ledger_retry_s, limit=limits.ledger_waiting
        )
        house = House(
            plane=plane,
            store=store,
            cluster=cluster or LocalCluster(monotonic=clock.monotonic),
            config=config,
            clock=clock,
            random_bytes=random_bytes,
            scope=scope,
            keeper=keeper,
        )
        terms = await store.terms.history()
        partners = {row.id: row.terms() for row in await store.partners.all()}
        service = cls(house, ConsentService(house, terms, partners))
        service._kept = {row.name: row for row in await store.rooms.kept()}
        await scope.open()
        service.consent.policy.look()
        try:
            for name in service._kept:
                await service._obtain(name)
        except Refused:
            await service.close()
            raise
        await service._beat()
        return service

    async def close(self, reason: str = "shutting_down") -> None:
        """Close every room and stop; idempotent. Everyone is told, every gate closes, every activity ends."""
        if self._is_closed:
            return
        self._is_closed = self._is_draining = True
        for room in list(self._rooms.values()):
            await self._close_room(room, reason)
        self.consent.policy.close()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        await self._house.scope.settle(_CLOSE_S)
        self._house.keeper.close()
        await self._house.scope.close()
        await self._house.cluster.withdraw(self._house.config.node)
        await self._house.cluster.close()

    def drain(self) -> None:
        """Refuse new joins from now on; those inside go on, and may resume."""
        self._is_draining = True

    # Rooms

    async def create_room(self, name: str, settings: RoomSettings | None = None) -> Room:
        """Make a room that stays open, also when it is empty, until it is closed.

        Raises: Refused (invalid_request, conflict, unavailable).
        """
        name = _named(name)
        if name in self._rooms or name in self._kept:
            raise Refused(Code.CONFLICT, "a room of that name exists")
        try:
            row = await self._house.store.rooms.put(name, settings or RoomSettings(), is_kept=True)
        except StoreError as error:
            raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
        self._kept[name] = row
        return await self._obtain(name)

    async def update_room(self, name: str, settings: RoomSettings) -> Room:
        """Give a room other settings; what they no longer allow is cut before this returns.

        Raises: Refused (not_found, unavailable).
        """
        room = self._rooms.get(name) or (await self._obtain(name) if name in self._kept else None)
        if room is None:
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        try:
            row = await self._house.store.rooms.put(name, settings, is_kept=room.is_kept)
        except StoreError as error:
            raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
        if room.is_kept:
            self._kept[name] = row
        room.settings = settings
        self.consent.refresh(room)
        await asyncio.shield(self.consent.gates.settle(room, "settings_changed"))
        for member in room.people():
            room.tell_updated(member)
        return room

    def room(self, name: str) -> Room | None:
        """The open room of that name."""
        return self._rooms.get(name)

    def rooms(self) -> tuple[RoomInfo, ...]:
        """Every open room, by name."""
        return tuple(room.info() for _, room in sorted(self._rooms.items()))

    def settings_of(self, name: str) -> RoomSettings:
        """The settings of a room, open or not: what somebody at the door will find."""
        room = self._rooms.get(name)
        if room is not None:
            return room.settings
        row = self._kept.get(name)
        return row.settings if row is not None else self._house.config.defaults

    def exists(self, name: str) -> bool:
        """Whether the room is open, or was made through the API."""
        return name in self._rooms or name in self._kept

    async def close_room(self, name: str, reason: str = "closed") -> None:
        """Close a room for everyone, and forget that it was made.

        Raises: Refused (not_found, unavailable).
        """
        if not self.exists(name):
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        if name in self._kept:
            try:
                await self._house.store.rooms.unkeep(name)
            except StoreError as error:
                raise Refused(Code.UNAVAILABLE, str(error), retry_after_s=5.0) from error
            self._kept.pop(name, None)
        room = self._rooms.get(name)
        if room is not None:
            await self._close_room(room, reason)

    # People

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
        if self._is_draining:
            raise Refused(
                Code.SHUTTING_DOWN, "the server is shutting down: join again soon", retry_after_s=2.0
            )
        if not self.exists(request.room) and not self._house.config.creates_on_join:
            raise Refused(Code.FORBIDDEN, "there is no such room for you")
        room = await self._obtain(request.room)
        self._admit(room, request)
        member = await self._member(request)
        await self._speak_for(room, member, request)
        # Others came and went while the store was asked: the door is looked at once more.
        self._admit(room, request)
        return await self._enter(room, member)

    async def moderate(
        self,
        room: str,
        action: Action,
        identity: str,
        *,
        permissions: frozenset[Permission],
        ban_s: float | None = None,
    ) -> None:
        """What a moderator asks through the API.

        Raises: Refused (forbidden, not_found).
        """
        await self._desks.moderation.moderate(
            self._open_room(room), action, identity, permissions=permissions, ban_s=ban_s
        )

    # Activities

    async def open_activity(
        self,
        room: str,
        use: Use,
        sites: tuple[Site, ...] = (),
        *,
        permissions: frozenset[Permission],
        started_by: str | None = None,
        activity_id: str | None = None,
        kill: Kill | None = None,
        only: str | None = None,
    ) -> Activity:
        """Start a recording or broadcast of an open room: the notice goes out, people join it one by one.

        `started_by`: a participant id; `activity_id`: the id that people and the ledger see (a recording's
        or broadcast's); `kill`: ends the consumer at once when it does not acknowledge a cut; `only`: the
        identity that it is about alone (passthrough), so that of nobody else anything goes into it.

        Raises: Refused (forbidden, not_found, conflict, invalid_request, unavailable).
        """
        found = self._open_room(room)
        starter = found.members.get(started_by) if started_by is not None else None
        return await self._desks.activities.open(
            found,
            use,
            sites,
            permissions=permissions,
            started_by=starter,
            activity_id=activity_id,
            kill=kill,
            only=only,
        )

    # Inside

    def _open_room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None or room.is_closed:
            raise Refused(Code.NOT_FOUND, "no room of that name is open")
        return room

    async def _obtain(self, name: str) -> Room:
        """The open room of that name, opened when it is not; one opening at a time for each name.

        Raises: Refused (room_full, unavailable).
        """
        while name in self._opening:
            await asyncio.shield(self._opening[name])
        room = self._rooms.get(name)
        if room is not None:
            return room
        if len(self._rooms) + len(self._opening) >= self._house.limits.rooms:
            raise Refused(Code.ROOM_FULL, "this server has as many rooms as it may", retry_after_s=30.0)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening[name] = opened
        try:
            return await self._open(name)
        finally:
            del self._opening[name]
            opened.set_result(None)

    async def _open(self, name: str) -> Room:
        house = self._house
        row = self._kept.get(name)
        try:
            known = row or (await house.store.rooms.get(name))
            bans = await house.store.bans.of(known.id) if known is not None else ()
        except StoreError as error:
            # Who is banned cannot be known now: nobody is let into a room that is not open yet.
            raise Refused(
                Code.UNAVAILABLE, "the store cannot be read: try again", retry_after_s=5.0
            ) from error
        settings = row.settings if row is not None else house.config.defaults
        room_id = known.id if known is not None else await self._new_room_id(name, settings)
        home = await house.cluster.claim(room_id, house.config.node)
        if home != house.config.node:
            raise Refused(Code.CONFLICT, "the room is open on another node", retry_after_s=1.0)
        policy = CodecPolicy(video=settings.video_codecs, audio=settings.audio_codecs)
        try:
            router = house.plane.router(room_id, policy)
        except SfuError as error:
            raise Refused(Code.UNAVAILABLE, "the media plane is closed") from error
        room = Room(
            house,
            id=room_id,
            name=name,
            settings=settings,
            is_kept=row is not None,
            bans=bans,
            router=router,
        )
        room.on_left = lambda: self._watch_empty(room)
        self._rooms[name] = room
        self.consent.enter(room)
        house.scope.start(self._plane_events.follow(room), f"room {room_id}")
        self._watch_empty(room)
        _log.info("room_opened", room=room_id)
        return room

    async def _new_room_id(self, name: str, settings: RoomSettings) -> str:
        room_id = self._house.id("rm")
        try:
            row = await self._house.store.rooms.put(name, settings, is_kept=False, room_id=room_id)
        except StoreError as error:
            # The room works without being kept; only its bans and its id do not outlive it.
            _log.warning("room_not_kept", room=room_id, code=error.code)
            return room_id
        return row.id

    async def _close_room(self, room: Room, reason: str) -> None:
        if room.is_closed:
            return
        room.is_closed = True
        self._rooms.pop(room.name, None)
        if room.empty is not None:
            room.empty.cancel()
        # Activities end first, so that their consumers finish instead of discarding person by person.
        await self._desks.activities.close_all(room, "room_closed")
        everyone = [*room.members.values(), *room.viewers.values()]
        endings = [self._desks.leaving.begin(room, member, "room_closed") for member in everyone]
        await wait_all(self._house.clock, [ending for ending in endings if ending is not None], _CLOSE_S)
        try:
            await room.router.close()
        except SfuError as error:
            _log.warning("router_close_failed", room=room.id, code=error.code)
        self.consent.leave(room)
        await self._house.cluster.release(room.id, self._house.config.node)
        _log.info("room_closed", room=room.id, reason=reason)

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
                f"{self.consent.policy.current_terms().version}",
                notices=tuple(notice_of(activity) for activity in room.running()),
            )

    def _vouches(self, request: JoinRequest) -> bool:
        accept = request.accept
        return (
            accept is not None
            and accept.vouched
            and accept.age_18
            and self.consent.policy.terms.serves(accept.terms_version, self._house.now_ms())
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
            await self.consent.accept(room, member, request.accept)
            choices = self._choices(room, request.accept, request.choices)
            if choices:
                await self.consent.choose(room, member, choices)
        except Refused as error:
            # The person is let in as a viewer and asked again; nothing was granted.
            _log.info("join_consent_refused", room=room.id, participant=member.id, code=str(error.code))

    def _choices(self, room: Room, accept: Acceptance, choices: Mapping[Use, bool]) -> dict[Use, bool]:
        known = self.consent.uses_of(room)
        chosen = {use: is_agreed for use, is_agreed in choices.items() if use in known}
        if accept.vouched and room.settings.mode is RoomMode.NOTICE:
            # Who vouches, vouches for the uses it names: the others are not covered by the acceptance.
            chosen = {**dict.fromkeys(known, False), **chosen}
        return chosen

    async def _enter(self, room: Room, member: Member) -> Participant:
        old = room.by_identity(member.identity) if not member.is_external else None
        ending = self._desks.leaving.begin(room, old, "replaced") if old is not None else None
        taken = frozenset(name_key(other.name) for other in room.members.values() if other.is_present)
        if not member.is_external:
            member.name = unique_name(member.name, taken)
        people = room.viewers if member.is_external else room.members
        people[member.id] = member
        self._unwatch_empty(room)
        participant = self._attach(room, member, is_resumed=False, media="new")
        self._desks.renewal.watch(room, member)
        if not member.is_external:
            room.tell(ParticipantJoined(room.info_of(member)), but=member)
            self._desks.activities.greet(room, member)
            self.consent.gates.settle(room, "resumed", members=[member])
            self._desks.subscribing.catch_up(room, member)
        if ending is not None:
            await asyncio.shield(ending)
        _log.info("participant_joined", room=room.id, participant=member.id, transport=member.transport)
        return participant

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

    async def _resume(self, request: JoinRequest) -> Participant | None:
        """The place that the request's secret takes again, or None: then it is an ordinary join."""
        room = self._rooms.get(request.room)
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
        await self._desks.renewal.renew(room, member, request.expires_at_ms, request.permissions)
        if request.media == "new":
            await self._desks.leaving.drop_peers(room, member)
            self._desks.subscribing.catch_up(room, member)
        else:
            self._desks.subscribing.resume(member)
        await self.consent.resume(room, member, Hold.SIGNALLING)
        if request.accept is not None:
            await self._speak_for(room, member, request)
        room.tell_updated(member)
        _log.info("participant_resumed", room=room.id, participant=member.id)
        return participant

    def _watch_empty(self, room: Room) -> None:
        """An empty room that nobody made through the API closes after a while."""
        self._unwatch_empty(room)
        if room.is_kept or room.is_closed or room.members or room.viewers:
            return

        def close() -> None:
            room.empty = None
            if not room.members and not room.viewers and not room.is_kept:
                self._house.scope.start(self._close_room(room, "empty"), "empty")

        room.empty = self._house.clock.call_later(room.settings.empty_s, close)

    @staticmethod
    def _unwatch_empty(room: Room) -> None:
        if room.empty is not None:
            room.empty.cancel()
            room.empty = None

    async def _beat(self) -> None:
        """Tell the cluster that this node lives, now and then."""
        if self._is_closed:
            return
        await self._house.cluster.announce(Node(id=self._house.config.node, is_draining=self._is_draining))
        self._heartbeat = self._house.clock.call_later(_HEARTBEAT_S, self._beat_again)

    def _beat_again(self) -> None:
        self._house.scope.start(self._beat(), "beat")


def _named(name: str) -> str:
    try:
        return normalize_room(name)
    except NameRefused as error:
        raise Refused(Code.INVALID_REQUEST, str(error)) from error


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
