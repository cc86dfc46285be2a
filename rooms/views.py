"""Viewers by WHEP: what each m-section shows, and behind which gate when the viewer is outside the room."""

from collections.abc import Mapping
from typing import Final

import structlog

from policy import Media
from rooms.activity import Activity, Grant
from rooms.errors import Code, Refused
from rooms.events import Chat, ChatDeleted
from rooms.member import Member, Viewing
from rooms.offer import peek
from rooms.plane_errors import plane_errors
from rooms.room import Room
from rooms.tracks import Kind, Track
from rooms.types import ChatMessage, Source, TrackInfo, Viewed
from sfu import Gate, SfuError

_log = structlog.get_logger("rooms")
_TOLD_MOST: Final = 200
"""Chat lines of a viewer outside that can be taken back."""
_ORDER = {Source.SCREEN: 0, Source.CAMERA: 1, Source.MIC: 0, Source.SCREEN_AUDIO: 1}


class Views:
    """Keeps the viewers of one room in step with who publishes, who speaks and who is granted."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def start(
        self, viewer: Member, offer: str, target: str | None, activity: Activity | None
    ) -> Viewed:
        """Answer a viewer's offer. `activity`: whose grants govern it, for viewers outside the room.

        Raises: Refused.
        """
        if viewer.viewing is not None:
            raise Refused(Code.CONFLICT, "this viewer watches already")
        wanted = self._wanted(viewer, target, activity)
        if target is not None and not wanted and self._is_encrypted(target):
            raise Refused(Code.E2EE, "what this participant sends is encrypted end to end")
        if viewer.is_external and target is not None and not wanted:
            raise Refused(
                Code.FORBIDDEN, "no_live_grant: this participant has not agreed to be shown outside"
            )
        tracks = [track.id for track, _ in wanted.values()]
        gates = {track.id: gate for track, gate in wanted.values() if gate is not None}
        with plane_errors():
            answer = await self._room.router.whep(viewer.id, offer, tracks, gates=gates)
        if not viewer.is_present or self._room.is_closed:
            await self._room.router.remove_peer(answer.peer)
            raise Refused(Code.CONFLICT, "the session has ended")
        kinds = peek(offer).kinds
        versions = {track.id: gate.version for track, gate in wanted.values() if gate is not None}
        viewer.viewing = Viewing(
            peer=answer.peer,
            target=target,
            sections={mid: kinds[mid] for mid, _ in answer.tracks if mid in kinds},
            shown=dict(answer.tracks),
            versions={mid: versions[track] for mid, track in answer.tracks if track in versions},
        )
        self.refresh_soon(viewer, activity)
        return Viewed(sdp=answer.sdp, tracks=self._infos(viewer.viewing))

    def refresh_soon(self, viewer: Member, activity: Activity | None) -> None:
        """Something changed that this viewer may see."""
        if viewer.viewing is not None:
            self._room.house.scope.start(self._refresh(viewer, activity), "view")

    def refresh_all(self) -> None:
        """Something changed that any viewer may see. Chat that may be seen no more is taken back at once."""
        self._take_back_ungranted()
        for viewer in [*self._room.members.values(), *self._room.viewers.values()]:
            if viewer.viewing is not None:
                self.refresh_soon(viewer, self.activity_of(viewer))

    def activity_of(self, viewer: Member) -> Activity | None:
        """The running `live` activity that governs an external viewer: one that names their site."""
        if not viewer.is_external or viewer.site is None:
            return None
        return self._room.viewing_of(viewer.site)

    def tell_outside(self, author: Member, line: ChatMessage) -> None:
        """Pass a chat line to the external viewers for whom its author is granted: by screen name alone."""
        for viewer in list(self._room.viewers.values()):
            if viewer.session is not None and self._may_read(author.id, self.activity_of(viewer)):
                outside = ChatMessage(
                    id=line.id, at_ms=line.at_ms, participant="", identity="", name=line.name, text=line.text
                )
                viewer.session.events.put(Chat(outside))
                viewer.told[line.id] = author.id
                if len(viewer.told) > _TOLD_MOST:
                    del viewer.told[next(iter(viewer.told))]

    def take_back_outside(self, line: ChatMessage) -> None:
        """Tell every external viewer that a line is no more."""
        for viewer in list(self._room.viewers.values()):
            viewer.told.pop(line.id, None)
            if viewer.session is not None:
                viewer.session.events.put(ChatDeleted(line.id))

    def _take_back_ungranted(self) -> None:
        """Tell external viewers that lines are no more whose authors are not granted there any longer."""
        for viewer in list(self._room.viewers.values()):
            activity = self.activity_of(viewer)
            gone = [line for line, author in viewer.told.items() if not self._may_read(author, activity)]
            for line in gone:
                del viewer.told[line]
                if viewer.session is not None:
                    viewer.session.events.put(ChatDeleted(line))

    @staticmethod
    def _may_read(author: str, activity: Activity | None) -> bool:
        grant = activity.grants.get(author) if activity is not None else None
        return grant is not None and grant.gate is not None and Media.CHAT in grant.media

    def _wanted(
        self, viewer: Member, target: str | None, activity: Activity | None
    ) -> Mapping[Kind, tuple[Track, Gate | None]]:
        """What the viewer should see and hear: at most one video and one audio track, with their gates."""
        candidates = self._candidates(target)
        wanted: dict[Kind, tuple[Track, Gate | None]] = {}
        for member in candidates:
            grant = self._grant(member, activity)
            if viewer.is_external and grant is None:
                continue
            for track in sorted(member.tracks.values(), key=lambda item: (_ORDER[item.source], item.id)):
                if track.is_e2ee:
                    continue  # a viewer by WHEP has no key
                if viewer.is_external and (grant is None or Media(track.kind) not in grant.media):
                    continue
                wanted.setdefault(track.kind, (track, grant.gate if grant is not None else None))
            if wanted:
                break
        return wanted

    def _is_encrypted(self, target: str) -> bool:
        member = self._room.by_identity(target)
        return member is not None and any(track.is_e2ee for track in member.tracks.values())

    def _candidates(self, target: str | None) -> list[Member]:
        if target is not None:
            member = self._room.by_identity(target)
            return [member] if member is not None else []
        people = [member for member in self._room.people() if member.tracks]
        speaking = self._room.speaker
        # Whoever speaks first, then whoever has been here longest.
        return sorted(people, key=lambda member: speaking not in member.tracks)

    @staticmethod
    def _grant(member: Member, activity: Activity | None) -> Grant | None:
        grant = activity.grants.get(member.id) if activity is not None else None
        return grant if grant is not None and grant.gate is not None else None

    async def _refresh(self, viewer: Member, activity: Activity | None) -> None:
        viewing = viewer.viewing
        if viewing is None or not viewer.is_present:
            return
        wanted = self._wanted(viewer, viewing.target, activity)
        for mid, kind in viewing.sections.items():
            found = wanted.get(kind)
            if found is None:
                continue
            track, gate = found
            version = gate.version if gate is not None else 0
            if viewing.shown.get(mid) == track.id and viewing.versions.get(mid, 0) == version:
                continue
            viewing.shown[mid] = track.id
            viewing.versions[mid] = version
            try:
                await self._room.router.set_source(viewing.peer, mid, track.id, gate=gate)
            except SfuError as error:
                viewing.shown[mid] = None
                _log.debug("view_switch_failed", room=self._room.id, mid=mid, code=error.code)

    def _infos(self, viewing: Viewing) -> tuple[TrackInfo, ...]:
        found = [self._room.find_track(track) for track in viewing.shown.values() if track is not None]
        return tuple(item[1].info() for item in found if item is not None)
