"""A WebRTC client of a few lines: captured offers with its own credentials, ICE, DTLS and SRTP over a wire.

For tests that need a peer but no decoder; `aiortc_client.py` is the one with decoders.
"""

import asyncio
import functools
import random
import re
import struct
from pathlib import Path

from pylibsrtp import Error

from sfu.engine.fake.rtp import FakeRtp
from sfu.sdp import parse
from sfu.transport import (
    Dtls,
    DtlsConnected,
    DtlsFailed,
    DtlsIdentity,
    IceClient,
    IceClientState,
    IceConnected,
    SendDtls,
    SendStun,
    SrtpSessions,
    credentials,
    parse_candidate,
)
from tests.sfu.wires import PATIENCE_S, Wire

CAPTURES = Path(__file__).parent.parent / "fixtures" / "sdp"


@functools.cache
def identity() -> DtlsIdentity:
    """One certificate for all clients of a test run."""
    return DtlsIdentity.generate()


class ConnectFailed(Exception):
    """The client could not connect."""


class MediaClient:
    """One peer connection."""

    def __init__(self, wire: Wire, *, seed: int = 1) -> None:
        self.wire = wire
        self.rng = random.Random(seed)
        self.ufrag, self.pwd = credentials(self.rng)
        self.sessions: SrtpSessions | None = None
        self.received: list[FakeRtp] = []
        self.rtcp: list[bytes] = []
        self.is_closed_by_server = False
        self._ice: IceClient | None = None
        self._dtls: Dtls | None = None
        self._port = 0

    def offer(self, capture: str, *, drop: str = "") -> str:
        """A captured offer with this client's credentials; `drop` is a regex of lines to leave out."""
        return self.sign((CAPTURES / f"{capture}.txt").read_text(), drop=drop)

    def sign(self, sdp: str, *, drop: str = "") -> str:
        """A description with this client's credentials."""
        mine = identity().fingerprint
        sdp = re.sub(r"a=ice-ufrag:\S+", f"a=ice-ufrag:{self.ufrag}", sdp)
        sdp = re.sub(r"a=ice-pwd:\S+", f"a=ice-pwd:{self.pwd}", sdp)
        sdp = re.sub(r"a=fingerprint:.*", f"a=fingerprint:{mine.algorithm} {mine.value}", sdp)
        lines = [line for line in sdp.splitlines() if line and not (drop and re.search(drop, line))]
        return "".join(f"{line}\r\n" for line in lines)

    def answer(self, offer: str) -> str:
        """Accept everything that a server's offer sends."""
        sdp = offer.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
        sdp = sdp.replace("a=ice-lite\r\n", "")
        return self.sign(sdp, drop=r"^a=(ssrc|ssrc-group|msid|candidate|end-of-candidates)")

    async def connect(self, server: str, timeout_s: float = PATIENCE_S) -> None:
        """Connect to what the server's description says.

        Raises:
            ConnectFailed: ICE or DTLS failed.
        """
        media = next(media for media in parse(server).media if not media.is_stopped)
        ours = [parse_candidate(line) for line in media.candidates]
        mine = [line for line in ours if line.protocol == self.wire.kind]
        self._port = next(line.port for line in mine if (":" in line.ip) == (":" in self.wire.ip))
        self.wire.aim(self._port)
        now = asyncio.get_running_loop().time()
        self._ice = self._make_ice((media.ice_ufrag or "", media.ice_pwd or ""), now)
        self._dtls = Dtls(identity(), "client", media.fingerprints, now, keep=True)
        deadline = now + timeout_s
        self._tick()
        while self.sessions is None:
            if asyncio.get_running_loop().time() > deadline:
                raise ConnectFailed("timeout")
            await self.pump(0.02)

    async def move(self, wire: Wire, remote: tuple[str, str], timeout_s: float = PATIENCE_S) -> None:
        """Go on by another wire after an ICE restart, with the keys that there are.

        Raises:
            ConnectFailed: no check was answered.
        """
        self.wire.close()
        self.wire = wire
        self.wire.aim(self._port)
        now = asyncio.get_running_loop().time()
        self._ice = self._make_ice(remote, now)
        self._tick()
        while self._ice.state is not IceClientState.CONNECTED:
            if asyncio.get_running_loop().time() > now + timeout_s:
                raise ConnectFailed("timeout")
            await self.pump(0.02)

    def _make_ice(self, remote: tuple[str, str], now: float) -> IceClient:
        return IceClient(
            local=(self.ufrag, self.pwd),
            remote=remote,
            socket=0,
            ip="127.0.0.1",
            port=9,
            rng=self.rng,
            now=now,
        )

    async def pump(self, for_s: float) -> None:
        """Take what arrives for a while."""
        until = asyncio.get_running_loop().time() + for_s
        while (left := until - asyncio.get_running_loop().time()) > 0:
            data = await self.wire.receive(min(left, 0.02))
            if data is not None:
                self._take(data)
            self._tick()

    def send(self, packet: FakeRtp) -> None:
        """Send RTP."""
        assert self.sessions is not None
        self.wire.send(self.sessions.tx.protect(packet.write()))

    def send_receiver_report(self) -> None:
        """Send the RTCP that proves the keys."""
        assert self.sessions is not None
        self.wire.send(self.sessions.tx.protect_rtcp(struct.pack("!BBHI", 0x80, 201, 1, 1)))

    def _take(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        assert self._ice is not None
        assert self._dtls is not None
        if data[0] < 4:
            self._ice.receive(data, 0, "127.0.0.1", 9, now)
        elif 20 <= data[0] <= 63:
            self._dtls.receive(data, now)
        elif self.sessions is not None:
            self._take_media(data, self.sessions)

    def _take_media(self, data: bytes, sessions: SrtpSessions) -> None:
        try:
            if 192 <= data[1] <= 223:
                self.rtcp.append(sessions.rx.unprotect_rtcp(data))
                return
            packet = FakeRtp.parse(sessions.rx.unprotect(data))
        except Error:
            return
        if packet is not None:
            self.received.append(packet)

    def _tick(self) -> None:
        assert self._ice is not None
        assert self._dtls is not None
        now = asyncio.get_running_loop().time()
        for machine in (self._ice, self._dtls):
            due = machine.deadline()
            if due is not None and now >= due:
                machine.tick(now)
        for effect in self._ice.poll():
            if isinstance(effect, SendStun):
                self.wire.send(effect.data)
            elif isinstance(effect, IceConnected) and self.sessions is None:
                self._dtls.start(now)
        for item in self._dtls.poll():
            if isinstance(item, SendDtls):
                self.wire.send(item.data)
            elif isinstance(item, DtlsConnected):
                self.sessions = item.sessions
            elif isinstance(item, DtlsFailed):
                raise ConnectFailed(f"{item.code}: {item.reason}")
            else:
                self.is_closed_by_server = True

    def close(self) -> None:
        """Say goodbye."""
        if self._dtls is not None:
            self._dtls.close()
            self._tick()
        self.wire.close()
