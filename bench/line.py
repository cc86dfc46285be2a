"""One peer connection of the load: ICE and DTLS here, its packets in the native client."""

import asyncio
import secrets
import time
from typing import Final

from bench import descriptions, plan
from bench.node import Node
from bench.steps import JoinSteps
from sfu import EngineError
from sfu.engine import Dtls, Stun, TrackId
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
        self._peer: ClientPeer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sessions: SrtpSessions | None = None
        self._steps = JoinSteps()
        self._is_made = False
        self._is_closed = False
        self.lost = ""
        """Why the connection broke; empty while it stands."""

    async def connect(self, far: descriptions.Far, steps: JoinSteps | None = None) -> None:
        """Connect: ICE, DTLS, keys; when each was done is noted in `steps`.

        Raises:
            LineLost: it did not work in 20 s; says why.
        """
        self._steps = steps or self._steps
        self._peer = ClientPeer(
            identity=self._identity,
            local=(self._ufrag, self._pwd),
            remote=(far.ufrag, far.pwd),
            socket=self._socket,
            ip=far.ip,
            port=far.port,
            role=far.role,
            fingerprints=[Fingerprint(item.algorithm, item.value) for item in far.fingerprints],
            rng=_rng,
            now=_now(),
            hello_after_s=self._hello_after_s,
        )
        ack = self._engine.add_client_transport(
            self.transport,
            0,
            self._socket,
            far.ip,
            far.port,
            loss=self._node.loss,
            rtx_pt=far.rtx_pt if self._node.terms.with_rtx else -1,
        )
        self._is_made = True
        self._engine.set_send_extensions(self.transport, far.extensions)
        if self._node.terms.with_twcc:
            self._engine.set_receive_extensions(self.transport, far.extensions)
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
        """Send a camera, in all its encodings, with sound."""
        audio, video = ssrcs
        for place, encoding in enumerate(self._node.encodings):
            ssrc = plan.encoding_ssrc(video, place)
            await self._engine.add_generator(
                TrackId(ssrc),
                self.transport,
                ssrc,
                plan.VP8_PT,
                90_000,
                self._node.frames_per_s * encoding.burst,
                encoding.burst,
                plan.VIDEO_BYTES,
                descriptions.VIDEO_MID,
                "vp8",
                rid=encoding.rid,
                height=encoding.height,
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
        if self._peer is not None:
            self._peer.close()
            self._run(self._peer)
        if not self._connected.done():
            self._connected.cancel()
        if self._is_made:
            await self._engine.remove_transport(self.transport)
        self._sessions = None
        self._node.give_back(self.transport, self._socket)

    def receive(self, event: Stun | Dtls) -> None:
        """Take STUN or DTLS from the server."""
        if self._peer is not None and not self._is_closed:
            self._peer.receive(event.data, event.socket, event.ip, event.port, _now())
            if self._peer.is_answered and not self._steps.checked:
                self._steps.checked = time.monotonic_ns()
            self._step()

    def _step(self) -> None:
        """Carry out what the peer wants, and wake at its next deadline."""
        if self._peer is None or self._is_closed:
            return
        self._peer.tick(_now())
        self._run(self._peer)
        if self._timer is not None:
            self._timer.cancel()
        due = self._peer.deadline()
        self._timer = None if due is None else asyncio.get_running_loop().call_at(due, self._step)

    def _run(self, peer: ClientPeer) -> None:
        for effect in peer.poll():
            match effect:
                case ClientSend():
                    self._engine.send(0, *peer.address, effect.data)
                case ClientConnected():
                    self._steps.agreed = time.monotonic_ns()
                    self._sessions = effect.sessions
                    self._node.tasks.start(self._secure(effect.sessions), f"secure {self.transport}")
                case ClientLost():
                    self._lose(effect.reason)

    async def _secure(self, sessions: SrtpSessions) -> None:
        try:
            await self._engine.set_srtp(
                self.transport, sessions.rx_address, sessions.tx_address, sessions.profile
            )
        except EngineError as error:
            self._lose(str(error))
            return
        self._steps.keyed = time.monotonic_ns()
        if not self._connected.done():
            self._connected.set_result(None)

    def _lose(self, reason: str) -> None:
        self.lost = reason
        if not self._connected.done():
            self._connected.set_exception(LineLost(f"transport {self.transport}: {reason}"))


def _now() -> float:
    return asyncio.get_running_loop().time()
