"""Which layers a subscriber gets: the pure rule."""

from sfu.allocate.layers import BEST, Choice, Wish, choose

__all__ = ["BEST", "Choice", "Wish", "choose"]
