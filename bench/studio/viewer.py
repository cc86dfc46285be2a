"""A WHEP viewer that notes when packets of what it watches arrived."""

import time

import aiohttp

from bench.studio.link import PeerLink
from bench.studio.peer import AUDIO_PT, VIDEO_LINES, VIDEO_PT
from bench.studio.whip import HttpSession


class WhepViewer:
    """Watches what a WHEP endpoint shows.

    Attributes:
        packets: that arrived.
        last_s: when the last one did (monotonic seconds); 0 before the first.
    """

    def __init__(self, url: str, token: str) -> None:
        self.packets = 0
        self.last_s = 0.0
        self._whep = HttpSession(url, token)
        self._link = PeerLink(take_rtp=self._take)

    async def connect(self, http: aiohttp.ClientSession) -> None:
        """Watch.

        Raises:
            RuntimeError: with the server's words when it refuses.
        """
        common = self._link.media_lines("recvonly")
        lines = [
            *self._link.session_lines(),
            f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}",
            *common,
            "a=mid:0",
            f"a=rtpmap:{AUDIO_PT} opus/48000/2",
            f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}",
            *common,
            "a=mid:1",
            *VIDEO_LINES["VP8"],
            f"a=rtcp-fb:{VIDEO_PT} nack pli",
        ]
        await self._link.open(await self._whep.post(http, "".join(line + "\r\n" for line in lines)))

    async def close(self, http: aiohttp.ClientSession) -> None:
        """Watch no more."""
        self._link.close()
        await self._whep.delete(http)

    def _take(self, packet: bytes) -> None:
        """Count a packet that has something in it: no padding, no probe."""
        if len(packet) > 12 and not packet[0] & 0x20:
            self.packets += 1
            self.last_s = time.monotonic()
