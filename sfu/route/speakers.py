"""Who is speaking: the dominant track, from audio levels.

PURE: time comes in by parameter. Levels are smoothed for each track; a challenger must be clearly louder than
the speaker for a while, so that a cough or an echo does not steal the picture; silence leaves it where it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sfu.engine.types import TrackId
from sfu.route.events import ActiveSpeaker

_FLOOR_DBOV: Final = -70.0
"""Quieter than this is silence."""
_ATTACK: Final = 0.4
_DECAY: Final = 0.2
_MIN_SCORE: Final = 0.2
"""Smoothed loudness (0..1) below which nobody becomes the speaker: about -56 dBov."""
_MARGIN: Final = 0.08
_UNVOICED: Final = 0.6
"""Loudness counts so much where the sender's detector hears no voice (RFC 6464 V bit clear)."""
_HOLD_S: Final = 0.6
"""A challenger must stay ahead for so long."""
_STALE_S: Final = 1.0
"""A track without a report for so long is silent (its sender stopped, or DTX)."""


@dataclass(slots=True)
class _Voice:
    score: float
    heard_at: float
    ahead_since: float | None = None


class SpeakerDetector:
    """Chooses the dominant speaker of one room."""

    def __init__(self) -> None:
        self._voices: dict[TrackId, _Voice] = {}
        self._speaker: TrackId | None = None
        self._news: list[ActiveSpeaker] = []

    @property
    def speaker(self) -> TrackId | None:
        """The dominant track now."""
        return self._speaker

    def receive(self, levels: Iterable[tuple[TrackId, int, bool]], now: float) -> None:
        """Take one round of levels: (track, dBov from -127 to 0, voice flag)."""
        for track, dbov, has_voice in levels:
            loudness = max(0.0, 1.0 - dbov / _FLOOR_DBOV) * (1.0 if has_voice else _UNVOICED)
            voice = self._voices.setdefault(track, _Voice(0.0, now))
            weight = _ATTACK if loudness > voice.score else _DECAY
            voice.score += weight * (loudness - voice.score)
            voice.heard_at = now
        self._judge(now)

    def tick(self, now: float) -> None:
        """Let tracks without a report fade."""
        for voice in self._voices.values():
            if now - voice.heard_at >= _STALE_S:
                voice.score = 0.0
        self._judge(now)

    def remove(self, track: TrackId, now: float) -> None:
        """A track ended; if it was the speaker, the loudest of the others follows at once, or nobody."""
        self._voices.pop(track, None)
        if track != self._speaker:
            return
        best = self._best()
        self._choose(best if best is not None and self._voices[best].score >= _MIN_SCORE else None)
        self._judge(now)

    def poll(self) -> Iterator[ActiveSpeaker]:
        """The changes since the last call."""
        news, self._news = self._news, []
        yield from news

    def deadline(self) -> float | None:
        """When `tick` matters; None while everyone is silent."""
        loud = [voice.heard_at + _STALE_S for voice in self._voices.values() if voice.score > 0.0]
        return min(loud, default=None)

    def _best(self) -> TrackId | None:
        return max(self._voices, key=lambda track: self._voices[track].score, default=None)

    def _judge(self, now: float) -> None:
        best = self._best()
        bar = _MIN_SCORE
        if self._speaker is not None and self._speaker in self._voices:
            bar = max(bar, self._voices[self._speaker].score + _MARGIN)
        for track, voice in self._voices.items():
            if track != best or track == self._speaker or voice.score < bar:
                voice.ahead_since = None
            elif voice.ahead_since is None:
                voice.ahead_since = now
        if best is None or (since := self._voices[best].ahead_since) is None:
            return
        if self._speaker is None or now - since >= _HOLD_S:
            self._choose(best)

    def _choose(self, track: TrackId | None) -> None:
        if track == self._speaker:
            return
        self._speaker = track
        if track is not None:
            self._voices[track].ahead_since = None
        self._news.append(ActiveSpeaker(track))
