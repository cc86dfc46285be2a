"""One peer connection of the load: ICE and DTLS here, its packets in the native client."""

import asyncio
import secrets
from typing import Final

from bench import descriptions, plan
from bench.node import Node
from sfu import EngineError
from sfu.engine import Dtls as DtlsDatagram
from sfu.engine import Stun, TrackId
from sfu.sdp import Fingerprint
from sfu.transport import (
    ConsentLost,
    Dtls,
    DtlsClosed,
    DtlsConnected,
    DtlsFailed,
    DtlsIdentity,
    IceClient,
    IceConnected,
    IceFailed,
    SendDtls,
    SendStun,
    SrtpSessions,
    credentials,
)

_CONNECTS_WITHIN_S: Final = 20.0
_rng = secrets.SystemRandom()


class LineLost(Exception):
    """The peer connection did not come about, or broke; says why."""


class Line:
    """Made with a socket of its own; `connect` to what the server described, `close` in the end.

    `hello_after_s`: how long after the first answered check the DTLS hello leaves, for servers that lose one
    that comes at once (a browser repeats it after 50 ms, OpenSSL only after a second).
    """

    def __init__(self, node: Node, identity: DtlsIdentity, *, hello_after_s: float = 0.0) -> None:
        self._hello_after_s = hello_after_s
        self._node = node
        self._identity = identity
        self._engine = node.engine
        self.transport, self._socket, (ip, port) = node.take(self)
        self._ufrag, self._pwd = credentials(_rng)
        self.near = descriptions.Near(self._ufrag, self._pwd, identity.fingerprint, ip, port)
        self._ice: IceClient | None = None
        self._dtls: Dtls | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions: SrtpSessions | None = None
        self._is_made = False
        self._is_closed = False
        self.lost = ""
        """Why the connection broke; empty while it stands."""

    async def connect(self, far: descriptions.Far) -> None:
        """Connect: ICE, DTLS, keys.

        Raises:
            LineLost: it did not work in 20 s; says why.
        """
        now = _now()
        self._ice = IceClient(
            local=(self._ufrag, self._pwd),
            remote=(far.ufrag, far.pwd),
            socket=self._socket,
            ip=far.ip,
            port=far.port,
            rng=_rng,
            now=now,
        )
        fingerprints = [Fingerprint(item.algorithm, item.value) for item in far.fingerprints]
        self._dtls = Dtls(self._identity, far.role, fingerprints, now)
        ack = self._engine.add_client_transport(
            self.transport,
            0,
            self._socket,
            far.ip,
            far.port,
            loss=self._node.loss,
            rtx_pt=far.rtx_pt if self._node.loss else -1,
        )
        self._is_made = True
        self._engine.set_send_extensions(self.transport, far.extensions)
        self._step()  # the first check follows in the same queue
        await ack
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN_S):
                await asyncio.shield(self._connected)
        except TimeoutError as error:
            raise LineLost(
                f"transport {self.transport}: not connected in {_CONNECTS_WITHIN_S:g} s"
            ) from error

    async def publish(self, ssrcs: tuple[int, int]) -> None:
        """Send a camera with sound."""
        audio, video = ssrcs
        await self._engine.add_generator(
            TrackId(video),
            self.transport,
            video,
            plan.VP8_PT,
            90_000,
            self._node.frames_per_s * plan.VIDEO_BURST,
            plan.VIDEO_BURST,
            plan.VIDEO_BYTES,
            descriptions.VIDEO_MID,
            "vp8",
        )
        await self._engine.add_generator(
            TrackId(audio),
            self.transport,
            audio,
            plan.OPUS_PT,
            48_000,
            plan.AUDIO_PER_S,
            1,
            plan.AUDIO_BYTES,
            descriptions.AUDIO_MID,
            "opus",
        )

    async def stop_decrypting(self) -> None:
        """Only count from now on: what a generator must not spend its own CPU on."""
        if self._sessions is not None:
            await self._engine.set_srtp(self.transport, 0, self._sessions.tx_address, self._sessions.profile)

    async def close(self) -> None:
        """Say goodbye and give the socket back. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._dtls is not None:
            self._dtls.close()
            self._send_dtls()
        if not self._connected.done():
            self._connected.cancel()
        if self._is_made:
            await self._engine.remove_transport(self.transport)
        self._sessions = None
        self._node.give_back(self.transport, self._socket)

    def receive(self, event: Stun | DtlsDatagram) -> None:
        """Take STUN or DTLS from the server."""
        if self._ice is None or self._dtls is None or self._is_closed:
            return
        if isinstance(event, Stun):
            self._ice.receive(event.data, event.socket, event.ip, event.port, _now())
        else:
            self._dtls.receive(event.data, _now())
        self._step()

    def _step(self) -> None:
        """Carry out what ICE and DTLS want, and wake at the next deadline."""
        if self._ice is None or self._dtls is None or self._is_closed:
            return
        now = _now()
        for machine in (self._ice, self._dtls):
            due = machine.deadline()
            if due is not None and now >= due:
                machine.tick(now)
        self._run_ice(self._ice, self._dtls, now)
        self._run_dtls(self._dtls)
        deadlines = [due for due in (self._ice.deadline(), self._dtls.deadline()) if due is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(min(deadlines), self._step) if deadlines else None

    def _run_ice(self, ice: IceClient, dtls: Dtls, now: float) -> None:
        for effect in ice.poll():
            match effect:
                case SendStun():
                    self._engine.send(0, effect.socket, effect.ip, effect.port, effect.data)
                case IceConnected():
                    if self._hello_after_s == 0:
                        dtls.start(now)
                    else:
                        self._node.tasks.start(self._say_hello(dtls), f"hello {self.transport}")
                case IceFailed():
                    self._lose(effect.reason)
                case ConsentLost():
                    self._lose("consent lost")

    def _run_dtls(self, dtls: Dtls) -> None:
        for effect in dtls.poll():
            match effect:
                case SendDtls():
                    self._send(effect.data)
                case DtlsConnected():
                    self._sessions = effect.sessions
                    self._node.tasks.start(self._secure(effect.sessions), f"secure {self.transport}")
                case DtlsFailed():
                    self._lose(effect.reason)
                case DtlsClosed():
                    self._lose("closed by the server")
                case _:
                    pass

    def _send_dtls(self) -> None:
        if self._dtls is not None:
            for effect in self._dtls.poll():
                if isinstance(effect, SendDtls):
                    self._send(effect.data)

    def _send(self, data: bytes) -> None:
        if self._ice is not None:
            self._engine.send(0, *self._ice.address, data)

    async def _say_hello(self, dtls: Dtls) -> None:
        await asyncio.sleep(self._hello_after_s)
        dtls.start(_now())
        self._step()

    async def _secure(self, sessions: SrtpSessions) -> None:
        try:
            await self._engine.set_srtp(
                self.transport, sessions.rx_address, sessions.tx_address, sessions.profile
            )
        except EngineError as error:
            self._lose(str(error))
            return
        if self._dtls is not None and not self._connected.done():
            self._connected.set_result(None)

    def _lose(self, reason: str) -> None:
        self.lost = reason
        if not self._connected.done():
            self._connected.set_exception(LineLost(f"transport {self.transport}: {reason}"))


def _now() -> float:
    return asyncio.get_running_loop().time()
