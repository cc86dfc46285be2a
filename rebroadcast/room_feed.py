"""A room as the feed of a program: what happens in it, as the process is told."""

from collections.abc import Callable, Sequence

import msgspec

from rebroadcast.feed import Intake, Port
from rebroadcast.hls_chat import ChatCue
from rebroadcast.look import ProgramLook
from rebroadcast.types import ReplayInfo
from rebroadcast.worker.messages import (
    REPAIR_MS,
    ChatDeleted,
    ChatShown,
    CloseTap,
    MuteTap,
    OpenTap,
    Person,
    Speaking,
)
from rooms import (
    Activity,
    ActivityEvent,
    ChatLine,
    ChatLineDeleted,
    PersonChanged,
    Speakers,
    TapClosed,
    TapMuted,
    TapOpened,
)
from sfu import TapId


class RoomFeed:
    """Belongs to the event loop."""

    is_replay = False

    def __init__(
        self,
        activity: Activity,
        look: ProgramLook,
        *,
        identity_of: Callable[[str], str | None],
        delay_ms: int,
    ) -> None:
        """`identity_of`: who a participant of the room is to the API."""
        self._activity = activity
        self._look = look
        self._identity_of = identity_of
        self._delay_ms = delay_ms
        self._port: Port | None = None
        self._people: dict[str, Person] = {}
        self._taps: dict[int, OpenTap] = {}
        self._muted: set[int] = set()

    def attach(self, port: Port) -> None:
        """Belong to a broadcast."""
        self._port = port

    async def ready(self) -> None:
        """A room is there."""

    async def run(self) -> str | None:
        """The room's end is told by its activity."""
        return None

    def take(self, event: ActivityEvent) -> None:
        """Something happened in the room."""
        match event:
            case PersonChanged():
                self._person(event)
            case TapOpened():
                source, slot, version = event.source.value, event.slot, event.version
                tap = OpenTap(event.tap, event.person, event.participant, event.kind, source, slot, version)
                self._taps[event.tap] = tap
                self._tell(tap)
            case TapClosed(tap=closed):
                self._taps.pop(closed, None)
                self._muted.discard(closed)
                self._tell(CloseTap(closed))
            case TapMuted(tap=muted, is_muted=is_muted):
                (self._muted.add if is_muted else self._muted.discard)(muted)
                self._tell(MuteTap(muted, is_muted))
            case ChatLine():
                self._say(event)
            case ChatLineDeleted(id=deleted):
                if self._port is not None:
                    self._port.unsay(deleted)
                self._tell(ChatDeleted(deleted))
            case Speakers(participants=participants):
                self._tell(Speaking(participants))
            case _:
                pass  # the broadcast's own affair

    def known(self) -> Sequence[msgspec.Struct]:
        """Everyone who is there, with their taps."""
        return [
            *self._people.values(),
            *self._taps.values(),
            *(MuteTap(tap, True) for tap in self._muted),
        ]

    def dress(self, look: ProgramLook) -> None:
        """The look is another one."""
        self._look = look
        for participant, person in self._people.items():
            self._people[participant] = self._dressed(person)
            self._tell(self._people[participant])

    def cut(self, person: str) -> None:
        """The room tells that they are a placeholder now."""

    async def intake(self, *, is_first: bool) -> Intake:
        """The activity's tap sink; a new one for each process. Raises: Refused."""
        sink = self._activity.sink if is_first else None
        return sink if sink is not None else await self._activity.new_sink()

    async def request_keyframe(self, tap: int) -> None:
        """Ask the publisher."""
        await self._activity.request_keyframe(TapId(tap))

    def progress(self) -> ReplayInfo | None:
        """A room goes on."""
        return None

    def close(self) -> None:
        """Nothing is held."""

    def _say(self, line: ChatLine) -> None:
        if self._port is not None:
            # Beside the picture of the moment in which it was written.
            at_ms = line.at_ms + REPAIR_MS + self._delay_ms
            self._port.say(ChatCue(line.person, line.name, line.text, at_ms, line.id))
        self._tell(ChatShown(line.id, line.person, line.name, line.text, line.slot, line.version))

    def _person(self, event: PersonChanged) -> None:
        person = self._dressed(Person(event.person, event.participant, event.name, event.is_present))
        if event.is_present:
            self._people[event.participant] = person
        else:
            self._people.pop(event.participant, None)
        self._tell(person)

    def _dressed(self, person: Person) -> Person:
        """With what the look says of them."""
        identity = self._identity_of(person.participant)
        is_main = bool(self._look.person) and identity == self._look.person
        return msgspec.structs.replace(person, is_main=is_main, gain=self._look.gain(identity))

    def _tell(self, message: msgspec.Struct) -> None:
        if self._port is not None:
            self._port.tell(message)
