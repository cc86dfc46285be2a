"""What a program is made of: a room while it happens, or a recording that is shown again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from rebroadcast.hls_chat import ChatCue
from rebroadcast.look import ProgramLook
from rebroadcast.types import DestinationStatus, ReplayInfo
from rooms import ActivityEvent


@dataclass(frozen=True, slots=True)
class Port:
    """What a feed may ask of its broadcast."""

    tell: Callable[[msgspec.Struct], object]
    """Tells the program process, if there is one."""
    say: Callable[[ChatCue], None]
    """Puts a chat line beside the picture in HLS."""
    unsay: Callable[[str], None]
    """Takes the chat line of that id out of HLS."""
    statuses: Callable[[], Sequence[DestinationStatus]]
    """How the destinations are doing."""


class Intake(Protocol):
    """The socket by which media comes to a program process."""

    @property
    def consumer_fd(self) -> int:
        """The far end, to hand to the process."""
        ...

    def detach(self) -> None:
        """The process has it."""
        ...


class Feed(Protocol):
    """Tells a program process who is there and what is to be shown. Belongs to the event loop."""

    is_replay: bool

    def attach(self, port: Port) -> None:
        """Belong to a broadcast."""
        ...

    async def ready(self) -> None:
        """Wait until there is something to make a program of."""
        ...

    async def run(self) -> str | None:
        """Until it has come to its end; why. None at once when something else ends it."""
        ...

    def take(self, event: ActivityEvent) -> None:
        """Something happened that is not the broadcast's own affair."""
        ...

    def known(self) -> Sequence[msgspec.Struct]:
        """What a process that begins now must be told."""
        ...

    def dress(self, look: ProgramLook) -> None:
        """The look is another one."""
        ...

    def cut(self, person: str) -> None:
        """Somebody was taken out; the process is told apart."""
        ...

    async def intake(self, *, is_first: bool) -> Intake:
        """Where the media of a process that begins now comes from.

        Raises: Refused, OSError when there is nothing to come any more.
        """
        ...

    async def request_keyframe(self, tap: int) -> None:
        """Nothing of a tap can be shown before a keyframe."""
        ...

    def progress(self) -> ReplayInfo | None:
        """How far a replay has come; None of a room."""
        ...

    def close(self) -> None:
        """The broadcast is over. Idempotent."""
        ...
