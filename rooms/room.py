"""One open room: who is in it, what runs in it, and how everyone is told."""

from collections.abc import Callable, Iterable, Iterator

from policy import LIVE, Ban, RoomFacts, RoomSettings, Site
from rooms.activity import Activity
from rooms.allowance import Allowance
from rooms.announcement import Announcement
from rooms.chat import ChatLog
from rooms.clock import Timer
from rooms.events import ActivitiesChanged, NoticeRaised, ParticipantUpdated, RoomEvent
from rooms.house import House
from rooms.member import Member
from rooms.tracks import Track
from rooms.types import ActivityInfo, ParticipantInfo, RoomInfo, TrackInfo
from sfu import Gate, Router, RouterStats, TrackId


class Room:
    """State of one room; changed by the rooms package only, on the event loop's thread."""

    def __init__(
        self,
        house: House,
        *,
        id: str,  # noqa: A002 - the field's word
        name: str,
        settings: RoomSettings,
        is_kept: bool,
        bans: tuple[Ban, ...],
        router: Router,
    ) -> None:
        self.house = house
        self.id = id
        """Random, the same each time that this name is opened."""
        self.name = name
        self.settings = settings
        self.is_kept = is_kept
        """Made through the API: stays open while it is empty."""
        self.router = router
        self.bans: list[Ban] = list(bans)
        self.members: dict[str, Member] = {}
        """Everyone with a place, by participant id; viewers by WHEP are among them."""
        self.viewers: dict[str, Member] = {}
        """External viewers, by participant id: not listed, not told."""
        self.activities_by_id: dict[str, Activity] = {}
        self.resumes: dict[bytes, Member] = {}
        self.chat = ChatLog(house.limits)
        self.announcement = Announcement(house.clock)
        """Of whoever came last."""
        self.created_ms = house.now_ms()
        self.is_closed = False
        self.empty: Timer | None = None
        self.on_left: Callable[[], None] = lambda: None
        """Called when somebody's place is free again."""
        self.speaker: TrackId | None = None
        self.spoken: tuple[tuple[str, int], ...] = ()
        self.data: Allowance | None = None
        """Deliveries of data messages; None before the first."""
        self.facts: RoomFacts
        """What consent is decided by; kept current by the consent service."""

    def advance_epoch(self, activity: Activity) -> int:
        """Move an activity's cut epoch on, for every process that maps the page at once; the new epoch."""
        gate: Gate = self.house.plane.allocator.next_version(activity.epoch_slot)
        activity.epoch = gate.version
        self.router.open_gate(gate)
        return activity.epoch

    def people(self) -> Iterator[Member]:
        """Those who can be used for something: present, inside, not mere viewers."""
        return (
            member
            for member in list(self.members.values())
            if member.is_present and member.transport != "whep"
        )

    def by_identity(self, identity: str) -> Member | None:
        """The present member of that identity."""
        return next(
            (member for member in self.members.values() if member.identity == identity and member.is_present),
            None,
        )

    def running(self) -> tuple[Activity, ...]:
        """Everything that runs now, oldest first."""
        return tuple(activity for activity in self.activities_by_id.values() if activity.is_running)

    def viewing_of(self, site: Site) -> Activity | None:
        """The running `live` activity that governs viewers at that site: it names the site, and everyone."""
        return next(
            (
                activity
                for activity in self.running()
                if activity.use == LIVE
                and activity.only is None
                and any(known.id == site.id for known in activity.sites)
            ),
            None,
        )

    def notice_ids(self) -> tuple[str, ...]:
        """Ids of the notices of everything that runs."""
        return tuple(activity.notice_id for activity in self.running())

    def notices_for(self, member: Member) -> tuple[NoticeRaised, ...]:
        """The notices that the member has not acknowledged."""
        return tuple(
            notice_of(activity)
            for activity in self.running()
            if activity.notice_id not in member.seen.acknowledged
        )

    def find_track(self, track_id: TrackId) -> tuple[Member, Track] | None:
        """A published track and whose it is."""
        for member in self.members.values():
            track = member.tracks.get(track_id)
            if track is not None:
                return member, track
        return None

    def tell(self, event: RoomEvent, *, but: Member | None = None) -> None:
        """Tell everyone inside, except one."""
        self.tell_some([member for member in self.members.values() if member is not but], event)

    def tell_some(self, members: Iterable[Member], event: RoomEvent) -> None:
        """Tell these; they know of everybody in the room before."""
        self.announcement.finish()
        for member in members:
            member.tell(event)

    def tell_updated(self, member: Member) -> None:
        """Tell the others that something about a member changed."""
        if member.id in self.members:
            self.tell(ParticipantUpdated(self.info_of(member)), but=member)

    def tell_activities(self) -> None:
        """Tell everyone what runs."""
        self.tell(ActivitiesChanged(self.activities()))

    def info_of(self, member: Member) -> ParticipantInfo:
        """A member as others see them."""
        return member.info(self.facts, self.house.now_ms())

    # What other packages read:

    def info(self) -> RoomInfo:
        """The room in a list."""
        return RoomInfo(
            id=self.id,
            name=self.name,
            title=self.settings.title or self.name,
            created_ms=self.created_ms,
            participants=self.count(),
            viewers=len(self.viewers),
            activities=self.activities(),
        )

    def count(self) -> int:
        """People with a place, mere viewers included."""
        return sum(1 for member in self.members.values() if member.is_present)

    def participants(self) -> tuple[ParticipantInfo, ...]:
        """Everyone with a place, in the order of joining."""
        return tuple(self.info_of(member) for member in self.members.values() if member.is_present)

    def participant(self, identity: str) -> ParticipantInfo | None:
        """The participant of that identity."""
        member = self.by_identity(identity)
        return self.info_of(member) if member is not None else None

    def activities(self) -> tuple[ActivityInfo, ...]:
        """What runs, with the sites where it goes."""
        return tuple(activity.info() for activity in self.running())

    def tracks(self) -> tuple[TrackInfo, ...]:
        """Every published track."""
        return tuple(track.info() for member in self.members.values() for track in member.tracks.values())

    async def stats(self) -> RouterStats:
        """Counters of the room's media.

        Raises: SfuError.
        """
        return await self.router.stats()


def notice_of(activity: Activity) -> NoticeRaised:
    """The notice that belongs to an activity."""
    return NoticeRaised(activity.notice_id, (activity.use,), activity.sites, activity.id)
