"""Who takes part, how each of them looks and sounds, and what they agreed to."""

from dataclasses import dataclass

from bench.studio.flash import BEEP_HZ
from tests.browser.people import Person


@dataclass(frozen=True)
class Character:
    """One participant; `identity` is inside the room only, `name` is what outsiders may read."""

    identity: str
    name: str
    colour: tuple[int, int, int]
    tone_hz: int
    is_granted: bool

    def on(self, page) -> Person:
        """This participant at a browser's page."""
        return Person(page, self.identity, self.colour, self.tone_hz)


A = Character("A", "Ada", (200, 40, 40), 440, is_granted=True)
B = Character("B", "Bob", (50, 70, 210), 860, is_granted=True)
C = Character("C", "Cleo", (40, 150, 60), 620, is_granted=False)
D = Character("D", "Dan", (250, 250, 250), BEEP_HZ, is_granted=True)
"""Flashes in white and beeps, at the same instant of each second."""
E = Character("E", "Eve", (170, 50, 170), 1180, is_granted=False)

CAST = (A, B, C, D, E)
BROWSERS = (A, B, C)
AGREED = (A, B, D)
REFUSED = (C, E)

SEEN, UNSEEN = 0.05, 0.005
"""Share of a picture's pixels: a tile of five has 0.1."""
HEARD, UNHEARD = 0.03, 0.004
"""Amplitude of a tone, 1 being full scale; `UNHEARD` over a whole second."""
BEEP_S, SECOND_S = 0.1, 1.0


def is_near(colour, rgb, tolerance=45):
    """Whether a picture's mean colour is about this one."""
    return all(abs(a - b) < tolerance for a, b in zip(colour, rgb, strict=True))
