"""A WHIP publisher whose every RTP packet and sender report has the time that the test gives it."""

import asyncio
import re
import secrets
import time
from random import SystemRandom

import aiohttp

from media.clock_map import ns_to_ntp
from sfu.sdp import Fingerprint
from sfu.transport.candidates import credentials
from sfu.transport.dtls import Dtls, DtlsConnected, DtlsFailed, DtlsIdentity, SendDtls
from sfu.transport.ice_client import IceClient, IceFailed
from sfu.transport.ice_lite import ConsentLost, IceConnected, SendStun

SECOND_NS = 1_000_000_000
VIDEO_PT, AUDIO_PT = 96, 111
VIDEO_SSRC, AUDIO_SSRC = 0x1111, 0x2222
PACKET_BYTES = 1100
VIDEO_LINES = {
    "VP8": (f"a=rtpmap:{VIDEO_PT} VP8/90000",),
    "H264": (
        f"a=rtpmap:{VIDEO_PT} H264/90000",
        f"a=fmtp:{VIDEO_PT} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
}
NTP_OFFSET_NS = 3_900_000_000 * SECOND_NS


class RtpPeer(asyncio.DatagramProtocol):
    """Connects, then sends what it is told: ICE, DTLS and SRTP are real, the clock is the test's."""

    def __init__(self, whip_url="", token="", *, codec="VP8"):
        self._url = whip_url
        self._token = token
        self._codec = codec
        self._identity = DtlsIdentity.generate()
        self._rng = SystemRandom()
        self._ufrag, self._pwd = credentials(self._rng)
        self._transport = None
        self._ice = self._dtls = self._tx = self._rx = None
        self._connected = asyncio.Event()
        self._failure = None
        self._seq = {VIDEO_SSRC: secrets.randbelow(30_000), AUDIO_SSRC: secrets.randbelow(30_000)}
        self._timer = None
        self.resource = None
        self.keyframe_requests = 0

    async def connect(self, session: aiohttp.ClientSession):
        """Publishes by WHIP; raises RuntimeError with the server's words when it is refused."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/sdp"}
        async with session.post(self._url, data=self.offer(), headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(f"{response.status}: {text}")
            self.resource = response.headers["Location"]
        await self.open(text)

    async def open(self, answer):
        """Connects to where an answer to `offer` says."""
        loop = asyncio.get_running_loop()
        remote = (self._find(answer, "ice-ufrag"), self._find(answer, "ice-pwd"))
        algorithm, value = self._find(answer, "fingerprint").split()
        candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer, re.IGNORECASE)
        ip, port = next(((ip, int(port)) for ip, port in candidates if ":" not in ip), None)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=(ip, port))
        now = loop.time()
        self._ice = IceClient(
            local=(self._ufrag, self._pwd), remote=remote, socket=0, ip=ip, port=port, rng=self._rng, now=now
        )
        self._dtls = Dtls(self._identity, "client", [Fingerprint(algorithm.lower(), value.upper())], now)
        self._step()
        async with asyncio.timeout(10):
            await self._connected.wait()
        if self._failure:
            raise RuntimeError(self._failure)

    @property
    def is_closed(self):
        """Whether it can send no more."""
        return self._transport is None or self._transport.is_closing()

    async def close(self, session: aiohttp.ClientSession | None = None):
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        if session is not None and self.resource:
            base = self._url.split("/whip/")[0]
            url = self.resource if self.resource.startswith("http") else base + self.resource
            async with session.delete(url, headers={"Authorization": f"Bearer {self._token}"}):
                pass

    def send_video(self, frame: bytes, rtp_ts: int):
        """One VP8 frame."""
        pieces = [frame[i : i + PACKET_BYTES] for i in range(0, len(frame), PACKET_BYTES)]
        self.send_payloads([(b"\x00" if number else b"\x10") + p for number, p in enumerate(pieces)], rtp_ts)

    def send_payloads(self, payloads, rtp_ts: int):
        """One video frame that has been packetised."""
        for number, payload in enumerate(payloads, 1):
            self._send_rtp(VIDEO_SSRC, VIDEO_PT, rtp_ts, payload, marker=number == len(payloads))

    def send_audio(self, packet: bytes, rtp_ts: int):
        """One Opus packet."""
        self._send_rtp(AUDIO_SSRC, AUDIO_PT, rtp_ts, packet, marker=False)

    def send_report(self, ssrc: int, ntp_ns: int, rtp_ts: int):
        """A sender report: at that NTP time (ns since 1900) the stream's clock showed `rtp_ts`."""
        body = ssrc.to_bytes(4, "big") + ns_to_ntp(ntp_ns).to_bytes(8, "big")
        body += (rtp_ts & 0xFFFFFFFF).to_bytes(4, "big") + bytes(8)
        report = bytes([0x80, 200, 0, 6]) + body
        cname = b"rtp-peer"
        sdes = bytes([0x81, 202, 0, 0]) + ssrc.to_bytes(4, "big") + bytes([1, len(cname)]) + cname
        sdes += bytes(4 - len(sdes) % 4)
        sdes = sdes[:2] + (len(sdes) // 4 - 1).to_bytes(2, "big") + sdes[4:]
        self._transport.sendto(self._tx.protect_rtcp(report + sdes))

    def datagram_received(self, data, addr):
        if not data:
            return
        now = asyncio.get_running_loop().time()
        if data[0] < 4:
            self._ice.receive(data, 0, addr[0], addr[1], now)
        elif 20 <= data[0] < 64:
            self._dtls.receive(data, now)
        elif len(data) > 1 and 192 <= data[1] <= 223:
            self._receive_rtcp(data)
        self._step()

    def error_received(self, exc):
        self._fail(str(exc))

    def _receive_rtcp(self, data):
        """Counts picture loss indications and full intra requests. Source: RFC 4585 section 6.3, RFC 5104."""
        if self._rx is None:
            return
        compound = self._rx.unprotect_rtcp(data)
        while len(compound) >= 4:
            is_feedback, kind = compound[1] == 206, compound[0] & 0x1F
            self.keyframe_requests += is_feedback and kind in {1, 4}
            compound = compound[4 * (int.from_bytes(compound[2:4], "big") + 1) :]

    def _send_rtp(self, ssrc, pt, rtp_ts, payload, *, marker):
        seq = self._seq[ssrc] & 0xFFFF
        self._seq[ssrc] += 1
        header = bytes([0x80, (0x80 if marker else 0) | pt]) + seq.to_bytes(2, "big")
        header += (rtp_ts & 0xFFFFFFFF).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        self._transport.sendto(self._tx.protect(header + payload))

    def _step(self):
        """Carries out what ICE and DTLS want, and wakes at the next deadline."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for machine in (self._ice, self._dtls):
            deadline = machine.deadline()
            if deadline is not None and now >= deadline:
                machine.tick(now)
        self._effects(now)
        deadlines = [d for d in (self._ice.deadline(), self._dtls.deadline()) if d is not None]
        if self._timer is not None:
            self._timer.cancel()
        if deadlines and not self._transport.is_closing():
            self._timer = loop.call_at(max(min(deadlines), now + 0.001), self._step)

    def _effects(self, now):
        for effect in [*self._ice.poll(), *self._dtls.poll()]:
            match effect:
                case SendStun():
                    self._transport.sendto(effect.data)
                case SendDtls(data):
                    self._transport.sendto(data)
                case IceConnected():
                    self._dtls.start(now)
                    self._effects(now)
                case DtlsConnected(sessions):
                    self._tx, self._rx = sessions.tx, sessions.rx
                    self._connected.set()
                case DtlsFailed(code, reason):
                    self._fail(f"{code}: {reason}")
                case IceFailed(reason):
                    self._fail(reason)
                case ConsentLost():
                    self._fail("consent lost")
                case _:
                    pass

    def _fail(self, reason):
        self._failure = self._failure or reason
        self._connected.set()

    def offer(self):
        """The SDP of audio and video to send."""
        fingerprint = self._identity.fingerprint
        common = [
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._pwd}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            "a=setup:actpass",
            "a=sendonly",
            "a=rtcp-mux",
        ]
        lines = [
            "v=0",
            f"o=- {secrets.randbits(60)} 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0 1",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PT}",
            *common,
            "a=mid:0",
            f"a=rtpmap:{AUDIO_PT} opus/48000/2",
            f"a=ssrc:{AUDIO_SSRC} cname:rtp-peer",
            f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}",
            *common,
            "a=mid:1",
            *VIDEO_LINES[self._codec],
            f"a=rtcp-fb:{VIDEO_PT} nack pli",
            f"a=ssrc:{VIDEO_SSRC} cname:rtp-peer",
        ]
        return "".join(line + "\r\n" for line in lines)

    @staticmethod
    def _find(sdp, name):
        return re.search(rf"^a={name}:(.+?)\r?$", sdp, re.MULTILINE)[1]


class RtpPlayer:
    """Plays pre-encoded VP8 and Opus on a peer, over and over; both start at the same instant."""

    def __init__(self, peer: RtpPeer, video, audio, *, fps=15):
        """`video`: (frame, is_keyframe) of whole seconds; `audio`: 20 ms packets of as many seconds."""
        self._peer = peer
        self._video = video
        self._audio = audio
        self._fps = fps
        self._offsets = (secrets.randbits(32), secrets.randbits(32))

    async def run(self):
        start_ns = time.monotonic_ns()
        video = audio = reports = 0
        while True:
            elapsed_ns = time.monotonic_ns() - start_ns
            if elapsed_ns >= reports * SECOND_NS:
                self._report(start_ns, reports * SECOND_NS)
                reports += 1
            while video * SECOND_NS // self._fps <= elapsed_ns:
                frame, _ = self._video[video % len(self._video)]
                self._peer.send_video(frame, self._offsets[0] + video * 90_000 // self._fps)
                video += 1
            while audio * SECOND_NS // 50 <= elapsed_ns:
                self._peer.send_audio(self._audio[audio % len(self._audio)], self._offsets[1] + audio * 960)
                audio += 1
            await asyncio.sleep(0.004)

    def _report(self, start_ns, at_ns):
        ntp_ns = NTP_OFFSET_NS + start_ns + at_ns
        self._peer.send_report(VIDEO_SSRC, ntp_ns, self._offsets[0] + at_ns * 90_000 // SECOND_NS)
        self._peer.send_report(AUDIO_SSRC, ntp_ns, self._offsets[1] + at_ns * 48_000 // SECOND_NS)


def with_canary_video(frames, canary):
    """VP8 frames with bytes behind their last partition: decoders pass over them, files keep them."""
    return [(data + canary, is_keyframe) for data, is_keyframe in frames]


def with_canary_audio(packets, canary):
    """Opus packets (one frame each) repacked with `canary` as their padding (RFC 6716 section 3.2.5)."""
    return [bytes([p[0] | 3, 0x41, len(canary)]) + p[1:] + canary for p in packets]
