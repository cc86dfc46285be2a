"""One peer connection of a measurement over a socket of its own: ICE, DTLS and SRTP are the real ones."""

import asyncio
import re
import secrets
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from sfu.sdp import Fingerprint
from sfu.transport import (
    ClientConnected,
    ClientLost,
    ClientPeer,
    ClientSend,
    DtlsIdentity,
    SrtpSessions,
    credentials,
)

_CONNECTS_WITHIN_S: Final = 10.0
_rng = SystemRandom()


class PeerLink(asyncio.DatagramProtocol):
    """Offers, and connects to where the answer says.

    Args:
        take_rtp, take_rtcp: get what arrives, decrypted.
    """

    def __init__(
        self,
        *,
        take_rtp: Callable[[bytes], None] | None = None,
        take_rtcp: Callable[[bytes], None] | None = None,
    ) -> None:
        self._take_rtp = take_rtp
        self._take_rtcp = take_rtcp
        self._identity = DtlsIdentity.generate()
        self._ufrag, self._pwd = credentials(_rng)
        self._transport: asyncio.DatagramTransport | None = None
        self._peer: ClientPeer | None = None
        self._sessions: SrtpSessions | None = None
        self._connected = asyncio.Event()
        self._failure = ""
        self._timer: asyncio.TimerHandle | None = None

    def session_lines(self) -> list[str]:
        """How an offer of two sections begins."""
        return [
            "v=0",
            f"o=- {secrets.randbits(60)} 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0 1",
        ]

    def media_lines(self, direction: str) -> list[str]:
        """What each section of an offer has."""
        fingerprint = self._identity.fingerprint
        return [
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._pwd}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            "a=setup:actpass",
            f"a={direction}",
            "a=rtcp-mux",
        ]

    async def open(self, answer: str) -> None:
        """Connect.

        Raises:
            RuntimeError: it does not come about.
            TimeoutError: nor in 10 s.
        """
        loop = asyncio.get_running_loop()
        algorithm, value = _find(answer, "fingerprint").split()
        candidates = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", answer, re.IGNORECASE)
        ip, port = next((ip, int(port)) for ip, port in candidates if ":" not in ip)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=(ip, port))
        self._peer = ClientPeer(
            identity=self._identity,
            local=(self._ufrag, self._pwd),
            remote=(_find(answer, "ice-ufrag"), _find(answer, "ice-pwd")),
            socket=0,
            ip=ip,
            port=port,
            role="client",
            fingerprints=[Fingerprint(algorithm.lower(), value.upper())],
            rng=_rng,
            now=loop.time(),
        )
        self._step()
        async with asyncio.timeout(_CONNECTS_WITHIN_S):
            await self._connected.wait()
        if self._failure:
            raise RuntimeError(self._failure)

    @property
    def is_closed(self) -> bool:
        """Whether it can send no more."""
        return self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Send and take no more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet as it goes out."""
        return b"" if self._sessions is None else bytes(self._sessions.tx.protect(packet))

    def send(self, protected: bytes) -> None:
        """Send what `protect` made."""
        if self._transport is not None and protected and not self.is_closed:
            self._transport.sendto(protected)

    def send_rtcp(self, compound: bytes) -> None:
        """Send RTCP."""
        if self._sessions is not None:
            self.send(self._sessions.tx.protect_rtcp(compound))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one datagram of the server."""
        if self._peer is None:
            return
        if self._sessions is not None and len(data) > 1 and 128 <= data[0] < 192:
            self._take_media(self._sessions, data)
            return
        self._peer.receive(data, 0, addr[0], addr[1], asyncio.get_running_loop().time())
        self._step()

    def error_received(self, exc: Exception) -> None:
        """Take what the socket reports."""
        self._fail(str(exc))

    def _take_media(self, sessions: SrtpSessions, data: bytes) -> None:
        if 192 <= data[1] <= 223:
            if self._take_rtcp is not None:
                self._take_rtcp(sessions.rx.unprotect_rtcp(data))
        elif self._take_rtp is not None:
            self._take_rtp(sessions.rx.unprotect(data))

    def _step(self) -> None:
        """Carry out what the connection wants, and wake at its next deadline."""
        peer = self._peer
        if peer is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = peer.deadline()
        if due is not None and now >= due:
            peer.tick(now)
        for effect in peer.poll():
            match effect:
                case ClientSend(data):
                    self.send(data)
                case ClientConnected(sessions):
                    self._sessions = sessions
                    self._connected.set()
                case ClientLost(reason):
                    self._fail(reason)
        due = peer.deadline()
        if self._timer is not None:
            self._timer.cancel()
        if due is not None and not self.is_closed:
            self._timer = loop.call_at(max(due, now + 0.001), self._step)

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        self._connected.set()


def _find(sdp: str, name: str) -> str:
    found = re.search(rf"^a={name}:(.+?)\r?$", sdp, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the answer has no a={name}")
    return found[1]
