"""What the media plane tells a room, carried out."""

import structlog

from policy import Hold
from rooms.activity_events import Speakers
from rooms.consent import ConsentService
from rooms.events import CodecUnsupported, LayerChosen, LayersWanted, SpeakersChanged
from rooms.house import House
from rooms.leaving import Leaving
from rooms.member import Member
from rooms.publishing import Publishing
from rooms.room import Room
from rooms.subscribing import Subscribing
from sfu import (
    BEST,
    ActiveSpeaker,
    EventsLost,
    Levels,
    OfferNeeded,
    PeerActive,
    PeerConnected,
    PeerFailed,
    PeerId,
    PeerIdle,
    PlaneEvent,
    SinkClosed,
    TrackAdded,
    TrackCodec,
    TrackRemoved,
)
from sfu import CodecUnsupported as PlaneCodecUnsupported
from sfu import LayerChosen as PlaneLayerChosen
from sfu import LayersWanted as PlaneLayersWanted

_log = structlog.get_logger("rooms")
_STEP_DB = 6
"""Levels are told in steps, so that a steady voice makes no stream of events."""


class PlaneEvents:
    """Reads the router of one room until it closes."""

    def __init__(
        self,
        house: House,
        consent: ConsentService,
        publishing: Publishing,
        subscribing: Subscribing,
        leaving: Leaving,
    ) -> None:
        self._house = house
        self._consent = consent
        self._publishing = publishing
        self._subscribing = subscribing
        self._leaving = leaving

    async def follow(self, room: Room) -> None:
        """Carry out every event of the room's router; one that fails is logged and the next is read."""
        async for event in room.router.events:
            try:
                self.take(room, event)
            except Exception:  # noqa: BLE001 - one event's fault must not deafen the room
                _log.exception("plane_event_failed", room=room.id, event_type=type(event).__name__)

    def take(self, room: Room, event: PlaneEvent) -> None:
        """Carry out one event; everything that waits runs in its own task."""
        match event:
            case PeerFailed(peer=peer, reason=reason):
                self._peer_failed(room, peer, reason)
            case PeerIdle(peer=peer):
                self._idle(room, peer)
            case PeerActive(peer=peer):
                self._active(room, peer)
            case TrackRemoved(track=track):
                found = room.find_track(track)
                if found is not None:
                    reason = "unpublished" if found[0].is_negotiating else "track_ended"
                    self._publishing.forget_tracks(room, found[0], [track], reason)
            case TrackCodec(track=track, codec=codec):
                found = room.find_track(track)
                if found is not None:
                    found[1].codec = codec
            case OfferNeeded(sub=sub):
                self._subscribing.offer_needed(room, sub)
            case Levels(levels=levels):
                self._levels(room, levels)
            case ActiveSpeaker(track=track):
                room.speaker = track
                self._consent.gates.desk(room).views.refresh_all()
            case PlaneCodecUnsupported(sub=sub, track=track, codec=codec):
                self._unsupported(room, sub, track, codec)
            case PlaneLayerChosen() | PlaneLayersWanted():
                self._layers(room, event)
            case SinkClosed() | EventsLost() | PeerConnected() | TrackAdded():
                self._rare(room, event)

    def _rare(self, room: Room, event: SinkClosed | EventsLost | PeerConnected | TrackAdded) -> None:
        if isinstance(event, SinkClosed):
            self._consent.gates.desk(room).taps.sink_gone(event.sink)
        elif isinstance(event, EventsLost):
            _log.warning("plane_events_lost", room=room.id, count=event.count)
        # Of the others nothing is to be done: tracks are known from the answer that made them.

    def _peer_failed(self, room: Room, peer: PeerId, reason: str) -> None:
        member = _publisher(room, peer)
        if member is not None:
            self._publishing.peer_failed(room, member, reason)
            if member.transport == "whip":
                self._house.scope.start(self._lose(room, member), "peer_failed")
            return
        for member in [*room.members.values(), *room.viewers.values()]:
            if member.subscriber == peer:
                self._subscribing.peer_failed(member, reason)
            elif member.viewing is not None and member.viewing.peer == peer:
                self._house.scope.start(self._lose(room, member), "peer_failed")

    async def _lose(self, room: Room, member: Member) -> None:
        await self._leaving.leave(room, member, "lost")

    def _idle(self, room: Room, peer: PeerId) -> None:
        member = _publisher(room, peer)
        if member is not None:
            self._consent.suspend(room, member, Hold.MEDIA)
            room.tell_updated(member)

    def _active(self, room: Room, peer: PeerId) -> None:
        member = _publisher(room, peer)
        if member is not None:
            self._house.scope.start(self._consent.resume(room, member, Hold.MEDIA), "resume")

    @staticmethod
    def _unsupported(room: Room, sub: PeerId, track: int, codec: str) -> None:
        found = next((item for item in room.tracks() if item.track == track), None)
        if found is None:
            return
        owner = room.find_track(found.track)
        for member in room.members.values():
            if member.subscriber == sub:
                member.tell(CodecUnsupported(found.track, codec))
        if owner is not None:
            owner[0].tell(CodecUnsupported(found.track, codec))

    @staticmethod
    def _layers(room: Room, event: PlaneLayerChosen | PlaneLayersWanted) -> None:
        if isinstance(event, PlaneLayersWanted):
            if (found := room.find_track(event.track)) is not None:
                found[0].tell(LayersWanted(event.track, event.rids, event.is_wanted, event.spatial))
            return
        state = "starved" if event.is_starved else "paused" if event.is_paused else "active"
        layers = (None if layer == BEST else layer for layer in (event.spatial, event.temporal))
        for member in room.members.values():
            if member.subscriber == event.sub:
                member.tell(LayerChosen(event.track, state, *layers))
                return

    @staticmethod
    def _levels(room: Room, levels: tuple[tuple[int, int], ...]) -> None:
        loudest: dict[str, int] = {}
        for track_id, dbov in levels:
            owner = next((item for item in room.members.values() if track_id in item.tracks), None)
            if owner is not None:
                loudest[owner.id] = max(loudest.get(owner.id, -127), dbov)
        stepped = {participant: level - level % _STEP_DB for participant, level in loudest.items()}
        spoken = tuple(sorted(stepped.items(), key=lambda item: (-item[1], item[0])))
        if spoken == room.spoken:
            return
        room.spoken = spoken
        room.tell(SpeakersChanged(spoken))
        for activity in room.running():
            granted = [
                participant
                for participant, _ in spoken
                if (grant := activity.grants.get(participant)) is not None and grant.gate is not None
            ]
            if not activity.is_viewing:
                activity.events.put(Speakers(participants=tuple(granted)))


def _publisher(room: Room, peer: PeerId) -> Member | None:
    return next((member for member in room.members.values() if member.publish_peer == peer), None)
