"""One recording that is being shown again: who may be in it, and the gates that all of theirs is behind."""

from dataclasses import dataclass, field, replace
from typing import Final

from media.gates import Gate, GatePage
from policy import ConsentFacts, Media, RoomSettings, Use
from rooms.activity import Activity

EPOCH_SLOT: Final = 1
FIRST_SLOT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOf:
    """The recording that is to be shown."""

    recording: str
    room_id: str
    """Random id of the room that was recorded."""
    room: str
    """Its name."""
    started_ms: int
    """When the recording began, Unix time."""
    people: tuple[str, ...]
    """Everyone of whom there is something in it."""
    uses: frozenset[Use] | None = None
    """What the room that was recorded allows of it, open or not; None: nobody knows."""


def within(settings: RoomSettings, uses: frozenset[Use] | None) -> RoomSettings:
    """A room's settings, with no use that was not offered when it was recorded."""
    return settings if uses is None else replace(settings, uses=settings.uses & uses)


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown of a person now, while the replay's page has (`slot`, `version`) open."""

    slot: int
    version: int
    media: frozenset[Media]


@dataclass(slots=True)
class Actor:
    """One person of the recording. For `Replays`."""

    person: str
    slot: int
    version: int = 0
    facts: ConsentFacts = field(default_factory=ConsentFacts)
    media: frozenset[Media] = frozenset()
    """What goes through their gate; nothing: it is closed."""
    is_out: bool = False
    """They took it back while it ran: it goes on without them to its end."""


class Replay:
    """One recording that is being shown: its activity, and who may be in it. Belongs to the event loop."""

    def __init__(self, of: ReplayOf, activity: Activity, page: GatePage, settings: RoomSettings) -> None:
        self.of = of
        self.activity = activity
        self.page = page
        self.settings = settings
        self.actors = {person: Actor(person, slot) for slot, person in enumerate(of.people, start=FIRST_SLOT)}

    def shown(self, person: str) -> Shown | None:
        """What may be shown of somebody at this moment; None: nothing, not even the name."""
        actor = self.actors.get(person)
        if actor is None or not actor.media:
            return None
        return Shown(actor.slot, actor.version, actor.media)

    def people(self) -> frozenset[str]:
        """Everyone of whom something may be shown at this moment."""
        return frozenset(actor.person for actor in self.actors.values() if actor.media)

    def open(self, actor: Actor, media: frozenset[Media]) -> None:
        """Open somebody's gate, or let other media through it."""
        if not actor.media:
            actor.version += 1
            self.page.store_open(actor.slot, actor.version)
        actor.media = media

    def shut(self, actor: Actor) -> Gate:
        """Close somebody's gate, at once and in every process; what was open."""
        gate = Gate(actor.slot, actor.version)
        actor.version += 1
        self.page.store_closed(actor.slot, actor.version)
        actor.media = frozenset()
        return gate

    def advance(self) -> int:
        """Move the cut epoch on; the new one."""
        self.activity.epoch += 1
        self.page.store_open(EPOCH_SLOT, self.activity.epoch)
        return self.activity.epoch
