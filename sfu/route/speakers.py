"""Who is speaking: the dominant track and all active ones, from audio levels.

PURE: time comes in by parameter. Levels are smoothed for each track; a challenger must be clearly louder than
the speaker for a while, so that a cough or an echo does not steal the picture; silence leaves it where it is.
A level beyond what a loud voice reaches gains nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sfu.engine.types import TrackId
from sfu.route.events import ActiveSpeaker

_FLOOR_DBOV: Final = -70.0
"""Quieter than this is silence."""
_LOUDEST_DBOV: Final = -15.0
"""What a loud voice reaches; who claims more gains nothing."""
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
_PAUSE_S: Final = 1.0
"""After so long a silence the level is followed anew."""
_ACTIVE_S: Final = 0.6
"""A track stays active for so long after it was last loud enough: words have gaps."""


@dataclass(slots=True)
class _Voice:
    score: float
    heard_at: float
    level_dbov: float = -127.0
    loud_at: float = float("-inf")
    ahead_since: float | None = None


class SpeakerDetector:
    """Chooses the dominant speaker of one room, and tells who else is active."""

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
            voice = self._voices.setdefault(track, _Voice(0.0, now))
            self._hear(voice, dbov, now, has_voice=has_voice)
        self._judge(now)

    def active(self, now: float) -> list[tuple[TrackId, int]]:
        """Everyone who speaks and their smoothed levels in dBov, the loudest first."""
        speaking = [
            (track, round(voice.level_dbov))
            for track, voice in self._voices.items()
            if now - voice.loud_at <= _ACTIVE_S
        ]
        return sorted(speaking, key=lambda row: (-row[1], row[0]))

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
        fading = [voice.heard_at + _STALE_S for voice in self._voices.values() if voice.score > 0.0]
        return min(fading, default=None)

    @staticmethod
    def _hear(voice: _Voice, dbov: int, now: float, *, has_voice: bool) -> None:
        loudness = max(0.0, 1.0 - min(dbov, _LOUDEST_DBOV) / _FLOOR_DBOV)
        loudness *= 1.0 if has_voice else _UNVOICED
        weight = _ATTACK if loudness > voice.score else _DECAY
        voice.score += weight * (loudness - voice.score)
        if loudness >= _MIN_SCORE:
            # The level is followed while there is a voice: gaps between words are no part of it.
            is_start = now - voice.loud_at > _PAUSE_S
            voice.level_dbov = float(dbov) if is_start else 0.5 * (voice.level_dbov + dbov)
            voice.loud_at = now
        voice.heard_at = now

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
