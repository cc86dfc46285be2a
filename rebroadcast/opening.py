"""Opens what a broadcast is made of: activities of the room with their notices, and a program on each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec

from media.control import Spawner
from media.reel import Reel
from policy import LIVE, REPLAY, Permission, Site, Use
from rebroadcast.broadcast import Broadcast
from rebroadcast.bundle import Bundle
from rebroadcast.clock import Clock
from rebroadcast.encodings import check_few, default_encoding, resolved, wishes_of
from rebroadcast.errors import BroadcastInvalid
from rebroadcast.feed import Feed
from rebroadcast.library import Library
from rebroadcast.look import ProgramLook
from rebroadcast.outlets import Target
from rebroadcast.reached import KEY, kept
from rebroadcast.registry import Registry
from rebroadcast.replay_feed import ReplayFeed
from rebroadcast.room_feed import RoomFeed
from rebroadcast.types import Mode, RebroadcastConfig
from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.messages import Encoding
from rooms import Activity, ReplayOf, Room, RoomService
from store import BroadcastRow, BroadcastState, DestinationRow, NotFound, PartnerRow, Store, new_id


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody wants a broadcast to be made."""

    look: ProgramLook
    mode: Mode
    only: str | None
    """Identity of the one publisher, in mode `passthrough`."""
    started_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayWish:
    """How somebody wants a recording to be shown again."""

    recording: str
    look: ProgramLook
    is_looped: bool = False
    at_ms: int | None = None
    """When it is to begin, Unix time; None: at once."""

    def kept(self) -> dict[str, object]:
        """As it is kept with the broadcast."""
        return {
            "at_ms": self.at_ms,
            "loop": self.is_looped,
            "look": msgspec.to_builtins(self.look),
        }

    @classmethod
    def of(cls, row: BroadcastRow) -> "ReplayWish":
        """What was kept."""
        kept = row.details["replay"]
        return cls(
            recording=row.recording,
            look=msgspec.convert(kept["look"], ProgramLook),
            is_looped=kept["loop"],
            at_ms=kept["at_ms"],
        )


class Opener:
    """Makes bundles and programs; starting, and keeping them, is the service's."""

    def __init__(
        self,
        rooms: RoomService,
        store: Store,
        spawner: Spawner,
        registry: Registry,
        policy: UrlPolicy,
        config: RebroadcastConfig,
        clock: Clock,
        *,
        on_kill: Callable[[str, str], None],
        on_ended: Callable[[str, str], None],
        on_shown: Callable[[str], None],
    ) -> None:
        """`on_kill`: a program must end now; `on_ended`: a broadcast came to its end; with its id, and why.

        `on_shown`: other people are in a replay than before.
        """
        self._rooms = rooms
        self._store = store
        self._spawner = spawner
        self._registry = registry
        self._policy = policy
        self._config = config
        self._clock = clock
        self._on_kill = on_kill
        self._on_ended = on_ended
        self._on_shown = on_shown

    async def open(self, room: Room, destinations: Sequence[str], wish: Wish) -> Bundle:
        """Opens the programs and notes the broadcast; when that fails nothing is left of it."""
        chosen = await self._registry.chosen(destinations, room.name)
        starter = room.members.get(wish.started_by) if wish.started_by is not None else None
        broadcast_id = new_id("bc")
        programs: list[Broadcast] = []
        try:
            for delay_ms, group in groupby(sorted(chosen, key=_delay), key=_delay):
                targets = {row.id: self.target(row, partner, wish.mode) for row, partner in group}
                program_id = new_id("bc") if programs else broadcast_id
                programs.append(
                    await self.open_program(room, program_id, broadcast_id, targets, delay_ms, wish)
                )
            bundle = Bundle(broadcast_id, room.name, wish.mode, programs)
            row = BroadcastRow(
                id=broadcast_id,
                room=programs[0].activity.room_id,
                room_name=room.name,
                state=BroadcastState.RUNNING,
                started_at_ms=programs[0].started_ms,
                destinations=tuple(row.id for row, _ in chosen),
                started_by=starter.person if starter is not None else "",
                details={
                    "layout": wish.look.layout,
                    "mode": wish.mode,
                    "programs": {program.activity.id: sorted(program.targets) for program in programs},
                    KEY: kept(bundle.destinations),
                },
            )
            await self._store.broadcasts.add(row)
        except BaseException:
            for program in programs:
                await program.activity.close("failed")
            raise
        return bundle

    async def encodings(
        self, destinations: Sequence[str], room: str, mode: Mode
    ) -> list[frozenset[Encoding]]:
        """What each program of a broadcast to these destinations would make.

        Raises: as `Registry.chosen` and `target`; BroadcastInvalid: too many different encodings.
        """
        made: dict[int, set[Encoding]] = {}
        for row, partner in await self._registry.chosen(destinations, room):
            made.setdefault(row.delay_ms, set()).update(self.target(row, partner, mode).encodings)
        for encodings in made.values():
            check_few(encodings)
        return [frozenset(encodings) for encodings in made.values()]

    def target(self, row: DestinationRow, partner: PartnerRow, mode: Mode) -> Target:
        """A destination with what it wants of the picture.

        Raises:
            BroadcastInvalid: it wants a picture of its own, which a passthrough does not make.
        """
        wishes = wishes_of(row.encodings)
        if mode == "passthrough":
            if wishes:
                raise BroadcastInvalid(
                    f"the destination {row.name!r} asks for an encoding, a passthrough sends what the "
                    "publisher encoded: use mode program, or a destination without encodings"
                )
            return Target(row, partner)
        encodings = resolved(wishes, self._config) or (default_encoding(self._config),)
        return Target(row, partner, encodings)

    async def open_program(
        self,
        room: Room,
        program_id: str,
        broadcast_id: str,
        targets: Mapping[str, Target],
        delay_ms: int,
        wish: Wish,
    ) -> Broadcast:
        """Opens an activity of the room with its notice, and the program on it."""
        starter = room.members.get(wish.started_by) if wish.started_by is not None else None
        activity = await self._rooms.open_activity(
            room.name,
            LIVE,
            _sites([target.partner for target in targets.values()]),
            started_by=None if starter is None else starter.id,
            permissions=frozenset({Permission.BROADCAST}) if starter is None else starter.permissions,
            activity_id=program_id,
            kill=lambda reason: self._on_kill(program_id, reason),
            only=wish.only,
        )
        feed = RoomFeed(
            activity,
            wish.look,
            identity_of=lambda participant: _identity(room, participant),
            delay_ms=delay_ms,
        )
        return self._broadcast(activity, targets, feed, wish.look, broadcast_id, wish.mode, delay_ms)

    async def replay_targets(self, destinations: Sequence[str], room: str) -> dict[str, Target]:
        """The destinations of a replay: what is shown is known before, so that nothing is held back.

        Raises: as `Registry.chosen`; BroadcastInvalid: too many different encodings.
        """
        chosen = await self._registry.chosen(destinations, room, use=REPLAY)
        targets = {
            row.id: self.target(replace(row, delay_ms=0), partner, "program") for row, partner in chosen
        }
        check_few({one for target in targets.values() for one in target.encodings})
        return targets

    async def open_replay(
        self,
        library: Library,
        reel: Reel,
        targets: Mapping[str, Target],
        wish: ReplayWish,
        broadcast_id: str,
    ) -> Bundle:
        """Opens a recording with its gates, and the program on it; noting it is the caller's.

        Raises:
            Refused; StoreUnavailable.
        """
        identities = await self._identities(reel)
        of = ReplayOf(
            recording=reel.recording,
            room_id=reel.room,
            room=reel.room_name,
            started_ms=reel.started_ms,
            people=tuple(person.person for person in reel.people),
            uses=None if reel.uses is None else frozenset(Use(use) for use in reel.uses),
        )
        replay = await self._rooms.open_replay(
            of,
            _sites([target.partner for target in targets.values()]),
            permissions=frozenset({Permission.BROADCAST}),
            activity_id=broadcast_id,
            kill=lambda reason: self._on_kill(broadcast_id, reason),
        )
        has_players = any(target.row.kind == "hls" for target in targets.values())
        feed = ReplayFeed(
            replay,
            reel,
            library,
            self._clock,
            wish.look,
            identities=identities,
            is_looped=wish.is_looped,
            at_ms=wish.at_ms,
            linger_s=3 * self._config.segment_s if has_players else 0.0,
            review=lambda: self._rooms.consent.replays.review(replay),
            on_shown=lambda: self._on_shown(broadcast_id),
        )
        program = self._broadcast(replay.activity, targets, feed, wish.look, broadcast_id, "program", 0)
        return Bundle(broadcast_id, reel.room_name, "program", [program], replay, feed.showings)

    def _broadcast(
        self,
        activity: Activity,
        targets: Mapping[str, Target],
        feed: Feed,
        look: ProgramLook,
        broadcast_id: str,
        mode: Mode,
        delay_ms: int,
    ) -> Broadcast:
        return Broadcast(
            activity,
            targets,
            self._config,
            look=look,
            feed=feed,
            mode=mode,
            delay_ms=delay_ms,
            spawner=self._spawner,
            policy=self._policy,
            clock=self._clock,
            on_ended=lambda _, reason: self._on_ended(broadcast_id, reason),
        )

    async def _identities(self, reel: Reel) -> dict[str, str]:
        """Who the people of a recording are to the API; of whom that was erased, nobody knows."""
        found = {}
        for person in reel.people:
            try:
                found[person.person] = await self._store.persons.identity(person.person)
            except NotFound:
                continue
        return found


def _delay(chosen: tuple[DestinationRow, PartnerRow]) -> int:
    return chosen[0].delay_ms


def _identity(room: Room, participant: str) -> str | None:
    """Who a participant of the room is to the API."""
    member = room.members.get(participant)
    return None if member is None else member.identity


def site_of(partner: PartnerRow) -> Site:
    """A partner's site as people are told."""
    return Site(id=partner.id, name=partner.name, partner=partner.id, url=f"https://{partner.site}")


def _sites(partners: Sequence[PartnerRow]) -> tuple[Site, ...]:
    """The sites that people are told of, each once."""
    return tuple({partner.id: site_of(partner) for partner in partners}.values())
