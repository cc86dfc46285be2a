"""Which layers a subscriber gets: the pure rules."""

from sfu.allocate.allocator import Allocator, Layer, ladder_of, rising
from sfu.allocate.layers import BEST, SCREEN_PRIORITY, Choice, Wish, choose
from sfu.allocate.sound import SoundMeter, SoundRates

__all__ = [
    "BEST",
    "SCREEN_PRIORITY",
    "Allocator",
    "Choice",
    "Layer",
    "SoundMeter",
    "SoundRates",
    "Wish",
    "choose",
    "ladder_of",
    "rising",
]
