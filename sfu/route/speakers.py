"""Who is speaking: the dominant track and all active ones, from audio levels.

PURE: time comes in by parameter. As in Volfin's and Cohen's "Dominant speaker identification for multipoint
videoconferencing" a voice is judged over several spans: at once (the level, and how far it is above the own
floor of the track), over some hundred milliseconds (smoothed), and for long (how clearly and for how long a
challenger is ahead, how long the speaker has talked). So a cough or an echo does not steal the picture,
silence leaves it where it is, and neither a steady noise nor a made-up level keeps it.
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
_STEADY: Final = 0.2
"""And so much for a level that stays within a few dB of its own floor: a fan, a tone, an invention."""
_SWING_DB: Final = 6.0
_QUIETEST_DBOV: Final = -100.0
_FLOOR_RISE_DB_PER_S: Final = 6.0
"""Speech dips to its floor every few seconds, which takes the floor down at once."""
_HOLD_S: Final = 0.6
"""A challenger must stay ahead for so long."""
_STALE_S: Final = 1.0
"""A track without a report for so long is silent (its sender stopped, or DTX)."""
_PAUSE_S: Final = 1.0
"""Who is silent for so long has offered the floor to others, and begins anew."""
_FRESH_S: Final = 30.0
_TIRED_PER_S: Final = 0.01
_MOST_TIRED: Final = 0.4
"""A speaker who talks for longer without a pause counts ever less against others, and recovers as slowly."""
_ACTIVE_S: Final = 0.6
"""A track stays active for so long after it was last loud enough: words have gaps."""


@dataclass(slots=True)
class _Voice:
    score: float
    heard_at: float
    floor_dbov: float = _QUIETEST_DBOV
    level_dbov: float = -127.0
    loud_at: float = float("-inf")
    airtime_s: float = 0.0
    ahead_since: float | None = None

    @property
    def standing(self) -> float:
        """How the track stands against others."""
        return self.score - min(max(self.airtime_s - _FRESH_S, 0.0) * _TIRED_PER_S, _MOST_TIRED)


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
            self._tire(voice, now, is_speaker=track == self._speaker)
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
    def _tire(voice: _Voice, now: float, *, is_speaker: bool) -> None:
        passed = max(now - voice.heard_at, 0.0)
        most = _FRESH_S + _MOST_TIRED / _TIRED_PER_S
        voice.airtime_s = min(max(voice.airtime_s + (passed if is_speaker else -passed), 0.0), most)

    @staticmethod
    def _hear(voice: _Voice, dbov: int, now: float, *, has_voice: bool) -> None:
        risen = voice.floor_dbov + _FLOOR_RISE_DB_PER_S * max(now - voice.heard_at, 0.0)
        voice.floor_dbov = min(float(dbov), risen)
        loudness = max(0.0, 1.0 - min(dbov, _LOUDEST_DBOV) / _FLOOR_DBOV)
        loudness *= 1.0 if has_voice else _UNVOICED
        loudness *= 1.0 if dbov - voice.floor_dbov >= _SWING_DB else _STEADY
        weight = _ATTACK if loudness > voice.score else _DECAY
        voice.score += weight * (loudness - voice.score)
        if loudness >= _MIN_SCORE:
            # The level is followed while there is a voice: gaps between words are no part of it.
            is_start = now - voice.loud_at > _PAUSE_S
            voice.level_dbov = float(dbov) if is_start else 0.5 * (voice.level_dbov + dbov)
            voice.loud_at = now
        elif now - voice.loud_at > _PAUSE_S:
            voice.airtime_s = 0.0
        voice.heard_at = now

    def _best(self) -> TrackId | None:
        return max(self._voices, key=lambda track: self._voices[track].standing, default=None)

    def _judge(self, now: float) -> None:
        best = self._best()
        bar = _MIN_SCORE
        if self._speaker is not None and self._speaker in self._voices:
            bar = max(bar, self._voices[self._speaker].standing + _MARGIN)
        for track, voice in self._voices.items():
            if track != best or track == self._speaker or voice.standing < bar:
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
