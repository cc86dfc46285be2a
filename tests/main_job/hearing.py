"""A sound as it arrives: what was heard until when."""

import numpy as np

from bench.studio.decoded import RATE, loudest, tone_level, windows
from tests.main_job.cast import BEEP_S, HEARD, SECOND_S, UNHEARD

_PIECE = 1024
_ASIDE_HZ = (-53, -37, 37, 53)
_CLEAR = 2
"""A tone is so much louder than what is beside it, even one packet of it in a second."""
_FADES = 0.7
"""A piece with so much less of a tone than the piece before it is the tone's end."""


class Hearing:
    """Pieces of mono sound at 48 kHz, each with the instant (monotonic seconds) at which it was here."""

    def __init__(self):
        self._pieces = []

    def __len__(self):
        return len(self._pieces)

    def add(self, at_s, sound):
        """Notes what arrived; pieces of more than some 20 ms are cut so that each tone has its own end."""
        self._pieces += [(at_s, sound[start : start + _PIECE]) for start in range(0, len(sound), _PIECE)]

    def between(self, from_s, until_s=float("inf")):
        """What arrived in a span, in one piece."""
        parts = [sound for at_s, sound in self._pieces if from_s <= at_s <= until_s]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def last_with(self, who):
        """When the last piece arrived that holds somebody's tone; None when there was none.

        AAC frames overlap: a frame without the tone, decoded after one with it, still begins with the tone's
        end, which had arrived before. A last piece that fades counts for the one before it.
        """
        levels = [tone_level(sound, who.tone_hz) for _, sound in self._pieces]
        last = max((at for at, level in enumerate(levels) if level > HEARD), default=None)
        if last is None:
            return None
        is_fading = last > 0 and levels[last] < _FADES * levels[last - 1]
        return self._pieces[last - is_fading][0]


def has_tone(sound, who):
    """Whether somebody is heard: for the length of a beep at least."""
    return loudest(sound, who.tone_hz, BEEP_S) > HEARD


def lacks_tone(sound, who):
    """Whether somebody is not in a sound: in no second of it does their tone stand out.

    The edges of other tones, where their sound was interrupted, have a little of every frequency.
    """
    return not any(_stands_out(window, who.tone_hz) for window in windows(sound, SECOND_S))


def _stands_out(sound, hz):
    level = tone_level(sound, hz)
    return level >= UNHEARD and level > _CLEAR * np.median(
        [tone_level(sound, hz + aside) for aside in _ASIDE_HZ]
    )


def levels(sounds, who):
    """Somebody's tone in each of some sounds, to be told: amplitude and length in seconds."""
    return [(round(loudest(sound, who.tone_hz, BEEP_S), 3), round(len(sound) / RATE, 2)) for sound in sounds]
