"""A player of the partner's RTMP stream: who is in each picture, and what is heard, as it arrives."""

import threading
import time
from dataclasses import dataclass

import av

from tests.main_job.cast import CAST, SEEN
from tests.main_job.hearing import Hearing
from tests.support.decoded import Mono, share_of_colour

LIVE = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "100000"}
"""Options of a player that wants to be close to live."""
_SMALL = (80, 45)


@dataclass
class Sighting:
    """One decoded picture: when it was here (monotonic seconds), and each one's share of it."""

    at_s: float
    shares: dict[str, float]

    def share(self, who):
        return self.shares[who.identity]


class RtmpViewer:
    """Plays in a thread of its own, and connects again whenever the stream ends."""

    def __init__(self, url):
        self._url = url
        self._is_stopping = False
        self.seen: list[Sighting] = []
        self.heard = Hearing()
        self.picture = None
        """The latest in full size, as an array."""
        self.connections = 0
        self._thread = threading.Thread(target=self._run, name="rtmp-viewer", daemon=True)
        self._thread.start()

    def last_with(self, who, *, share=SEEN / 2):
        """When somebody's colour was last in a picture; None: never."""
        return max((s.at_s for s in self.seen if s.share(who) > share), default=None)

    def since(self, at_s):
        """The pictures that arrived since then."""
        return [sighting for sighting in self.seen if sighting.at_s >= at_s]

    def stop(self):
        self._is_stopping = True
        self._thread.join(10)

    def _run(self):
        while not self._is_stopping:
            try:
                with av.open(self._url, timeout=(5.0, 1.0), options=LIVE) as container:
                    if container.streams.video and container.streams.audio:
                        self.connections += 1
                        self._play(container)
            except av.FFmpegError:
                time.sleep(0.1)

    def _play(self, container):
        mono = Mono()
        for stream in container.streams:
            stream.codec_context.thread_count = 1
        for packet in container.demux():
            for frame in packet.decode():
                at_s = time.monotonic()
                if isinstance(frame, av.AudioFrame):
                    self.heard.add(at_s, mono.samples(frame))
                else:
                    self._look(at_s, frame)
            if self._is_stopping:
                return

    def _look(self, at_s, frame):
        # Small, so that this player keeps up with the stream on a busy machine.
        picture = frame.reformat(*_SMALL, format="rgb24").to_ndarray()
        self.picture = frame.to_ndarray(format="rgb24")
        shares = {who.identity: share_of_colour(picture, who.colour) for who in CAST}
        self.seen.append(Sighting(at_s, shares))
