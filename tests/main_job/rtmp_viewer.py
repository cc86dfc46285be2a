"""A player of the partner's RTMP stream: who is in each picture, and what is heard, as it arrives."""

from dataclasses import dataclass

from bench.studio.decoded import share_of_colour
from bench.studio.live_player import LivePlayer, rtmp
from tests.main_job.cast import CAST, SEEN
from tests.main_job.hearing import Hearing
from tests.main_job.meeting import LINE_OF_C
from tests.main_job.program_picture import likeness_of_line

_SMALL = (80, 45)


@dataclass
class Sighting:
    """One decoded picture: when it was here (monotonic seconds), and what is in it."""

    at_s: float
    shares: dict[str, float]
    """Each one's."""
    line_of_c: float
    """How much some part of it looks like what C wrote."""

    def share(self, who):
        return self.shares[who.identity]


class RtmpViewer:
    """What an `LivePlayer` of the stream has shown so far."""

    def __init__(self, url):
        self.seen: list[Sighting] = []
        self.heard = Hearing()
        self.picture = None
        """The latest in full size, as an array."""
        self._player = LivePlayer(rtmp(url), self._look, self.heard.add)

    @property
    def connections(self):
        return self._player.connections

    def last_with(self, who, *, share=SEEN / 2):
        """When somebody's colour was last in a picture; None: never."""
        return max((s.at_s for s in self.seen if s.share(who) > share), default=None)

    def since(self, at_s):
        """The pictures that arrived since then."""
        return [sighting for sighting in self.seen if sighting.at_s >= at_s]

    def stop(self):
        self._player.stop()

    def _look(self, at_s, frame):
        # Small, so that this player keeps up with the stream on a busy machine.
        picture = frame.reformat(*_SMALL, format="rgb24").to_ndarray()
        self.picture = frame.to_ndarray(format="rgb24")
        shares = {who.identity: share_of_colour(picture, who.colour) for who in CAST}
        self.seen.append(Sighting(at_s, shares, likeness_of_line(self.picture, LINE_OF_C)))
