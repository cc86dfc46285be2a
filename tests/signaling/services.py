"""A recorder, broadcasts and an HLS store in memory, for the endpoints in front of them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rooms import Withdrawal
from tests.signaling.rig import rig


class ServiceError(Exception):
    """What a service raises; its class carries the code."""

    code = "conflict"


class NothingThere(ServiceError):
    code = "not_found"


@dataclass(frozen=True)
class Recording:
    id: str
    room: str
    state: str = "recording"
    reason: str | None = None
    started_ms: int = 1
    ended_ms: int | None = None
    size_bytes: int = 7


@dataclass(frozen=True)
class RecordedFile:
    name: str
    size_bytes: int
    content_type: str = "video/mp4"
    sha256: str | None = "ab" * 32


@dataclass
class Recorder:
    """`RecorderApi` in memory."""

    folder: Path
    held: dict[str, Recording] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def start(self, room: str, *, started_by: str | None = None) -> Recording:
        if any(item.room == room and item.state == "recording" for item in self.held.values()):
            raise ServiceError("the room is being recorded already")
        made = Recording(f"rec_{next(self.numbers)}", room)
        self.held[made.id] = made
        return made

    async def stop(self, recording: str) -> Recording:
        made = self.held[recording] = replace(self.held[recording], state="finished", ended_ms=2)
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

    async def path(self, recording: str, name: str) -> Path | None:
        path = self.folder / name
        return path if path.exists() else None

    async def delete(self, recording: str) -> None:
        if self.held[recording].state == "recording":
            raise ServiceError("stop it first")
        del self.held[recording]

    async def concerned(self, withdrawal: Withdrawal) -> Sequence[str]:
        return [item for item in reversed(self.held) if withdrawal.recording in {"", item}]


@dataclass(frozen=True)
class DestinationState:
    destination: str
    name: str = "Main"
    site: str = "tv.example"
    kind: str = "rtmp"
    state: str = "live"
    reason: str | None = None
    bytes_acknowledged: int = 5


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
    has_hls: bool = True


@dataclass(frozen=True)
class Destination:
    id: str
    name: str
    partner: str
    kind: str
    rooms: Sequence[str]
    shown_url: str | None
    key_hint: str | None
    site: str = "tv.example"


@dataclass(frozen=True)
class Partner:
    id: str
    name: str
    site: str
    policy_url: str
    uses: Sequence[str]
    terms_version: str


@dataclass
class Broadcasts:
    """`BroadcastApi` in memory."""

    held: dict[str, Broadcast] = field(default_factory=dict)
    places: dict[str, Destination] = field(default_factory=dict)
    sites: dict[str, Partner] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def start(
        self,
        room: str,
        destinations: Sequence[str],
        *,
        layout: str = "grid",
        mode: str = "program",
        publisher: str | None = None,
        started_by: str | None = None,
    ) -> Broadcast:
        if not set(destinations) <= set(self.places):
            raise NothingThere("there is no such destination")
        made = Broadcast(
            f"bc_{next(self.numbers)}", room, mode, [DestinationState(item) for item in destinations]
        )
        self.held[made.id] = made
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

    async def add_destination(
        self, *, name: str, partner: str, kind: str, url: str | None, key: str | None, rooms: Sequence[str]
    ) -> Destination:
        made = Destination(
            f"dst_{next(self.numbers)}",
            name,
            partner,
            kind,
            rooms,
            "rtmp://tv.example/app",
            key[-4:] if key else None,
        )
        self.places[made.id] = made
        return made

    async def destinations(self, *, room: str | None = None) -> Sequence[Destination]:
        return [item for item in self.places.values() if room is None or not item.rooms or room in item.rooms]

    async def remove_destination(self, destination: str) -> None:
        if self.places.pop(destination, None) is None:
            raise NothingThere("there is no such destination")

    async def add_partner(
        self, *, name: str, site: str, policy_url: str, uses: Sequence[str], terms_version: str
    ) -> Partner:
        made = Partner(f"par_{next(self.numbers)}", name, site, policy_url, uses, terms_version)
        self.sites[made.id] = made
        return made

    async def partners(self) -> Sequence[Partner]:
        return list(self.sites.values())

    async def remove_partner(self, partner: str) -> None:
        if self.sites.pop(partner, None) is None:
            raise NothingThere("there is no such partner")


@dataclass
class Hls:
    """`HlsStore` in memory."""

    held: dict[tuple[str, str], bytes | str] = field(default_factory=dict)

    def get(self, broadcast: str, name: str) -> bytes | str | None:
        return self.held.get((broadcast, name))


def everything(tmp_path: Path, **changes: Any) -> Any:
    """A running application with a recorder and broadcasts behind it."""
    return rig(recorder=Recorder(tmp_path), broadcasts=Broadcasts(), **changes)
