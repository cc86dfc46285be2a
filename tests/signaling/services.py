"""A recorder, broadcasts and an HLS store in memory, for the endpoints in front of them."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rebroadcast import EncodingWish, LookChange, LookInfo, PartnerChange, ProgramInfo, ReplayInfo
from recorder import (
    ArchiveState,
    Attendee,
    ErasedCopy,
    PlaybackInfo,
    Presence,
    Quote,
    RenderWish,
    RenditionInfo,
    Span,
)
from rooms import Withdrawal
from store import Hold
from tests.signaling.rig import rig


class ServiceError(Exception):
    """What a service raises; its class carries the code."""

    code = "conflict"


class NothingThere(ServiceError):
    code = "not_found"


class NotRegistered(ServiceError):
    code = "forbidden"


@dataclass(frozen=True)
class Recording:
    id: str
    room: str
    state: str = "recording"
    reason: str | None = None
    started_ms: int = 1
    ended_ms: int | None = None
    size_bytes: int = 7
    expires_ms: int | None = None
    is_held: bool = False
    archive: ArchiveState | None = None


@dataclass(frozen=True)
class RecordedFile:
    name: str
    size_bytes: int
    content_type: str = "video/mp4"
    sha256: str | None = "ab" * 32


@dataclass(frozen=True)
class OpenFile:
    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Nobody in it takes anything back."""

    async def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Erasure:
    recording: str
    outcome: str = "erased"
    at_ms: int | None = 5
    copies: tuple[ErasedCopy, ...] = (ErasedCopy("rnd_1", "grid", "made_again", ("rendition.mp4",), 5),)


@dataclass
class Custody:
    """`Custody` in memory."""

    held: dict[str, Hold] = field(default_factory=dict)

    async def hold(self, recording: str, *, reason: str, by: str, until_ms: int | None) -> Hold:
        number = len(self.held) + 1
        made = Hold(
            id=f"hold_{number}", recording=recording, reason=reason, placed_by=by, placed_at_ms=1,
            until_ms=until_ms,
        )  # fmt: skip
        self.held[made.id] = made
        return made

    async def release(self, recording: str, hold: str, *, by: str) -> Hold:
        made = self.held[hold] = replace(self.held[hold], released_by=by, released_at_ms=2)
        return made

    async def holds(self, recording: str) -> Sequence[Hold]:
        return [hold for hold in self.held.values() if hold.recording == recording]

    async def erasures(self, person: str) -> Sequence[Erasure]:
        return [Erasure("rec_1")]


FILES = {
    "stills.vtt": b"WEBVTT\n\n00:00:00.000 --> 00:00:04.000\nstills-000.jpg#xywh=0,0,160,90\n",
    "stills-000.jpg": b"tiles",
    "poster.jpg": b"poster",
}


@dataclass
class Renditions:
    """`Renditions` in memory."""

    made: dict[str, RenditionInfo] = field(default_factory=dict)

    async def render(self, recording: str, wish: RenderWish) -> RenditionInfo:
        made = RenditionInfo(
            id=f"rnd_{len(self.made) + 1}",
            recording=recording,
            state="finished",
            reason=None,
            progress=1.0,
            created_ms=1,
            name=f"rendition.{wish.format}",
            size_bytes=5,
            sha256=None,
            people=("per_1",),
            wish=wish,
            beside=tuple(FILES),
        )
        self.made[made.id] = made
        return made

    def of(self, recording: str) -> Sequence[RenditionInfo]:
        return [item for item in self.made.values() if item.recording == recording]

    def get(self, recording: str, rendition: str) -> RenditionInfo:
        if rendition not in self.made:
            raise NothingThere("there is no such rendition")
        return self.made[rendition]

    async def open_file(self, recording: str, rendition: str, name: str) -> OpenFile | None:
        content = {self.made[rendition].name: b"films"} | FILES
        return OpenFile(content[name]) if name in content else None

    async def remove(self, recording: str, rendition: str) -> None:
        del self.made[rendition]


@dataclass
class Playback:
    """`Playback` in memory: what a replay shows is what was made for one."""

    made: Renditions
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def info(self, recording: str, use: str) -> PlaybackInfo:
        self.asked.append((recording, use))
        ada = Attendee("per_1", "Ada", (Span(0, 9_000),), ("camera",), (Span(2_000, 3_000),))
        return PlaybackInfo(1, 9_000, (ada,), 1, (Span(4_000, 5_000),))

    async def chat(self, recording: str, use: str, *, after: int = 0, limit: int = 50) -> Sequence[Quote]:
        lines = [Quote(number * 1_000, "per_1", "Ada", f"line {number}") for number in range(3)]
        return lines[after : after + limit]

    async def renditions(self, recording: str, use: str) -> Sequence[RenditionInfo]:
        return [info for info in self.made.of(recording) if use == "record" or info.wish.use == "replay"]

    async def open_file(self, recording: str, rendition: str, name: str, use: str) -> OpenFile | None:
        if rendition not in [info.id for info in await self.renditions(recording, use)]:
            raise NothingThere("there is no such rendition")
        return await self.made.open_file(recording, rendition, name)


@dataclass
class Condition:
    """`Condition` of a recorder that is well."""

    free_bytes: int | None = 1 << 30
    archive_waiting: int = 0
    archive_failed: int = 0


@dataclass
class Recorder:
    """`RecorderService` in memory."""

    folder: Path
    held: dict[str, Recording] = field(default_factory=dict)
    custody: Custody = field(default_factory=Custody)
    renditions: Renditions = field(default_factory=Renditions)
    condition: Condition = field(default_factory=Condition)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    playback: Playback = field(init=False)

    def __post_init__(self) -> None:
        self.playback = Playback(self.renditions)

    async def start(self, room: str, *, started_by: str | None = None) -> Recording:
        if any(item.room == room and item.state == "recording" for item in self.held.values()):
            raise ServiceError("the room is being recorded already")
        made = Recording(f"rec_{next(self.numbers)}", room)
        self.held[made.id] = made
        return made

    async def stop(self, recording: str) -> Recording:
        made = self.held[recording] = replace(self.held[recording], state="finished", ended_ms=2)
        return made

    async def pause(self, recording: str, *, is_paused: bool) -> Recording:
        if self.held[recording].state == "finished":
            raise ServiceError("it has ended")
        state = "paused" if is_paused else "recording"
        made = self.held[recording] = replace(self.held[recording], state=state)
        return made

    async def status(self, recording: str) -> Recording | None:
        return self.held.get(recording)

    async def recordings(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> Sequence[Recording]:
        items = [item for item in reversed(self.held.values()) if room in {None, item.room}]
        ids = [item.id for item in items]
        return items[ids.index(after) + 1 if after else 0 :][:limit]

    async def files(self, recording: str) -> Sequence[RecordedFile]:
        return [RecordedFile("p1-video.mp4", 10)]

    async def file(self, recording: str, name: str) -> tuple[RecordedFile, OpenFile] | None:
        path = self.folder / name
        if path.is_symlink() or not path.is_file():
            return None
        return RecordedFile(name, path.stat().st_size), OpenFile(path.read_bytes())

    async def delete(self, recording: str) -> None:
        if self.held[recording].state == "recording":
            raise ServiceError("stop it first")
        del self.held[recording]

    async def concerned(self, withdrawal: Withdrawal) -> Sequence[str]:
        return [item for item in reversed(self.held) if withdrawal.recording in {"", item}]

    async def presence(self, person: str, *, room: str = "") -> Sequence[Presence]:
        return [Presence(item, ((1, None),)) for item in reversed(self.held)]


@dataclass(frozen=True)
class DestinationState:
    destination: str
    name: str = "Main"
    site: str = "tv.example"
    kind: str = "rtmp"
    state: str = "live"
    reason: str | None = None
    bytes_acknowledged: int = 5
    delay_s: float = 0.0
    program: str = "bc_1"


PLAIN = LookInfo(
    layout="grid", person=None, names=True, chat=True, has_logo=False, corner="top_right", gains={}
)


@dataclass(frozen=True)
class Broadcast:
    id: str
    room: str
    mode: str
    destinations: Sequence[DestinationState]
    state: str = "running"
    reason: str | None = None
    started_ms: int = 1
    ended_ms: int | None = None
    look: LookInfo = PLAIN
    program: ProgramInfo | None = None
    replay: ReplayInfo | None = None


@dataclass(frozen=True)
class Destination:
    id: str
    name: str
    partner: str
    kind: str
    rooms: Sequence[str]
    shown_url: str | None
    key_hint: str | None
    delay_s: float = 0.0
    is_encrypted: bool = False
    site: str = "tv.example"
    encodings: Sequence[EncodingWish] = ()


@dataclass(frozen=True)
class Partner:
    id: str
    name: str
    site: str
    policy_url: str
    uses: Sequence[str]
    terms_version: str
    origins: Sequence[str] = ()
    takedown_url: str | None = None
    from_ms: int = 0
    until_ms: int | None = None
    is_blocked: bool = False


@dataclass
class Partners:
    """`rebroadcast.partners.Partners` in memory."""

    numbers: "itertools.count[int]"
    sites: dict[str, Partner] = field(default_factory=dict)
    changes: list[PartnerChange] = field(default_factory=list)

    async def add(
        self,
        *,
        name: str,
        site: str,
        policy_url: str,
        uses: Sequence[str],
        terms_version: str,
        origins: Sequence[str] = (),
        takedown_url: str | None = None,
        from_ms: int = 0,
        until_ms: int | None = None,
    ) -> Partner:
        partner = f"par_{next(self.numbers)}"
        made = Partner(
            partner, name, site, policy_url, uses, terms_version, origins, takedown_url, from_ms, until_ms
        )
        self.sites[made.id] = made
        return made

    async def change(self, partner: str, change: PartnerChange) -> Partner:
        if partner not in self.sites:
            raise NothingThere("there is no such partner")
        self.changes.append(change)
        return self.sites[partner]

    async def get(self, partner: str) -> Partner | None:
        return self.sites.get(partner)

    async def all(self) -> Sequence[Partner]:
        return list(self.sites.values())

    async def block(self, partner: str, *, is_blocked: bool) -> Partner:
        if partner not in self.sites:
            raise NothingThere("there is no such partner")
        made = self.sites[partner] = replace(self.sites[partner], is_blocked=is_blocked)
        return made

    async def remove(self, partner: str) -> None:
        if self.sites.pop(partner, None) is None:
            raise NothingThere("there is no such partner")


@dataclass
class Broadcasts:
    """`RebroadcastService` in memory."""

    held: dict[str, Broadcast] = field(default_factory=dict)
    places: dict[str, Destination] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.partners = Partners(self.numbers)

    async def start(
        self,
        room: str,
        destinations: Sequence[str],
        *,
        look: LookChange | None = None,
        mode: str = "program",
        publisher: str | None = None,
        started_by: str | None = None,
    ) -> Broadcast:
        if not set(destinations) <= set(self.places):
            raise NotRegistered("there is no such destination")
        broadcast = f"bc_{next(self.numbers)}"
        states = [
            DestinationState(item, kind=self.places[item].kind, program=broadcast) for item in destinations
        ]
        made = Broadcast(broadcast, room, mode, states)
        self.held[made.id] = made
        return await self.change(made.id, look or LookChange())

    async def replay(
        self,
        recording: str,
        destinations: Sequence[str],
        *,
        look: LookChange | None = None,
        at_ms: int | None = None,
        is_looped: bool = False,
    ) -> Broadcast:
        made = await self.start("demo", destinations, look=look)
        shown = ReplayInfo(
            recording=recording, at_ms=at_ms, is_looped=is_looped, position_ms=0, duration_ms=9, turn=0
        )
        state = "running" if at_ms is None else "scheduled"
        made = self.held[made.id] = replace(made, replay=shown, state=state)
        return made

    async def change(self, broadcast: str, change: LookChange) -> Broadcast:
        made = self.held[broadcast]
        look = LookInfo(
            layout=change.layout or made.look.layout,
            person=made.look.person if change.person is None else change.person or None,
            names=made.look.names if change.names is None else change.names,
            chat=made.look.chat if change.chat is None else change.chat,
            has_logo=made.look.has_logo if change.logo is None else bool(change.logo),
            corner=change.corner or made.look.corner,
            gains={**made.look.gains, **(change.gains or {})},
        )
        made = self.held[broadcast] = replace(made, look=look)
        return made

    async def stop(self, broadcast: str) -> Broadcast:
        made = self.held[broadcast] = replace(self.held[broadcast], state="stopped", ended_ms=2)
        return made

    async def status(self, broadcast: str) -> Broadcast | None:
        return self.held.get(broadcast)

    async def broadcasts(
        self, *, room: str | None = None, after: str | None = None, limit: int = 50
    ) -> Sequence[Broadcast]:
        return [item for item in reversed(self.held.values()) if room in {None, item.room}][:limit]

    async def add_to(self, broadcast: str, destination: str) -> Broadcast:
        held = self.held[broadcast]
        states = [*held.destinations, DestinationState(destination)]
        made = self.held[broadcast] = replace(held, destinations=states)
        return made

    async def take_out(self, broadcast: str, destination: str) -> Broadcast:
        held = self.held[broadcast]
        states = [state for state in held.destinations if state.destination != destination]
        made = self.held[broadcast] = replace(held, destinations=states)
        return made

    async def dump(self, broadcast: str) -> Broadcast:
        return self.held[broadcast]

    async def add_destination(
        self,
        *,
        name: str,
        partner: str,
        kind: str,
        url: str | None,
        key: str | None,
        rooms: Sequence[str],
        delay_s: float = 0.0,
        encodings: Sequence[EncodingWish] = (),
    ) -> Destination:
        made = Destination(
            f"dst_{next(self.numbers)}",
            name,
            partner,
            kind,
            rooms,
            "rtmp://tv.example/app",
            key[-4:] if key else None,
            delay_s,
            encodings=encodings,
        )
        self.places[made.id] = made
        return made

    async def destinations(self, *, room: str | None = None) -> Sequence[Destination]:
        return [item for item in self.places.values() if room is None or not item.rooms or room in item.rooms]

    async def remove_destination(self, destination: str) -> None:
        if self.places.pop(destination, None) is None:
            raise NothingThere("there is no such destination")


@dataclass(frozen=True)
class Notice:
    id: str
    partner: str = "par_1"
    site: str = "tv.example"
    withdrawn_at_ms: int = 1
    state: str = "pending"
    attempts: int = 1
    answered_at_ms: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Copy:
    broadcast: str = "bc_3"
    room: str = "demo"
    site: str = "tv.example"
    destination: str = "dst_2"
    kind: str = "rtmp"
    from_ms: int = 1
    until_ms: int | None = 2


@dataclass
class Takedowns:
    """`Takedowns` in memory."""

    held: dict[str, Notice] = field(default_factory=lambda: {"td_1": Notice("td_1")})
    public_key: str = "key"

    async def copies(self, person: str, *, room: str | None = None) -> Sequence[Copy]:
        return [Copy()]

    async def notices(self, *, person: str | None = None) -> Sequence[Notice]:
        return list(self.held.values())

    async def acknowledge(self, notice: str, code: str) -> Notice:
        if notice not in self.held or code != "right":
            raise NothingThere("there is no such notice with that code")
        made = self.held[notice] = replace(self.held[notice], state="acknowledged")
        return made

    async def retry(self, notice: str) -> Notice:
        if notice not in self.held:
            raise NothingThere("there is no such notice")
        return self.held[notice]


@dataclass
class Hls:
    """The HLS of `RebroadcastService` in memory."""

    held: dict[tuple[str, str], bytes | str] = field(default_factory=dict)
    served: tuple[str, ...] = ("dst_1",)
    waited: list[tuple[str, int | None, int | None]] = field(default_factory=list)

    def get(self, program: str, destination: str, name: str) -> bytes | str | None:
        return self.held.get((program, name)) if destination in self.served else "gone"

    async def wait(
        self, program: str, destination: str, name: str, segment: int | None, part: int | None
    ) -> bool:
        self.waited.append((name, segment, part))
        return segment != 99


def everything(tmp_path: Path, **changes: Any) -> Any:
    """A running application with a recorder and broadcasts behind it."""
    return rig(recorder=Recorder(tmp_path), broadcasts=Broadcasts(), takedowns=Takedowns(), **changes)
