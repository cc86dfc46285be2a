"""What a router does by the clock: keyframe requests that waited, and who speaks."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from sfu.alarm import Alarm
from sfu.engine.api import Engine
from sfu.engine.types import TrackId
from sfu.errors import EngineError
from sfu.route.events import ActiveSpeaker, Levels
from sfu.route.keyframes import KeyframeRequests
from sfu.route.speakers import SpeakerDetector

_LEVELS_EVERY_S: Final = 0.4
"""Levels of the same speakers are told so often at most: people look at them."""
_log = structlog.get_logger("sfu.router")


class Pulse:
    """Runs the pure deciders of one router on one timer of the event loop."""

    def __init__(self, engine: Engine, on_speaker: Callable[[ActiveSpeaker | Levels], None]) -> None:
        self._engine = engine
        self._on_speaker = on_speaker
        self._keyframes = KeyframeRequests()
        self._speakers = SpeakerDetector()
        self._told: tuple[tuple[TrackId, int], ...] = ()
        self._told_at = 0.0
        self._alarm = Alarm(self._tick)
        self._is_closed = False

    def want_keyframe(self, track: TrackId) -> None:
        """Somebody needs a keyframe of a video track."""
        self._keyframes.receive(track)
        self._tick()

    def hear(self, levels: Iterable[tuple[TrackId, int, bool]]) -> None:
        """Take one round of audio levels, dBov."""
        self._speakers.receive(levels, _now())
        self._tell()

    def remove(self, track: TrackId) -> None:
        """A track ended."""
        self._keyframes.remove(track)
        self._speakers.remove(track, _now())
        self._tell()

    def close(self) -> None:
        """Stop the clock."""
        self._is_closed = True
        self._alarm.cancel()

    def _tick(self) -> None:
        now = _now()
        for track in self._keyframes.poll(now):
            try:
                self._engine.request_keyframe(track)
            except EngineError as error:
                _log.debug("keyframe_request_dropped", track=track, reason=str(error))
        self._speakers.tick(now)
        self._tell()

    def _tell(self) -> None:
        for change in self._speakers.poll():
            self._on_speaker(change)
        self._tell_levels(_now())
        due = [at for at in (self._keyframes.deadline(), self._speakers.deadline()) if at is not None]
        if not self._is_closed:
            self._alarm.set(min(due, default=None))

    def _tell_levels(self, now: float) -> None:
        levels = tuple(self._speakers.active(now))
        is_news = {track for track, _ in levels} != {track for track, _ in self._told}
        if is_news or (levels != self._told and now - self._told_at >= _LEVELS_EVERY_S):
            self._told, self._told_at = levels, now
            self._on_speaker(Levels(levels))


def _now() -> float:
    return asyncio.get_running_loop().time()
