"""A publisher whose every RTP packet and sender report has the time that its caller gives it."""

import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from random import SystemRandom
from typing import Final

import aiohttp

from bench.studio.link import PeerLink
from bench.studio.whip import HttpSession
from media.clock_map import SECOND_NS, ns_to_ntp

VIDEO_PT: Final = 96
AUDIO_PT: Final = 111
VIDEO_SSRC: Final = 0x1111
AUDIO_SSRC: Final = 0x2222
NTP_OFFSET_NS: Final = 3_900_000_000 * SECOND_NS
"""From the monotonic clock to some instant of this century on the publisher's own."""
VIDEO_LINES: Final = {
    "VP8": (f"a=rtpmap:{VIDEO_PT} VP8/90000",),
    "H264": (
        f"a=rtpmap:{VIDEO_PT} H264/90000",
        f"a=fmtp:{VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
}
_PACKET_BYTES: Final = 1100
_KEPT: Final = 512
"""Packets that can be sent again."""
_RTP_FEEDBACK, _PAYLOAD_FEEDBACK = 205, 206

_rng = SystemRandom()


class RtpPeer:
    """Connects, then sends what it is told.

    Args:
        whip_url, token: where `connect` publishes; without them `offer` and `open` do it by other ways.
        codec: VP8 or H264.
        loss: the share of media packets that are lost on the way out; what is asked for is sent again.
    """

    def __init__(self, whip_url: str = "", token: str = "", *, codec: str = "VP8", loss: float = 0.0) -> None:
        self.keyframe_requests = 0
        self.repaired = 0
        """Packets that were asked for and sent again."""
        self._whip = HttpSession(whip_url, token)
        self._codec = codec
        self._loss = loss
        self._link = PeerLink(take_rtcp=self._receive_rtcp)
        self._seq = {VIDEO_SSRC: secrets.randbelow(30_000), AUDIO_SSRC: secrets.randbelow(30_000)}
        self._sent: deque[tuple[int, int, bytes]] = deque(maxlen=_KEPT)

    async def connect(self, session: aiohttp.ClientSession) -> None:
        """Publish by WHIP.

        Raises:
            RuntimeError: with the server's words when it refuses.
        """
        await self.open(await self._whip.post(session, self.offer()))

    async def open(self, answer: str) -> None:
        """Connect to where an answer to `offer` says.

        Raises:
            RuntimeError: the connection does not come about.
        """
        await self._link.open(answer)

    @property
    def is_closed(self) -> bool:
        """Whether it can send no more."""
        return self._link.is_closed

    async def close(self, session: aiohttp.ClientSession | None = None) -> None:
        """Send no more; `session`: end the WHIP resource, too."""
        self._link.close()
        if session is not None:
            await self._whip.delete(session)

    def send_video(self, frame: bytes, rtp_ts: int) -> None:
        """One VP8 frame."""
        pieces = [frame[i : i + _PACKET_BYTES] for i in range(0, len(frame), _PACKET_BYTES)]
        self.send_payloads([(b"\x00" if number else b"\x10") + p for number, p in enumerate(pieces)], rtp_ts)

    def send_payloads(self, payloads: Sequence[bytes], rtp_ts: int) -> None:
        """One video frame that has been packetised."""
        for number, payload in enumerate(payloads, 1):
            self._send_rtp(VIDEO_SSRC, VIDEO_PT, rtp_ts, payload, marker=number == len(payloads))

    def send_audio(self, packet: bytes, rtp_ts: int) -> None:
        """One Opus packet."""
        self._send_rtp(AUDIO_SSRC, AUDIO_PT, rtp_ts, packet, marker=False)

    def send_report(self, ssrc: int, ntp_ns: int, rtp_ts: int) -> None:
        """A sender report: at that NTP time (ns since 1900) the stream's clock showed `rtp_ts`."""
        body = ssrc.to_bytes(4, "big") + ns_to_ntp(ntp_ns).to_bytes(8, "big")
        body += (rtp_ts & 0xFFFFFFFF).to_bytes(4, "big") + bytes(8)
        report = bytes([0x80, 200, 0, 6]) + body
        cname = b"rtp-peer"
        sdes = bytes([0x81, 202, 0, 0]) + ssrc.to_bytes(4, "big") + bytes([1, len(cname)]) + cname
        sdes += bytes(4 - len(sdes) % 4)
        sdes = sdes[:2] + (len(sdes) // 4 - 1).to_bytes(2, "big") + sdes[4:]
        self._link.send_rtcp(report + sdes)

    def offer(self) -> str:
        """The SDP of audio and video to send."""
        common = self._link.media_lines("sendonly")
        lines = [
            *self._link.session_lines(),
            f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}",
            *common,
            "a=mid:0",
            f"a=rtpmap:{AUDIO_PT} opus/48000/2",
            f"a=ssrc:{AUDIO_SSRC} cname:rtp-peer",
            f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}",
            *common,
            "a=mid:1",
            *VIDEO_LINES[self._codec],
            f"a=rtcp-fb:{VIDEO_PT} nack",
            f"a=rtcp-fb:{VIDEO_PT} nack pli",
            f"a=ssrc:{VIDEO_SSRC} cname:rtp-peer",
        ]
        return "".join(line + "\r\n" for line in lines)

    def _receive_rtcp(self, compound: bytes) -> None:
        """Answer NACKs; count picture loss indications and full intra requests.

        Source: RFC 4585 sections 6.2.1 and 6.3.1, RFC 5104 section 4.3.1.
        """
        while len(compound) >= 4:
            size = 4 * (int.from_bytes(compound[2:4], "big") + 1)
            kind, form = compound[1], compound[0] & 0x1F
            if kind == _RTP_FEEDBACK and form == 1:
                for seq in _lost(compound[12:size]):
                    self._repair(int.from_bytes(compound[8:12], "big"), seq)
            self.keyframe_requests += kind == _PAYLOAD_FEEDBACK and form in {1, 4}
            compound = compound[size:]

    def _repair(self, ssrc: int, seq: int) -> None:
        for kept_ssrc, kept_seq, packet in self._sent:
            if (kept_ssrc, kept_seq) == (ssrc, seq):
                self.repaired += 1
                self._send(packet)
                return

    def _send_rtp(self, ssrc: int, pt: int, rtp_ts: int, payload: bytes, *, marker: bool) -> None:
        seq = self._seq[ssrc] & 0xFFFF
        self._seq[ssrc] += 1
        header = bytes([0x80, (0x80 if marker else 0) | pt]) + seq.to_bytes(2, "big")
        header += (rtp_ts & 0xFFFFFFFF).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        packet = self._link.protect(header + payload)
        self._sent.append((ssrc, seq, packet))
        self._send(packet)

    def _send(self, packet: bytes) -> None:
        if _rng.random() >= self._loss:
            self._link.send(packet)


def _lost(items: bytes) -> Iterator[int]:
    """The sequence numbers that a generic NACK's items name. PURE."""
    for at in range(0, len(items) - 3, 4):
        first = int.from_bytes(items[at : at + 2], "big")
        others = int.from_bytes(items[at + 2 : at + 4], "big")
        yield first
        yield from ((first + 1 + bit) & 0xFFFF for bit in range(16) if others >> bit & 1)
