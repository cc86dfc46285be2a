"""Starting and ending recordings, broadcasts and external viewings of a room."""

from media.gates import GatesExhausted
from policy import LIVE, Deny, Permission, Site, Use, may_start
from rooms.activity import Activity, Kill
from rooms.activity_events import SitesChanged
from rooms.clock import Timer
from rooms.consent import ConsentService
from rooms.errors import Code, Refused
from rooms.events import NoticeRaised
from rooms.house import House
from rooms.member import Member
from rooms.plane_errors import plane_errors
from rooms.room import Room, notice_of
from sfu import Sink, TapId
from store import LedgerKind


class Activities:
    """Opens and closes activities; the notice goes out with the start, and the start waits for nobody."""

    def __init__(self, house: House, consent: ConsentService) -> None:
        self._house = house
        self._consent = consent
        self._rooms: dict[str, Room] = {}
        self._lingering: dict[str, Timer] = {}

    async def open(
        self,
        room: Room,
        use: Use,
        sites: tuple[Site, ...],
        *,
        permissions: frozenset[Permission],
        started_by: Member | None,
        activity_id: str | None,
        kill: Kill | None,
        only: str | None,
    ) -> Activity:
        """Start a recording or broadcast.

        Raises: Refused (forbidden, conflict, unavailable, not_found).
        """
        decision = may_start(permissions, use, room.facts, self._house.now_ms())
        if isinstance(decision, Deny):
            raise Refused(Code.FORBIDDEN, decision.reason)
        if use == LIVE and not sites:
            raise Refused(Code.INVALID_REQUEST, "a broadcast must name the sites where it goes")
        with plane_errors():
            sink = await room.router.sink()
        try:
            return await self._start(
                room,
                use,
                sites,
                started_by,
                activity_id or self._house.id("act"),
                sink=sink,
                kill=kill,
                only=only,
            )
        except BaseException:
            await self._consent.gates.desk(room).taps.close_sink(sink)
            raise

    async def watch(self, room: Room, site: Site) -> Activity:
        """The activity by which a site outside watches the room: the running one that names it, or a new one.

        Raises: Refused (forbidden, conflict, unavailable).
        """
        known = self._watching(room, site)
        if known is not None:
            return known
        now_ms = self._house.now_ms()
        decision = may_start(frozenset({Permission.BROADCAST}), LIVE, room.facts, now_ms)
        if isinstance(decision, Deny):
            raise Refused(Code.FORBIDDEN, decision.reason)
        return await self._start(room, LIVE, (site,), None, self._house.id("vw"), sink=None, kill=None)

    def _watching(self, room: Room, site: Site) -> Activity | None:
        found = room.viewing_of(site)
        if found is not None:
            self._stop_lingering(found)
        return found

    def unwatch(self, room: Room, site: Site) -> None:
        """A viewer of that site left: the viewing ends some time after its last one."""
        if any(viewer.site is not None and viewer.site.id == site.id for viewer in room.viewers.values()):
            return
        for activity in room.running():
            if activity.is_viewing and any(known.id == site.id for known in activity.sites):
                self._linger(activity)

    async def _start(
        self,
        room: Room,
        use: Use,
        sites: tuple[Site, ...],
        started_by: Member | None,
        activity_id: str,
        *,
        sink: Sink | None,
        kill: Kill | None,
        only: str | None = None,
    ) -> Activity:
        self._check_room(room, activity_id)
        activity = Activity(
            id=activity_id,
            use=use,
            sites=sites,
            notice_id=self._house.id("n"),
            room_id=room.id,
            room_name=room.name,
            started_by=started_by.id if started_by is not None else None,
            since_ms=self._house.now_ms(),
            terms_version=self._consent.policy.current_terms().version,
            events_limit=self._house.limits.activity_events_waiting,
            is_viewing=sink is None,
            only=only,
            sink=sink,
            kill=kill,
            gates_fd=self._house.plane.gates.read_only_fd,
            owner=self,
        )
        notary = self._consent.notary
        await notary.note(notary.activity(activity, LedgerKind.ACTIVITY_STARTED))
        # Another viewer of the same site may have started the viewing meanwhile: one notice is enough.
        twin = self._watching(room, sites[0]) if sink is None else None
        if twin is not None:
            return twin
        self._check_room(room, activity_id)
        if not activity.is_viewing:
            self._begin_epoch(room, activity)
        room.activities_by_id[activity.id] = activity
        self._rooms[activity.id] = room
        self._announce(room, activity)
        return activity

    def _begin_epoch(self, room: Room, activity: Activity) -> None:
        try:
            activity.epoch_slot = self._house.plane.allocator.allocate()
        except GatesExhausted as error:
            raise Refused(Code.ROOM_FULL, "all gates are in use", retry_after_s=30.0) from error
        room.advance_epoch(activity)

    def _end_epoch(self, room: Room, activity: Activity) -> None:
        if activity.epoch_slot:
            last = self._house.plane.allocator.next_version(activity.epoch_slot)
            room.router.close_gate(last.slot, last.version)
            self._house.plane.allocator.release(activity.epoch_slot)

    def _check_room(self, room: Room, activity_id: str) -> None:
        if room.is_closed:
            raise Refused(Code.NOT_FOUND, "the room is closed")
        if activity_id in room.activities_by_id:
            raise Refused(Code.CONFLICT, "an activity of that id runs already")
        if len(room.activities_by_id) >= self._house.limits.activities_per_room:
            raise Refused(Code.CONFLICT, "as many activities run in this room as may: stop one first")

    def _announce(self, room: Room, activity: Activity) -> None:
        """Tell the consumer who is there, and everyone what starts; nobody is waited for."""
        if not activity.is_viewing:
            self._consent.gates.desk(room).taps.introduce(activity)
        room.tell_activities()
        notice = notice_of(activity)
        for member in list(room.members.values()):
            self._notify(room, member, notice)

    def _notify(self, room: Room, member: Member, notice: NoticeRaised) -> None:
        if member.acknowledges_all:
            self._house.scope.start(self._acknowledge(room, member, notice.notice_id), "acknowledge")
        elif member.transport == "ws":
            member.tell(notice)

    async def _acknowledge(self, room: Room, member: Member, notice_id: str) -> None:
        try:
            await self._consent.acknowledge(room, member, notice_id)
        except Refused:
            # Over already, or the ledger cannot be written: the person stays out of it.
            return

    def greet(self, room: Room, member: Member) -> None:
        """Somebody came in while something runs: they get the same notices."""
        for activity in room.running():
            if not activity.is_viewing and member.transport != "whep" and activity.concerns(member):
                self._consent.gates.desk(room).taps.greet(activity, member)
        for notice in room.notices_for(member):
            self._notify(room, member, notice)

    # What an `Activity` asks

    async def renew_sink(self, activity: Activity) -> Sink:
        """Replace the activity's sink; taps open anew.

        Raises: Refused when the activity is over.
        """
        room = self._room_of(activity)
        desk = self._consent.gates.desk(room)
        old = desk.taps.drop_sink(activity, "renewed")
        if old is not None:
            await desk.taps.close_sink(old)
        with plane_errors():
            sink = await room.router.sink()
        if not activity.is_running:
            await desk.taps.close_sink(sink)
            raise Refused(Code.NOT_FOUND, "the activity is over")
        activity.sink = sink
        for grant in list(activity.grants.values()):
            if grant.gate is not None:
                desk.taps.opened(activity, grant)
        return sink

    async def request_keyframe(self, activity: Activity, tap: TapId) -> None:
        """Ask the tap's publisher for a keyframe; an unknown tap is fine."""
        room = self._rooms.get(activity.id)
        if room is None:
            return
        for grant in activity.grants.values():
            for track_id, known in grant.taps.items():
                track = grant.member.tracks.get(track_id)
                if known == tap and track is not None:
                    await self._consent.gates.desk(room).taps.request_keyframe(track)
                    return

    async def drop_site(self, activity: Activity, site_id: str) -> None:
        """Take a site out of the activity; an unknown one is fine."""
        room = self._rooms.get(activity.id)
        kept = tuple(site for site in activity.sites if site.id != site_id)
        if room is None or len(kept) == len(activity.sites):
            return
        activity.sites = kept
        activity.events.put(SitesChanged(dropped=(site_id,)))
        room.tell_activities()
        self._consent.gates.settle(room, "partner_terms")

    def activity_changed(self, activity: Activity) -> None:
        """Tell everyone in the room how the activity stands."""
        room = self._rooms.get(activity.id)
        if room is not None and not room.is_closed:
            room.tell_activities()

    async def close_activity(self, activity: Activity, reason: str) -> None:
        """End the activity; idempotent."""
        room = self._rooms.pop(activity.id, None)
        if room is None:
            return
        self._stop_lingering(activity)
        activity.is_running = False
        room.activities_by_id.pop(activity.id, None)
        self._consent.gates.close(room, activity)
        self._end_epoch(room, activity)
        activity.end(reason)
        notary = self._consent.notary
        notary.queue(notary.activity(activity, LedgerKind.ACTIVITY_STOPPED, reason))
        if not room.is_closed:
            room.tell_activities()
            self._watch_on(room, activity)
        sink, activity.sink = activity.sink, None
        if sink is not None:
            await self._consent.gates.desk(room).taps.close_sink(sink)

    def _watch_on(self, room: Room, ended: Activity) -> None:
        """Viewers outside that watched under the ended activity go on under one of their own.

        With its own notice.
        """
        ended_sites = {site.id for site in ended.sites}
        sites = {
            viewer.site.id: viewer.site
            for viewer in room.viewers.values()
            if viewer.site is not None and viewer.site.id in ended_sites
        }
        for site in sites.values() if ended.use == LIVE else ():
            self._house.scope.start(self._watch_again(room, site), "viewing")

    async def _watch_again(self, room: Room, site: Site) -> None:
        try:
            await self.watch(room, site)
        except Refused:
            # The room is closing, or full of activities: they stay in the dark.
            return

    def overflowed(self, activity: Activity) -> None:
        """The consumer did not read its events: it was killed, the activity ends."""
        self._house.scope.start(self.close_activity(activity, "overflow"), "overflow")

    async def close_all(self, room: Room, reason: str) -> None:
        """End everything that runs in a room."""
        for activity in list(room.activities_by_id.values()):
            await self.close_activity(activity, reason)

    def _room_of(self, activity: Activity) -> Room:
        room = self._rooms.get(activity.id)
        if room is None:
            raise Refused(Code.NOT_FOUND, "the activity is over")
        return room

    def _linger(self, activity: Activity) -> None:
        self._stop_lingering(activity)

        def end() -> None:
            self._lingering.pop(activity.id, None)
            self._house.scope.start(self.close_activity(activity, "no_viewers"), "viewing")

        timer = self._house.clock.call_later(self._house.limits.viewing_linger_s, end)
        self._lingering[activity.id] = timer

    def _stop_lingering(self, activity: Activity) -> None:
        timer = self._lingering.pop(activity.id, None)
        if timer is not None:
            timer.cancel()
