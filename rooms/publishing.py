"""What a participant sends: negotiation, tracks, mute."""

from collections.abc import Mapping

import structlog

from policy import Deny, Hold, Permission, may_publish
from rooms.consent import ConsentService
from rooms.errors import Code, Refused
from rooms.events import PeerClosed, TrackMuted, TrackPublished, TrackUnpublished
from rooms.house import House
from rooms.member import Member
from rooms.offer import OFFER_BYTES, OfferPeek, peek
from rooms.plane_errors import plane_errors
from rooms.room import Room
from rooms.subscribing import Subscribing
from rooms.tracks import Track, fitting_source
from rooms.types import Published, Source
from sfu import PeerId, PublishAnswer, PublishedTrack, SfuError, TrackId

_log = structlog.get_logger("rooms")


class Publishing:
    """Publishers of every room."""

    def __init__(self, house: House, consent: ConsentService, subscribing: Subscribing) -> None:
        self._house = house
        self._consent = consent
        self._subscribing = subscribing

    async def publish(
        self, room: Room, member: Member, offer: str, sources: Mapping[str, Source], *, is_e2ee: bool
    ) -> Published:
        """Answer a publish offer: a renegotiation of the present connection, or a new one in its place.

        Raises: Refused (forbidden, terms_required, age_required, notice_required, invalid_sdp,
        unsupported_codec, too_large, conflict, not_found, room_full, unavailable).
        """
        if len(offer) > OFFER_BYTES:
            raise Refused(Code.TOO_LARGE, f"an SDP has at most {OFFER_BYTES} bytes")
        seen = peek(offer)
        self._check(room, member, seen)
        if member.is_negotiating:
            raise Refused(Code.CONFLICT, "the last offer is not answered yet: wait for its answer")
        member.is_negotiating = True
        try:
            return await self._negotiate(room, member, offer, seen, sources, is_e2ee=is_e2ee)
        finally:
            member.is_negotiating = False

    async def _negotiate(
        self,
        room: Room,
        member: Member,
        offer: str,
        seen: OfferPeek,
        sources: Mapping[str, Source],
        *,
        is_e2ee: bool,
    ) -> Published:
        old = member.publish_peer
        peer = old if seen.connection and seen.connection == member.publish_connection else None
        with plane_errors():
            answer = await room.router.publish(
                member.id, offer, peer=peer, e2ee=is_e2ee, data=member.transport == "ws"
            )
        if not member.is_present or room.is_closed:
            await room.router.remove_peer(answer.peer)
            raise Refused(Code.CONFLICT, "the session has ended")
        try:
            self._check_permission(member, seen)
        except Refused:
            # It was taken while the media plane negotiated.
            await self._refuse(room, member, answer.peer, "permission_lost", is_new=peer is None)
            raise
        if any(track.mid not in seen.sending for track in answer.tracks):
            # What was let in by the look at the offer must be what negotiation found in it.
            await self._refuse(room, member, answer.peer, "unpublished", is_new=peer is None)
            raise Refused(Code.INVALID_SDP, "the offer does not say plainly which sections send")
        member.publish_peer, member.publish_connection = answer.peer, seen.connection
        member.publish_lost = ""
        if peer is None and old is not None:
            await self.drop_peer(room, member, old, "replaced")
        _check_connected(member, answer.peer)
        await self._apply(room, member, answer, sources)
        infos = tuple(
            member.tracks[track.track].info() for track in answer.tracks if track.track in member.tracks
        )
        return Published(sdp=answer.sdp, tracks=infos)

    async def set_muted(self, room: Room, member: Member, track_id: TrackId, *, is_muted: bool) -> None:
        """The owner mutes or unmutes a track; the server stops forwarding it.

        Raises: Refused (not_found, forbidden).
        """
        track = self._own(member, track_id)
        if track.is_enforced and not is_muted:
            raise Refused(Code.FORBIDDEN, "a moderator muted this track")
        if track.is_muted == is_muted:
            return
        track.is_muted = is_muted
        await self._enable(room, member, track)
        room.tell(TrackMuted(member.id, track.id, is_muted, track.is_enforced), but=member)

    async def enforce_mute(self, room: Room, member: Member, *, is_muted: bool) -> None:
        """A moderator mutes a participant's sound, present and later tracks, or lifts that."""
        if is_muted:
            member.enforced.add("audio")
        else:
            member.enforced.discard("audio")
        for track in list(member.tracks.values()):
            if track.kind == "audio" and track.is_enforced != is_muted:
                track.is_enforced = is_muted
                await self._enable(room, member, track)
                room.tell(TrackMuted(member.id, track.id, track.is_muted, is_muted))

    def set_source(self, room: Room, member: Member, track_id: TrackId, source: Source) -> None:
        """The owner says what a track shows now (device change, screen share on the same sender).

        Raises: Refused (not_found).
        """
        track = self._own(member, track_id)
        track.source = fitting_source(track.kind, source)
        room.tell_updated(member)

    async def _refuse(self, room: Room, member: Member, peer: PeerId, reason: str, *, is_new: bool) -> None:
        """Close the connection of an offer that is refused after all; one beside it keeps its tracks."""
        if is_new:
            await room.router.remove_peer(peer)
        else:
            await self.drop_peer(room, member, peer, reason)

    async def drop_peer(self, room: Room, member: Member, peer: PeerId, reason: str) -> None:
        """Close a publish connection; its tracks go."""
        if member.publish_peer == peer:
            member.publish_peer, member.publish_connection = None, ""
        self.forget_tracks(room, member, [track.id for track in member.tracks.values()], reason)
        self._lift_media_hold(room, member)
        try:
            await room.router.remove_peer(peer)
        except SfuError as error:
            _log.debug("peer_removal_failed", room=room.id, code=error.code)

    def forget_tracks(self, room: Room, member: Member, tracks: list[TrackId], reason: str) -> None:
        """Tracks are gone: tell everyone, and the consumers."""
        desk = self._consent.gates.desk(room)
        for track_id in tracks:
            track = member.tracks.pop(track_id, None)
            if track is None:
                continue
            desk.taps.unpublished(member, track)
            room.tell(TrackUnpublished(member.id, track_id), but=member)
            if reason not in {"unpublished", "replaced", "left"}:
                member.tell(TrackUnpublished(member.id, track_id))
        if tracks:
            desk.views.refresh_all()

    def peer_failed(self, room: Room, member: Member, reason: str) -> None:
        """The engine closed the publish connection."""
        member.publish_peer, member.publish_connection = None, ""
        member.publish_lost = reason
        self.forget_tracks(room, member, list(member.tracks), reason)
        self._lift_media_hold(room, member)
        member.tell(PeerClosed("publish", reason))

    def resume(self, room: Room, member: Member) -> None:
        """A session took the place again and kept its connections: news of its tracks may be lost."""
        for track in member.tracks.values():
            if track.kind == "audio":
                member.tell(TrackMuted(member.id, track.id, track.is_muted, track.is_enforced))
        if member.publish_peer is not None:
            room.router.tell_layers(member.publish_peer)
        elif member.publish_lost:
            member.tell(PeerClosed("publish", member.publish_lost))

    def _lift_media_hold(self, room: Room, member: Member) -> None:
        # The silent connection is gone: what the next one sends is governed by the grants as they stand.
        if Hold.MEDIA in member.facts.holds and member.is_present:
            self._house.scope.start(self._consent.resume(room, member, Hold.MEDIA), "resume")

    def track_added(
        self, room: Room, member: Member, published: PublishedTrack, source: Source | None
    ) -> Track:
        """A track is new: note it, tell everyone, subscribe and tap."""
        track = Track(
            id=published.track,
            owner=member.id,
            kind=published.kind,
            mid=published.mid,
            source=fitting_source(published.kind, source),
            codecs=published.codecs,
            is_simulcast=bool(published.simulcast),
            is_e2ee=published.is_e2ee,
            is_enforced=published.kind in member.enforced,
        )
        member.tracks[track.id] = track
        room.tell(TrackPublished(member.id, track.info()), but=member)
        self._subscribing.offer_track(room, member, track)
        desk = self._consent.gates.desk(room)
        desk.taps.published(member, track)
        desk.views.refresh_all()
        return track

    async def _apply(
        self, room: Room, member: Member, answer: PublishAnswer, sources: Mapping[str, Source]
    ) -> None:
        present = {track.track for track in answer.tracks}
        self.forget_tracks(
            room, member, [track for track in member.tracks if track not in present], "unpublished"
        )
        for published in answer.tracks:
            known = member.tracks.get(published.track)
            if known is None:
                known = self.track_added(room, member, published, sources.get(published.mid))
                if not known.is_enabled:
                    await self._enable(room, member, known)
                    _check_connected(member, answer.peer)
            elif published.mid in sources:
                known.source = fitting_source(known.kind, sources[published.mid])

    def _check(self, room: Room, member: Member, seen: OfferPeek) -> None:
        """Whether the offer may be negotiated: anything new in it needs terms and acknowledged notices."""
        if seen.is_data_alone and member.transport == "ws":
            return
        self._check_permission(member, seen)
        if len(seen.sending) > room.settings.max_tracks:
            raise Refused(
                Code.TOO_LARGE, f"a participant publishes at most {room.settings.max_tracks} tracks here"
            )
        is_same = bool(seen.connection) and seen.connection == member.publish_connection
        known = {track.mid for track in member.tracks.values()} if is_same else set()
        if seen.sending <= known:
            return
        decision = may_publish(
            member.permissions,
            member.seen,
            room.facts,
            room.notice_ids(),
            self._house.now_ms(),
            needs_terms=member.transport == "ws",
        )
        if isinstance(decision, Deny):
            raise refused(room, member, decision, self._consent.policy.current_terms().version)

    @staticmethod
    def _check_permission(member: Member, seen: OfferPeek) -> None:
        """Whether the person may send at all; data channels alone need no leave."""
        is_data_alone = seen.is_data_alone and member.transport == "ws"
        if not is_data_alone and Permission.PUBLISH not in member.permissions:
            raise Refused(
                Code.FORBIDDEN, "the token does not allow publishing: ask for one with the publish grant"
            )

    async def _enable(self, room: Room, member: Member, track: Track) -> None:
        with plane_errors():
            await room.router.set_enabled(track.id, track.is_enabled)
        self._consent.gates.desk(room).taps.muted(member, track)

    @staticmethod
    def _own(member: Member, track_id: TrackId) -> Track:
        track = member.tracks.get(track_id)
        if track is None:
            raise Refused(Code.NOT_FOUND, "no such track of yours")
        return track


def _check_connected(member: Member, peer: PeerId) -> None:
    """Nothing is published on a connection that ended while something was waited for.

    Raises: Refused (conflict).
    """
    if member.publish_peer != peer:
        raise Refused(Code.CONFLICT, "the connection ended before its tracks were taken: make a new one")


def refused(room: Room, member: Member, decision: Deny, terms_version: str) -> Refused:
    """The refusal that a denial by policy means, with what the client needs to mend it."""
    code = Code(decision.code)
    return Refused(
        code,
        decision.reason,
        notices=room.notices_for(member) if code is Code.NOTICE_REQUIRED else (),
        terms_version=terms_version if code is Code.TERMS_REQUIRED else None,
    )
