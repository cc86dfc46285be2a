"""A publisher's camera in H.264 and its sound: really encoded, in real time, known to the last slice."""

import asyncio
import time

from bench.studio.encoded import encode_tone
from bench.studio.peer import AUDIO_SSRC, NTP_OFFSET_NS, VIDEO_SSRC
from media.clock_map import SECOND_NS
from tests.media import encoded, packetise

FPS = 15
SLICES = {1, 5}


def slices_of(units):
    """The coded pictures among NAL units, as they are compared."""
    return [bytes(unit) for unit in units if unit[0] & 0x1F in SLICES]


class H264Camera:
    """Plays a moving grey of one luma and a tone on a peer; a keyframe request makes it begin anew."""

    def __init__(self, peer, *, luma, hz, seconds=6, width=320, height=180):
        lumas = tuple(luma + index % 8 for index in range(FPS * seconds))
        self._frames = encoded.video("h264", lumas, width=width, height=height, fps=FPS)
        self._payloads = [packetise.h264_frame(frame.data) for frame in self._frames]
        self._audio = encode_tone(hz)
        self._peer = peer
        self._is_stopped = False
        self.slices = {s for frame in self._frames for s in slices_of(packetise.annex_b_units(frame.data))}
        self.requested_s = []
        """When keyframes were asked for, seconds since the camera began."""

    def shows_in(self, slices):
        """Whether any of these is of this camera."""
        return not self.slices.isdisjoint(slices)

    def stop(self):
        """Sends no more; the connection stays."""
        self._is_stopped = True

    async def run(self):
        start_ns = time.monotonic_ns()
        video = audio = reports = at = asked = 0
        while not self._peer.is_closed and not self._is_stopped:
            elapsed_ns = time.monotonic_ns() - start_ns
            while elapsed_ns >= reports * SECOND_NS:
                self._report(start_ns, reports * SECOND_NS)
                reports += 1
            if self._peer.keyframe_requests > asked:
                asked = self._peer.keyframe_requests
                self.requested_s.append(elapsed_ns / SECOND_NS)
                at = 0
            while video * SECOND_NS // FPS <= elapsed_ns:
                self._peer.send_payloads(self._payloads[at], video * 90_000 // FPS)
                video, at = video + 1, (at + 1) % len(self._payloads)
            while audio * SECOND_NS // 50 <= elapsed_ns:
                self._peer.send_audio(self._audio[audio % len(self._audio)], audio * 960)
                audio += 1
            await asyncio.sleep(0.004)

    def _report(self, start_ns, at_ns):
        ntp_ns = NTP_OFFSET_NS + start_ns + at_ns
        self._peer.send_report(VIDEO_SSRC, ntp_ns, at_ns * 90_000 // SECOND_NS)
        self._peer.send_report(AUDIO_SSRC, ntp_ns, at_ns * 48_000 // SECOND_NS)
