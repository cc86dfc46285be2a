"""What the program hands to its outputs, and the check that each output makes just before it writes. PURE."""

from dataclasses import dataclass
from typing import Final, Protocol

from media.clock_map import SECOND_NS
from media.gates import GatePage
from rebroadcast.worker.encode import EncodedAudio, EncodedVideo
from rebroadcast.worker.handover import OpenPart
from rebroadcast.worker.messages import (
    ChatDeleted,
    ChatShown,
    CloseTap,
    Dump,
    Encoding,
    Look,
    MuteTap,
    OpenTap,
    Person,
    Speaking,
)

SOUND_LINGERS_NS: Final = 3 * SECOND_NS
"""How long somebody's sound may lie in the mixer before it goes out: so long they count as in it."""


@dataclass(frozen=True, slots=True)
class EncodingsWanted:
    """From now on the program is encoded in these ways, each once."""

    encodings: frozenset[Encoding]


RoomNews = (
    Person
    | OpenTap
    | CloseTap
    | MuteTap
    | ChatShown
    | ChatDeleted
    | Speaking
    | Dump
    | Look
    | OpenPart
    | EncodingsWanted
)
"""What a maker is told; a cut is not news but an order."""


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One encoded frame with the cut epoch it was composed under and the people who are in it."""

    frame: EncodedVideo | EncodedAudio
    epoch: int
    persons: frozenset[str]
    encoding: Encoding | None = None
    """Which of the program's encodings a picture is of."""


class Epoch:
    """The room's cut epoch as the shared page shows it now."""

    def __init__(self, page: GatePage, slot: int) -> None:
        self._page = page
        self._slot = slot

    def now(self) -> int:
        """The epoch at this moment; material of an older one must not leave."""
        return self._page.read(self._slot)


class Output(Protocol):
    """One destination's end of the feed; lives on the event loop, never waits."""

    def feed(self, item: FeedItem) -> None:
        """Takes one frame; drops it when it is of an older epoch or the destination is behind."""
        ...

    async def cut(self, epoch: int) -> None:
        """Returns once nothing older than `epoch` can leave by this output any more."""
        ...

    async def close(self, *, is_polite: bool = True) -> None:
        """Ends within a second; at once, and without what still waits, when it need not be polite."""
        ...
