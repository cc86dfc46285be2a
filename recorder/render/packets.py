"""Encoded packets of several sources in one order of time. PURE."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")


def merged(*feeds: Iterator[tuple[Fraction, T]]) -> Iterator[tuple[Fraction, T]]:
    """What all feeds give, by decoding time in seconds; each feed is in rising order."""
    waiting = [(feed, item) for feed in feeds if (item := next(feed, None)) is not None]
    while waiting:
        place = min(range(len(waiting)), key=lambda n: waiting[n][1][0])
        feed, item = waiting[place]
        yield item
        following = next(feed, None)
        if following is None:
            del waiting[place]
        else:
            waiting[place] = (feed, following)
