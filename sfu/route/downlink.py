"""One receiver's downlink: the allocator's choices carried to its outlets."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from sfu.alarm import Alarm
from sfu.allocate import Allocator, Choice, Layer, SoundRates
from sfu.engine.api import Engine
from sfu.engine.types import TrackId
from sfu.errors import EngineError
from sfu.route.events import LayerChosen
from sfu.route.outlet import Feed
from sfu.route.receiver import Receiver, outlets_of

_log = structlog.get_logger("sfu.router")

WORTH_TELLING: Final = 0.05
"""Share by which what is wanted must change before the engine hears of it."""

RETRY_S: Final = 0.5
"""What a busy engine did not take is told again after so long."""


class Downlink:
    """Follows one receiver's wishes, its path and the tracks' layers, and steers the engine by them."""

    def __init__(
        self, receiver: Receiver, engine: Engine, on_chosen: Callable[[LayerChosen], None], voices: int
    ) -> None:
        self._receiver = receiver
        self._engine = engine
        self._on_chosen = on_chosen
        self._allocator = Allocator()
        self._feeds: dict[TrackId, Feed] = {}
        self._alarm = Alarm(self._tick)
        self._told_bps = 0
        self._is_closed = False
        self._allocator.set_voices(voices, _now())

    def set_voices(self, count: int) -> None:
        """How many audio tracks come through at once at most; 0: all."""
        self._allocator.set_voices(count, _now())
        self._run()

    def want(self, feed: Feed, layers: Sequence[Layer], sound: SoundRates) -> None:
        """The receiver gets a track, or wishes for other layers of it; `layers` are the ones known."""
        now = _now()
        self._feeds[feed.track.id] = feed
        self._allocator.want(feed.wish, now)
        self._allocator.receive_sound(feed.track.id, sound, now)
        self._note_copies(feed)
        if layers:
            self._allocator.receive_layers(feed.track.id, layers, now)
        self._run()

    def renegotiated(self) -> None:
        """The receiver answered an offer: what it can decode may have changed."""
        for feed in self._feeds.values():
            self._note_copies(feed)
        self._run()

    def remove(self, track: TrackId) -> None:
        """The receiver gets a track no more."""
        self._feeds.pop(track, None)
        self._allocator.remove(track, _now())
        self._run()

    def receive_layers(self, track: TrackId, layers: Sequence[Layer]) -> None:
        """What a track's layers take has changed; a track that it does not get is ignored."""
        self._allocator.receive_layers(track, layers, _now())
        self._run()

    def receive_sound(self, track: TrackId, rates: SoundRates) -> None:
        """What a sound takes has changed; one that it does not get is ignored."""
        self._allocator.receive_sound(track, rates, _now())
        self._run()

    def receive_estimate(self, bps: int) -> None:
        """What the path carries, bits per second."""
        self._allocator.receive_estimate(float(bps), _now())
        self._run()

    def useful(self, track: TrackId, encodings: int) -> frozenset[int]:
        """Which of a video's encodings it has a use for."""
        return self._allocator.useful(track, encodings)

    def tell_again(self) -> None:
        """Say anew which layers the receiver gets of each video."""
        for feed in self._feeds.values():
            self._tell_chosen(feed)

    def close(self) -> None:
        """Stop the clock."""
        self._is_closed = True
        self._alarm.cancel()

    def _note_copies(self, feed: Feed) -> None:
        """RED goes to whoever has it; for others the core takes the copies out."""
        outlets = outlets_of(self._receiver, feed.track.id)
        has_red = any("red" in outlet.section.payload_types for outlet in outlets)
        self._allocator.receive_redundancy(
            feed.track.id, _now(), has_copies=has_red and "red" in feed.track.codecs
        )

    def _tick(self) -> None:
        self._allocator.tick(_now())
        self._run()

    def _run(self) -> None:
        if self._is_closed:
            return
        due = self._allocator.deadline()
        try:
            for choice in self._allocator.poll():
                self._carry_out(choice)
            self._tell_wanted()
        except EngineError as error:
            # Nobody waits for these commands; an engine this busy is told again soon.
            _log.warning("layer_choice_delayed", peer=self._receiver.peer.id, reason=str(error))
            again = _now() + RETRY_S
            due = again if due is None else min(due, again)
        self._alarm.set(due)

    def _carry_out(self, choice: Choice) -> None:
        feed = self._feeds.get(choice.track)
        if feed is None or feed.choice == choice:
            return
        before, feed.choice = feed.choice, choice
        try:
            for outlet in outlets_of(self._receiver, choice.track):
                outlet.steer(self._engine)
        except EngineError:
            feed.choice = before
            self._allocator.take_back(choice)
            raise
        self._tell_chosen(feed)

    def _tell_chosen(self, feed: Feed) -> None:
        if feed.track.kind != "video":
            return
        choice = feed.choice
        self._on_chosen(
            LayerChosen(
                self._receiver.peer.id,
                choice.track,
                choice.is_paused,
                self._allocator.rank(choice),
                choice.temporal,
                choice.is_starved,
            )
        )

    def _tell_wanted(self) -> None:
        wanted = self._allocator.wanted_bps
        if abs(wanted - self._told_bps) > WORTH_TELLING * self._told_bps:
            self._engine.set_wanted(self._receiver.peer.transport, wanted)
            self._told_bps = wanted


def _now() -> float:
    return asyncio.get_running_loop().time()
