"""One peer connection as the offering, controlling side: ICE, DTLS and SRTP over one candidate.

Runs on the event loop's thread.
"""

import asyncio
import contextlib
import random
from collections import deque
from time import perf_counter
from typing import Final, Literal, assert_never

from pylibsrtp import Error as SrtpError

from sfu.errors import SfuError
from sfu.probe.wire import TcpWire, UdpWire, open_wire
from sfu.sdp import Media, parse
from sfu.transport.candidates import RemoteCandidate, credentials
from sfu.transport.client_peer import ClientConnected, ClientEffect, ClientLost, ClientPeer, ClientSend
from sfu.transport.dtls_identity import DtlsIdentity
from sfu.transport.srtp import SrtpSessions
from sfu.wire import DatagramKind, classify

__all__ = ["Caller", "CallerFailed"]

OPUS_PT: Final = 111
_SSRC: Final = 0x70726F62
_KEPT: Final = 256
_LEAST_WAIT_S: Final = 0.001


class CallerFailed(SfuError):
    """The connection does not come about; the text says at which step."""

    code = "probe_failed"


class Caller:
    """Offers one audio section, connects to the answer, sends or receives Opus packets."""

    def __init__(self, identity: DtlsIdentity, direction: Literal["sendonly", "recvonly"]) -> None:
        self._identity = identity
        self._direction = direction
        self._rng = random.SystemRandom()
        self._credentials = credentials(self._rng)
        self._wire: UdpWire | TcpWire | None = None
        self._peer: ClientPeer | None = None
        self._sessions: SrtpSessions | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ready: asyncio.Future[None] | None = None
        self._address = ("", 0)
        self._seq = 0
        self.received: deque[tuple[float, bytes]] = deque(maxlen=_KEPT)
        """Payloads of RTP packets with the `perf_counter` of their coming (the loop's time is too coarse)."""

    def offer(self) -> str:
        """The description to be answered."""
        ufrag, pwd = self._credentials
        fingerprint = self._identity.fingerprint
        lines = [
            "v=0",
            f"o=- {self._rng.getrandbits(61)} 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS_PT}",
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{ufrag}",
            f"a=ice-pwd:{pwd}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            "a=setup:actpass",
            "a=mid:0",
            f"a={self._direction}",
            "a=rtcp-mux",
            f"a=rtpmap:{OPUS_PT} opus/48000/2",
        ]
        if self._direction == "sendonly":
            lines.append(f"a=ssrc:{_SSRC} cname:probe")
        return "".join(f"{line}\r\n" for line in lines)

    async def connect(self, answer: str, candidate: RemoteCandidate, timeout_s: float) -> None:
        """Connect to one candidate of an answer.

        Raises:
            CallerFailed: it does not come about in time.
        """
        media = parse(answer).media[0]
        self._ready = asyncio.get_running_loop().create_future()
        kind: Literal["udp", "tcp"] = "tcp" if candidate.protocol == "tcp" else "udp"
        try:
            async with asyncio.timeout(timeout_s):
                self._wire = await open_wire(kind, candidate.ip, candidate.port, self._receive)
                self._begin(media, candidate)
                await self._ready
        except TimeoutError:
            raise CallerFailed(self._stage()) from None
        except OSError as error:
            raise CallerFailed(error.strerror or str(error)) from error

    def _begin(self, media: Media, candidate: RemoteCandidate) -> None:
        self._address = (candidate.ip, candidate.port)
        self._peer = ClientPeer(
            identity=self._identity,
            local=self._credentials,
            remote=(media.ice_ufrag or "", media.ice_pwd or ""),
            socket=0,
            ip=candidate.ip,
            port=candidate.port,
            role="client",
            fingerprints=media.fingerprints,
            rng=self._rng,
            now=asyncio.get_running_loop().time(),
        )
        self._step()

    def _stage(self) -> str:
        if self._wire is None:
            return "no connection within the time"
        if self._peer is not None and self._peer.is_answered:
            return "connectivity checks are answered, the DTLS handshake does not end"
        return "no answer to any connectivity check"

    def send(self, payload: bytes) -> None:
        """Send one Opus packet."""
        if self._sessions is None or self._wire is None:
            return
        self._seq += 1
        header = bytes([0x80, OPUS_PT]) + (self._seq & 0xFFFF).to_bytes(2, "big")
        header += (self._seq * 960 & 0xFFFFFFFF).to_bytes(4, "big") + _SSRC.to_bytes(4, "big")
        self._wire.send(self._sessions.tx.protect(header + payload))

    def prove(self) -> None:
        """Send a receiver report: the other side learns that the keys are here."""
        if self._sessions is not None and self._wire is not None:
            report = bytes([0x80, 201, 0, 1]) + _SSRC.to_bytes(4, "big")
            self._wire.send(self._sessions.tx.protect_rtcp(report))

    def _receive(self, data: bytes) -> None:
        if self._peer is None:
            return
        if classify(data) is not DatagramKind.RTP:
            self._peer.receive(data, 0, *self._address, asyncio.get_running_loop().time())
            self._step()
        elif self._sessions is not None:
            with contextlib.suppress(SrtpError):
                self.received.append((perf_counter(), self._sessions.rx.unprotect(data)[12:]))

    def _step(self) -> None:
        """Carry out what the peer wants, and wake at its next deadline."""
        if self._peer is None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._peer.tick(now)
        for effect in self._peer.poll():
            self._run(effect)
        self._disarm()
        due = self._peer.deadline()
        if due is not None:
            self._timer = loop.call_at(max(due, now + _LEAST_WAIT_S), self._step)

    def _run(self, effect: ClientEffect) -> None:
        match effect:
            case ClientSend():
                if self._wire is not None:
                    self._wire.send(effect.data)
            case ClientConnected():
                self._sessions = effect.sessions
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case ClientLost():
                self._fail(effect.reason)
            case _ as never:
                assert_never(never)

    def _fail(self, reason: str) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(CallerFailed(reason))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Say goodbye and close the socket."""
        self._disarm()
        if self._peer is not None:
            self._peer.close()
            for effect in self._peer.poll():
                self._run(effect)
            self._peer = None
        if self._wire is not None:
            self._wire.close()
