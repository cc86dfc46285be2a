"""One recording, broadcast or external viewing of a room, as its owner holds it."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from policy import LIVE, ActivityFacts, Media, Site, Use
from rooms.activity_events import ActivityEnded, ActivityEvent, Speakers
from rooms.mailbox import Mailbox
from rooms.member import Member
from rooms.types import ActivityInfo
from sfu import Gate, Sink, TapId, TrackId

Kill = Callable[[str], None]
"""Ends a consumer at once (SIGKILL); called on the event loop's thread, must not raise."""


@dataclass(slots=True, eq=False)
class Grant:
    """One person in one activity: the gate slot that everything of theirs there stands behind."""

    member: Member
    slot: int
    gate: Gate | None = None
    """The open position, None while closed."""
    media: frozenset[Media] = frozenset()
    taps: dict[TrackId, TapId] = field(default_factory=dict)
    attaching: set[TrackId] = field(default_factory=set)


class ActivityOwner(Protocol):
    """What an activity asks of the room service."""

    async def renew_sink(self, activity: "Activity") -> Sink:
        """Replace the activity's sink; taps open anew."""
        ...

    async def request_keyframe(self, activity: "Activity", tap: TapId) -> None:
        """Ask the tap's publisher for a keyframe."""
        ...

    async def drop_site(self, activity: "Activity", site_id: str) -> None:
        """Take a site out of the activity."""
        ...

    def activity_changed(self, activity: "Activity") -> None:
        """Tell everyone in the room how it stands."""
        ...

    async def close_activity(self, activity: "Activity", reason: str) -> None:
        """End the activity."""
        ...

    def overflowed(self, activity: "Activity") -> None:
        """The consumer did not read its events: it was killed, the activity must end."""
        ...


class Activity:
    """Handle of a running activity; the recorder and rebroadcast read its events and acknowledge its cuts.

    The consumer checks the shared gate page at each stage and just before each write; events only inform.
    Records of a tap may arrive shortly before its `TapOpened`. Close the activity after the consumer's last
    write: the gates close with it.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the field's word
        use: Use,
        sites: tuple[Site, ...],
        notice_id: str,
        room_id: str,
        room_name: str,
        started_by: str | None,
        since_ms: int,
        terms_version: str,
        events_limit: int,
        is_viewing: bool,
        only: str | None,
        sink: Sink | None,
        kill: Kill | None,
        gates_fd: Callable[[], int],
        owner: ActivityOwner,
    ) -> None:
        self.id = id
        self.use = use
        self.sites = sites
        self.notice_id = notice_id
        self.room_id = room_id
        """Random id of the room."""
        self.room = room_name
        self.started_by = started_by
        self.since_ms = since_ms
        self.epoch_slot = 0
        """Slot of its cut epoch in the gate page, while it runs; an external viewing has none."""
        self.epoch = 0
        """Its cut epoch now: moved on by every cut that takes somebody out of it."""
        self.terms_version = terms_version
        """Version in force when the activity started."""
        self.is_viewing = is_viewing
        """External viewing: forwards instead of taps, no consumer."""
        self.only = only
        """Identity that it is about alone: of nobody else anything goes in. None: it is about everyone."""
        self.is_running = True
        self.is_paused = False
        """Its owner keeps nothing for now, and everyone is told so; gates and notice stay as they are."""
        self.unreached = _ids(sites) if use == LIVE and not is_viewing else frozenset()
        """Ids of sites that take nothing just now: of a broadcast all, until its owner says otherwise."""
        self.sink = sink
        """Where tap records come out; None after `SinkLost` until `new_sink`."""
        self.grants: dict[str, Grant] = {}
        """By participant id; kept by the consent service."""
        self.events: Mailbox[ActivityEvent] = Mailbox(
            events_limit, replaceable=(Speakers,), on_overflow=self._overflow
        )
        self._kill = kill
        self._gates_fd = gates_fd
        self._owner = owner
        self._cuts: dict[int, asyncio.Future[None]] = {}

    def concerns(self, member: Member) -> bool:
        """Whether anything of this person may go into it, given their grant."""
        return self.only is None or self.only == member.identity

    def gates_fd(self) -> int:
        """A new read-only descriptor of the gate page, for the consumer; the caller closes its copy."""
        return self._gates_fd()

    def facts(self) -> ActivityFacts:
        """What `policy.decide` needs of it."""
        return ActivityFacts(
            use=self.use, notice_id=self.notice_id, sites=self.sites, is_running=self.is_running
        )

    def info(self) -> ActivityInfo:
        """What everyone in the room is told of it."""
        return ActivityInfo(
            id=self.id,
            use=self.use,
            sites=self.sites,
            since_ms=self.since_ms,
            started_by=self.started_by,
            is_paused=self.is_paused,
            unreached=self.unreached & _ids(self.sites),
        )

    def acknowledge(self, cut_id: int) -> None:
        """The consumer has discarded what the cut named. An unknown or late id is harmless."""
        future = self._cuts.pop(cut_id, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def new_sink(self) -> Sink:
        """A fresh sink for a consumer that was started again; `TapOpened` events follow.

        Raises: Refused when the activity is over.
        """
        return await self._owner.renew_sink(self)

    async def request_keyframe(self, tap: TapId) -> None:
        """Ask the tap's publisher for a keyframe (throttled); an unknown tap is fine."""
        await self._owner.request_keyframe(self, tap)

    async def drop_site(self, site_id: str) -> None:
        """Stop naming a site; an unknown one is fine.

        Going to more sites needs an activity with its own notice.
        """
        await self._owner.drop_site(self, site_id)

    def pause(self, *, is_paused: bool) -> None:
        """Tell everyone that nothing is kept just now, or that it goes on."""
        if self.is_paused != is_paused and self.is_running:
            self.is_paused = is_paused
            self._owner.activity_changed(self)

    def reach(self, sites: Collection[str]) -> None:
        """Tell everyone which of its sites take what is sent, by their ids; the others do not just now."""
        unreached = _ids(self.sites) - frozenset(sites)
        if self.unreached != unreached and self.is_running:
            self.unreached = unreached
            self._owner.activity_changed(self)

    async def close(self, reason: str = "closed") -> None:
        """End it: gates close, everyone's indicator follows. Idempotent."""
        await self._owner.close_activity(self, reason)

    def expect(self, cut_id: int) -> "asyncio.Future[None]":
        """A cut was sent: done when it is acknowledged. For the consent service."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._cuts[cut_id] = future
        return future

    def kill_consumer(self, reason: str) -> None:
        """End the consumer process at once; every cut that waits counts as acknowledged by its death."""
        for cut_id in list(self._cuts):
            self.acknowledge(cut_id)
        if self._kill is not None:
            self._kill(reason)

    def end(self, reason: str) -> None:
        """Say the last word to the owner. For the room service."""
        self.is_running = False
        for cut_id in list(self._cuts):
            self.acknowledge(cut_id)
        self.events.close(ActivityEnded(reason=reason))

    def _overflow(self) -> None:
        # A consumer that cannot even read what it is told cannot be trusted to cut: it goes, and all with it.
        self.kill_consumer("overflow")
        self._owner.overflowed(self)


def _ids(sites: tuple[Site, ...]) -> frozenset[str]:
    return frozenset(site.id for site in sites)
