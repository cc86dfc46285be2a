"""What of somebody's H.264 reached the outside, slice by slice: a player of RTMP, a recording of it, HLS."""

import io
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import av

from tests.support.h264_camera import slices_of


def units_of(data):
    """NAL units of an access unit with four-byte lengths."""
    units, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        units.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return units


def slices_in(file_bytes):
    """The coded pictures of a playable file, in order."""
    with av.open(io.BytesIO(file_bytes)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return [one for data in packets for one in slices_of(units_of(data))]


@dataclass(frozen=True)
class VideoTag:
    """One video message as a site recorded it: a sequence header, or an access unit."""

    at_ms: int
    header: bytes | None
    slices: tuple[bytes, ...]


def video_tags(path: Path):
    """The video tags of an FLV file that may still be growing."""
    data, at, found = path.read_bytes(), 13, []
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        at_ms = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        body = data[at + 11 : at + 11 + size]
        if data[at] == 9 and len(body) == size:
            is_header = body[1] == 0
            slices = () if is_header else tuple(slices_of(units_of(body[5:])))
            found.append(VideoTag(at_ms, body[5:] if is_header else None, slices))
        at += 11 + size + 4
    return found


class RtmpWitness:
    """Plays a stream of a site in a thread of its own; notes when each coded picture arrived."""

    def __init__(self, url):
        self._url = url
        self._is_stopping = False
        self.seen: list[tuple[float, bytes]] = []
        """(monotonic seconds, slice)."""
        self._thread = threading.Thread(target=self._run, name="rtmp-witness", daemon=True)
        self._thread.start()

    def last_of(self, slices):
        """When one of these arrived last."""
        return max((at for at, one in list(self.seen) if one in slices), default=None)

    def since(self, at_s):
        return [one for at, one in list(self.seen) if at > at_s]

    def stop(self):
        self._is_stopping = True
        self._thread.join(10)

    def _run(self):
        options = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "100000"}
        while not self._is_stopping:
            try:
                with av.open(self._url, timeout=(5.0, 1.0), options=options) as container:
                    for packet in container.demux(video=0):
                        now = time.monotonic()
                        self.seen += [(now, one) for one in slices_of(units_of(bytes(packet)))]
                        if self._is_stopping:
                            return
            except (av.FFmpegError, IndexError):
                time.sleep(0.1)
