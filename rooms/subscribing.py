"""What a participant receives: everyone else's tracks, offered by the server."""

import structlog

from policy import Permission
from rooms.errors import Code, Refused
from rooms.events import PeerClosed, SubscribeOfferReady
from rooms.house import House
from rooms.member import Member
from rooms.plane_errors import plane_errors
from rooms.room import Room
from rooms.tracks import Track
from rooms.types import OfferedTrack, SubscribeOffer
from sfu import SCREEN_PRIORITY, RouterClosed, SfuError, SubscriberId, TrackId

_log = structlog.get_logger("rooms")


def _priority(room: Room, track: TrackId) -> int:
    found = room.find_track(track)
    return SCREEN_PRIORITY if found is not None and found[1].source == "screen" else 1


class Subscribing:
    """Subscribers of every room. A subscriber's peer is made when there is something to receive."""

    def __init__(self, house: House) -> None:
        self._house = house

    def offer_track(self, room: Room, owner: Member, track: Track) -> None:
        """A new track: offer it to everyone else who may receive."""
        self._house.scope.start(self._offer_to_all(room, owner, track), "subscribe")

    def catch_up(self, room: Room, member: Member) -> None:
        """Somebody came in, or made their connection anew: offer them what there is."""
        self._house.scope.start(self._offer_all(room, member), "subscribe")

    async def next_offer(self, room: Room, member: Member) -> SubscribeOffer | None:
        """What to tell the subscriber next; None when nothing changed or an answer is outstanding.

        Raises: Refused.
        """
        sub = member.subscriber
        if sub is None:
            return None
        is_restart, member.wants_restart = member.wants_restart, False
        with plane_errors():
            offer = await room.router.offer(sub, restart=is_restart)
        if offer is None or member.subscriber != sub:
            return None
        is_fresh, member.is_subscriber_fresh = member.is_subscriber_fresh, False
        member.is_offer_outstanding = True
        tracks = []
        for mid, track_id in offer.tracks:
            found = room.find_track(track_id)
            if found is not None:
                owner, track = found
                tracks.append(
                    OfferedTrack(
                        mid=mid, track=track_id, participant=owner.id, kind=track.kind, source=track.source
                    )
                )
        return SubscribeOffer(version=offer.version, sdp=offer.sdp, is_fresh=is_fresh, tracks=tuple(tracks))

    async def answer(self, room: Room, member: Member, version: int, sdp: str) -> None:
        """Take the subscriber's answer.

        Raises: Refused (not_found, invalid_sdp).
        """
        if member.subscriber is None:
            raise Refused(Code.NOT_FOUND, "there is no offer to answer")
        with plane_errors():
            await room.router.answer(member.subscriber, version, sdp)
        member.is_offer_outstanding = False

    async def restart(self, room: Room, member: Member, *, is_fresh: bool) -> None:
        """The subscribe connection failed: restart its ICE, or make it anew when asked or when it is gone."""
        if member.subscriber is not None and not is_fresh:
            member.wants_restart = True
            member.tell(SubscribeOfferReady())
            return
        await self.drop(room, member)
        self.catch_up(room, member)

    async def set_layer(
        self,
        room: Room,
        member: Member,
        track: TrackId,
        *,
        is_enabled: bool,
        spatial: int | None,
        temporal: int | None,
        height: int | None,
        priority: int | None,
    ) -> None:
        """Pause or resume a received track, or say how it is shown.

        Raises: Refused (not_found).
        """
        if member.subscriber is None:
            raise Refused(Code.NOT_FOUND, "nothing is received")
        with plane_errors():
            await room.router.set_layer(
                member.subscriber,
                track,
                paused=not is_enabled,
                spatial=spatial,
                temporal=temporal,
                height=height,
                priority=priority if priority is not None else _priority(room, track),
            )

    async def drop(self, room: Room, member: Member) -> None:
        """Close the subscribe connection."""
        sub, member.subscriber = member.subscriber, None
        member.is_offer_outstanding = member.wants_restart = False
        if sub is not None:
            try:
                await room.router.remove_peer(sub)
            except SfuError as error:
                _log.debug("peer_removal_failed", room=room.id, code=error.code)

    def offer_needed(self, room: Room, sub: SubscriberId) -> None:
        """The plane has something to offer."""
        for member in room.members.values():
            if member.subscriber == sub:
                member.tell(SubscribeOfferReady())
                return

    def peer_failed(self, member: Member, reason: str) -> None:
        """The engine closed the subscribe connection; the client asks for a new one."""
        member.subscriber = None
        member.is_offer_outstanding = member.wants_restart = False
        member.tell(PeerClosed("subscribe", reason))

    def resume(self, room: Room, member: Member) -> None:
        """A session took the place again and kept its connections: what was under way may be lost."""
        if member.subscriber is None:
            self.catch_up(room, member)
            return
        if member.is_offer_outstanding:
            member.wants_restart = True
        member.tell(SubscribeOfferReady())
        room.router.tell_layers(member.subscriber)

    @staticmethod
    def receives(member: Member) -> bool:
        """Whether the member is offered tracks at all."""
        return (
            member.is_present
            and member.transport == "ws"
            and not member.is_external
            and Permission.SUBSCRIBE in member.permissions
        )

    async def _offer_to_all(self, room: Room, owner: Member, track: Track) -> None:
        for member in list(room.members.values()):
            if member is not owner and self.receives(member) and track.id in owner.tracks:
                await self._subscribe(room, member, track.id)

    async def _offer_all(self, room: Room, member: Member) -> None:
        for owner in list(room.members.values()):
            for track_id in list(owner.tracks):
                if owner is not member and self.receives(member):
                    await self._subscribe(room, member, track_id)

    async def _subscribe(self, room: Room, member: Member, track_id: TrackId) -> None:
        try:
            sub = await self._peer(room, member)
            if sub is not None:
                await room.router.subscribe(sub, track_id)
        except RouterClosed:
            return
        except SfuError as error:
            # The track or the peer went meanwhile, or a limit is reached: theirs alone.
            _log.info(
                "subscription_failed", room=room.id, participant=member.id, track=track_id, code=error.code
            )

    async def _peer(self, room: Room, member: Member) -> SubscriberId | None:
        if member.subscriber is not None:
            return member.subscriber
        sub = await room.router.subscriber(member.id)
        if member.subscriber is not None or not self.receives(member) or room.is_closed:
            # Another task was faster, or the member left.
            await room.router.remove_peer(sub)
            return member.subscriber
        member.subscriber = sub
        member.is_subscriber_fresh = True
        return sub
