"""Rooms that everybody left while they were broadcast: placeholders would go on for ever."""

from collections.abc import Collection
from typing import Final

from rebroadcast.clock import Clock
from rebroadcast.on_air import OnAir
from rooms import RoomService

LOOK_S: Final = 1.0
"""How often it is looked who is there."""


class Deserted:
    """Since when nobody has been in the rooms of which broadcasts."""

    def __init__(self, most_s: float) -> None:
        """`most_s`: how long that may be; 0: for ever."""
        self._most_s = most_s
        self._since: dict[str, float] = {}

    @property
    def reason(self) -> str:
        """Why such a broadcast ends."""
        return f"nobody was in the room for {self._most_s:g} seconds"

    def look(self, empty: Collection[str], now: float) -> list[str]:
        """Those that are to end; `empty`: the broadcasts in whose rooms nobody is now."""
        self._since = {broadcast: self._since.get(broadcast, now) for broadcast in empty}
        if not self._most_s:
            return []
        return [broadcast for broadcast, since in self._since.items() if now - since >= self._most_s]


async def end_deserted(rooms: RoomService, running: OnAir, clock: Clock, most_s: float) -> None:
    """Ends broadcasts of rooms in which nobody was for `most_s`, until cancelled."""
    deserted = Deserted(most_s)
    while True:
        await clock.sleep(LOOK_S)
        live = [bundle for bundle in running.bundles.values() if bundle.replay is None]
        empty = [bundle.id for bundle in live if not _is_anybody_in(rooms, bundle.room)]
        for broadcast in deserted.look(empty, clock.monotonic()):
            running.end(broadcast, deserted.reason)


def _is_anybody_in(rooms: RoomService, room: str) -> bool:
    found = rooms.room(room)
    return found is not None and bool(found.members)
