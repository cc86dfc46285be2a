"""Taps of granted people: made after their gate opens, gone after it closes. The gate alone enforces."""

import asyncio
from typing import Final

import structlog

from policy import Media
from rooms.activity import Activity, Grant
from rooms.activity_events import PersonChanged, SinkLost, TapClosed, TapMuted, TapOpened
from rooms.member import Member
from rooms.room import Room
from rooms.tracks import Track
from sfu import RouterClosed, SfuError, Sink, SinkId, TapId

_log = structlog.get_logger("rooms")
_CLOSE_S: Final = 1.0


class Taps:
    """Keeps the taps of one room in step with its grants."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def opened(self, activity: Activity, grant: Grant) -> None:
        """A gate opened, or covers more media now: tap what the person publishes."""
        for track in list(grant.member.tracks.values()):
            self._attach_soon(activity, grant, track)

    def published(self, member: Member, track: Track) -> None:
        """A person has a new track: tap it wherever they are granted."""
        for activity, grant in self._grants_of(member):
            self._attach_soon(activity, grant, track)

    def unpublished(self, member: Member, track: Track) -> None:
        """A track is gone, and with it the taps in the engine."""
        for activity, grant in self._grants_of(member):
            tap = grant.taps.pop(track.id, None)
            if tap is not None:
                activity.events.put(TapClosed(tap=tap, person=member.person, reason="unpublished"))

    def muted(self, member: Member, track: Track) -> None:
        """A track was muted, or is heard again."""
        for activity, grant in self._grants_of(member):
            tap = grant.taps.get(track.id)
            if tap is not None:
                activity.events.put(TapMuted(tap=tap, is_muted=not track.is_enabled))

    def closed(self, activity: Activity, grant: Grant, reason: str) -> tuple[TapId, ...]:
        """A gate closed: say so to the consumer; the taps that are to be removed."""
        taps = tuple(grant.taps.values())
        grant.taps.clear()
        for tap in taps:
            activity.events.put(TapClosed(tap=tap, person=grant.member.person, reason=reason))
        return taps

    async def remove(self, taps: tuple[TapId, ...]) -> None:
        """Take taps out of the engine; never raises, for their gates are closed."""
        for tap in taps:
            try:
                await self._room.router.remove_tap(tap)
            except SfuError as error:
                _log.debug("tap_removal_failed", room=self._room.id, code=error.code)

    def sink_gone(self, sink: SinkId) -> None:
        """The engine says that a consumer hung up."""
        for activity in self._room.running():
            if activity.sink is not None and activity.sink.id == sink:
                self.drop_sink(activity, "consumer_gone")

    def drop_sink(self, activity: Activity, reason: str) -> Sink | None:
        """Forget an activity's sink and every tap on it; the sink to close."""
        sink, activity.sink = activity.sink, None
        for grant in activity.grants.values():
            self.closed(activity, grant, "sink_lost")
        if sink is not None:
            activity.events.put(SinkLost(reason=reason))
        return sink

    async def close_sink(self, sink: Sink) -> None:
        """End a sink; never raises."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await sink.close()
        except (SfuError, OSError, TimeoutError) as error:
            _log.warning("sink_close_failed", room=self._room.id, reason=type(error).__name__)

    def introduce(self, activity: Activity) -> None:
        """Tell a new consumer who is there, as placeholders until their gates open."""
        for member in filter(activity.concerns, self._room.people()):
            activity.events.put(person_of(member, None))

    def greet(self, activity: Activity, member: Member) -> None:
        """Tell a consumer of somebody who came in, as a placeholder."""
        activity.events.put(person_of(member, None))

    def _grants_of(self, member: Member) -> list[tuple[Activity, Grant]]:
        return [
            (activity, activity.grants[member.id])
            for activity in self._room.running()
            if not activity.is_viewing and member.id in activity.grants
        ]

    def _attach_soon(self, activity: Activity, grant: Grant, track: Track) -> None:
        if activity.is_viewing or grant.gate is None or Media(track.kind) not in grant.media:
            return
        if track.is_e2ee or track.id in grant.taps or track.id in grant.attaching:
            return
        grant.attaching.add(track.id)
        self._room.house.scope.start(self._attach(activity, grant, track), "tap")

    async def _attach(self, activity: Activity, grant: Grant, track: Track) -> None:
        gate, sink = grant.gate, activity.sink
        try:
            if gate is None or sink is None:
                return
            tap = await self._room.router.add_tap(sink, track.id, gate)
        except RouterClosed:
            return
        except SfuError as error:
            _log.warning("tap_failed", room=self._room.id, track=track.id, code=error.code, reason=str(error))
            return
        finally:
            grant.attaching.discard(track.id)
        if grant.gate is not gate or activity.sink is not sink or track.id not in grant.member.tracks:
            # Overtaken while the engine worked: the old gate is closed for good, so nothing came through.
            await self.remove((tap,))
            if track.id in grant.member.tracks:
                self._attach_soon(activity, grant, track)
            return
        grant.taps[track.id] = tap
        activity.events.put(
            TapOpened(
                tap=tap,
                person=grant.member.person,
                participant=grant.member.id,
                track=track.id,
                kind=track.kind,
                source=track.source,
                codecs=track.codecs,
                slot=gate.slot,
                version=gate.version,
                terms_version=_terms_version(grant.member),
            )
        )
        if not track.is_enabled:
            activity.events.put(TapMuted(tap=tap, is_muted=True))
        if track.kind == "video":
            await self.request_keyframe(track)

    async def request_keyframe(self, track: Track) -> None:
        """Ask a publisher for a keyframe; never raises, it is only a wish."""
        try:
            await self._room.router.request_keyframe(track.id)
        except SfuError as error:
            _log.debug("keyframe_request_failed", room=self._room.id, track=track.id, code=error.code)


def person_of(member: Member, name: str | None) -> PersonChanged:
    """What a consumer is told of a person: the name only with a grant."""
    return PersonChanged(person=member.person, participant=member.id, name=name, is_present=member.is_present)


def _terms_version(member: Member) -> str:
    acceptance = member.facts.acceptance
    return acceptance.terms_version if acceptance is not None else ""
