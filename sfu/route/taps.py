"""The sinks and taps of one router."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from media.gates import Gate
from sfu.engine.api import Engine
from sfu.engine.settle import settle
from sfu.engine.types import SinkId, TapId, TrackId
from sfu.errors import EngineError
from sfu.route.registry import Registry
from sfu.tap import Sink

if TYPE_CHECKING:
    from sfu.route.roster import Roster


@dataclass(slots=True)
class _Tap:
    track: TrackId
    sink: Sink


class Taps:
    """Keeps which tap reads which track into which sink; the engine does the copying."""

    def __init__(self, roster: "Roster", engine: Engine, registry: Registry, timeout_s: float) -> None:
        self._roster = roster
        self._engine = engine
        self._registry = registry
        self._timeout_s = timeout_s
        self._taps: dict[TapId, _Tap] = {}
        self._sinks: dict[SinkId, Sink] = {}

    @property
    def tracks(self) -> Mapping[TapId, TrackId]:
        """What each tap reads."""
        return {tap: state.track for tap, state in self._taps.items()}

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """The sinks that are open."""
        return tuple(self._sinks.values())

    async def open_sink(self) -> Sink:
        """Make a sink for tracks of this room, on whichever workers they live.

        Raises:
            EngineError: the engine refused it.
        """
        sink, near = Sink.pair(self._registry.next_sink(), self.close_sink)
        self._sinks[sink.id] = sink
        self._registry.sinks[sink.id] = self._roster
        with near:
            try:
                await settle([self._engine.add_sink(sink.id, near.fileno())], self._timeout_s)
            except BaseException:
                self.forget_sink(sink.id)
                raise
        return sink

    async def close_sink(self, sink: Sink) -> None:
        """End a sink with its taps. Idempotent.

        Raises:
            EngineError: the engine did not acknowledge.
        """
        if self.forget_sink(sink.id):
            await settle([self._engine.remove_sink(sink.id)], self._timeout_s)

    def forget_sink(self, sink: SinkId) -> bool:
        """Drop what is known of a sink that is about to leave the engine; False if it is unknown."""
        found = self._sinks.pop(sink, None)
        if found is None:
            return False
        del self._registry.sinks[sink]
        found.detach()
        for tap in [tap for tap, state in self._taps.items() if state.sink is found]:
            del self._taps[tap]
        return True

    async def add(self, sink: Sink, track: TrackId, gate: Gate) -> TapId:
        """Copy a track to a sink while the gate holds.

        Raises:
            EngineError: the engine refused it, or the sink is closed.
        """
        if sink.id not in self._sinks:
            raise EngineError(f"sink {sink.id} is closed")
        tap = self._registry.next_tap()
        ack = self._engine.add_tap(tap, track, sink.id, gate)
        self._taps[tap] = _Tap(track, sink)
        try:
            await settle([ack], self._timeout_s)
        except BaseException:
            self._taps.pop(tap, None)
            raise
        return tap

    async def set_gate(self, tap: TapId, gate: Gate) -> TrackId | None:
        """Put a tap behind another gate position; the track it reads, None when the tap is gone.

        Raises:
            EngineError: the engine refused it.
        """
        state = self._taps.get(tap)
        if state is None:
            return None
        await settle([self._engine.set_tap_gate(tap, gate)], self._timeout_s)
        return state.track

    async def remove(self, tap: TapId) -> None:
        """End a tap. A tap that is gone is fine.

        Raises:
            EngineError: the engine did not acknowledge.
        """
        if self._taps.pop(tap, None) is not None:
            await settle([self._engine.remove_tap(tap)], self._timeout_s)

    def forget_track(self, track: TrackId) -> None:
        """The engine ends the taps of a track with it."""
        for tap in [tap for tap, state in self._taps.items() if state.track == track]:
            del self._taps[tap]
