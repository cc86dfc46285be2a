"""The room service: the way in to rooms for everything above, and what holds the parts together."""

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

import structlog

from cluster import Cluster, ClusterError, LocalCluster, Node
from media.tasks import TaskScope
from policy import Permission, RoomSettings, Site, Use
from rooms.activities import Activities
from rooms.activity import Activity, Kill
from rooms.clock import Clock, SystemClock, Timer
from rooms.config import RoomsConfig
from rooms.consent import ConsentService
from rooms.data import DataRelay
from rooms.house import House
from rooms.joining import Joining
from rooms.leaving import Leaving
from rooms.ledger_keeper import LedgerKeeper
from rooms.moderation import Moderation
from rooms.participant import Desks, Participant
from rooms.plane_events import PlaneEvents
from rooms.publishing import Publishing
from rooms.register import Register
from rooms.renewal import Renewal
from rooms.replay import Replay, ReplayOf, within
from rooms.room import Room
from rooms.subscribing import Subscribing
from rooms.types import Action, JoinRequest, RoomInfo
from rooms.withdrawals import Withdrawals
from sfu import MediaPlane
from store import Store

_log = structlog.get_logger("rooms")
_CLOSE_S = 5.0
_HEARTBEAT_S = 3.0


class RoomService:
    """Every room of this node; one for each server process. Belongs to one event loop."""

    def __init__(self, house: House, consent: ConsentService) -> None:
        self._house = house
        self.consent = consent
        """Terms, grants, the cut and the ledger."""
        self.withdrawals = Withdrawals(house, consent)
        """Who wants what was recorded of them removed."""
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
        self.data = DataRelay(house)
        """Data messages between participants."""
        self._plane_events = PlaneEvents(house, consent, publishing, subscribing, leaving)
        self._register = Register(house, self._desks, self._plane_events, self.data)
        self._joining = Joining(house, self._desks, self._register)

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
        await scope.open()
        service.consent.policy.look()
        try:
            await service._beat()
            await service._register.start()
        except BaseException:
            await service.close()
            raise
        return service

    async def close(self, reason: str = "shutting_down") -> None:
        """Close every room and stop; idempotent. Everyone is told, every gate closes, every activity ends."""
        if self._is_closed:
            return
        self._is_closed = self._joining.is_draining = True
        await self._register.close(reason)
        await self.consent.replays.close_all(reason)
        self.consent.policy.close()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        await self._house.scope.settle(_CLOSE_S)
        self._house.keeper.close()
        await self._house.scope.close()
        with suppress(ClusterError):
            await self._house.cluster.withdraw(self._house.config.node)
        await self._house.cluster.close()

    def drain(self) -> None:
        """Refuse new joins from now on; those inside go on, and may resume."""
        self._joining.is_draining = True

    # Rooms

    async def create_room(self, name: str, settings: RoomSettings | None = None) -> Room:
        """Make a room that stays open, also when it is empty, until it is closed.

        Raises: Refused (invalid_request, conflict, unavailable).
        """
        return await self._register.create(name, settings)

    async def update_room(self, name: str, settings: RoomSettings) -> Room:
        """Give a room other settings; what they no longer allow is cut before this returns.

        Raises: Refused (not_found, unavailable).
        """
        room = await self._register.update(name, settings)
        self._settings_changed(name, settings)
        return room

    async def close_room(self, name: str, reason: str = "closed") -> None:
        """Close a room for everyone, and forget that it was made.

        Raises: Refused (not_found, unavailable).
        """
        last = self.settings_of(name)
        await self._register.remove(name, reason)
        # What is shown of it goes on by what it offered, and no longer when nobody else's settings allow it.
        self._settings_changed(name, within(self.settings_of(name), last.uses))

    def room(self, name: str) -> Room | None:
        """The open room of that name."""
        return self._register.find(name)

    def rooms(self) -> tuple[RoomInfo, ...]:
        """Every open room, by name."""
        return self._register.infos()

    def settings_of(self, name: str) -> RoomSettings:
        """The settings of a room, open or not: what somebody at the door will find."""
        return self._register.settings_of(name)

    def exists(self, name: str) -> bool:
        """Whether the room is open, or was made through the API."""
        return self._register.exists(name)

    # People

    async def join(self, request: JoinRequest) -> Participant:
        """Let somebody in, or give them their place again.

        An identity that is inside already is replaced: the newest join wins, the older session is told
        `replaced`.

        Raises: Refused (unauthorized, forbidden, banned, room_full, notice_required, invalid_request,
        conflict, unavailable, shutting_down).
        """
        return await self._joining.join(request)

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
            self._register.opened(room), action, identity, permissions=permissions, ban_s=ban_s
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
        found = self._register.opened(room)
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

    async def open_replay(
        self,
        of: ReplayOf,
        sites: tuple[Site, ...],
        *,
        permissions: frozenset[Permission],
        activity_id: str,
        kill: Kill,
    ) -> Replay:
        """Begin to show a recording of a room, open or not; who may be in it is decided now.

        Raises: Refused (forbidden, conflict, unavailable); StoreUnavailable.
        """
        return await self.consent.replays.open(
            of,
            sites,
            self.settings_of(of.room),
            permissions=permissions,
            activity_id=activity_id,
            kill=kill,
        )

    async def showable(
        self, people: Iterable[str], room: str, site: Site, uses: frozenset[Use] | None
    ) -> list[str]:
        """Those recorded in a room of whom all may be shown at a site now.

        `uses`: what the room allows of the recording; None: nobody knows. Raises: StoreUnavailable.
        """
        return await self.consent.replays.showable(people, within(self.settings_of(room), uses), site)

    # Inside

    def _settings_changed(self, name: str, settings: RoomSettings) -> None:
        self.consent.replays.settings_changed(name, settings)
        self.consent.tell_changed()

    async def _beat(self) -> None:
        """Tell the cluster that this node lives, now and then."""
        if self._is_closed:
            return
        node = Node(id=self._house.config.node, is_draining=self._joining.is_draining)
        try:
            self._register.give_up(await self._house.cluster.announce(node))
        except ClusterError as error:
            _log.debug("heartbeat_failed", code=error.code)
        self._heartbeat = self._house.clock.call_later(_HEARTBEAT_S, self._beat_again)

    def _beat_again(self) -> None:
        self._house.scope.start(self._beat(), "beat")
