"""One peer connection's transport: ICE-lite and DTLS over the engine, from the first check to the last ack.

Runs on the event loop's thread. The engine's events come in by `receive`; datagrams and commands go out at
once. Nothing here waits for the remote: what it sends or leaves out moves this peer only.
"""

import asyncio
from dataclasses import replace
from enum import Enum, auto
from typing import Final, assert_never

import structlog

from sfu.alarm import Alarm
from sfu.engine import events
from sfu.engine.types import Ack, TransportId
from sfu.errors import EngineError, NegotiationError, QueueFull
from sfu.route.events import PeerId
from sfu.sdp import DataSection, LocalTransport, RemoteTransport
from sfu.transport.candidates import credentials
from sfu.transport.data_channel import Sent
from sfu.transport.data_side import DataSide
from sfu.transport.dcep import ChannelKind
from sfu.transport.dtls import (
    Dtls,
    DtlsClosed,
    DtlsConnected,
    DtlsData,
    DtlsEffect,
    DtlsFailed,
    DtlsState,
    SendDtls,
)
from sfu.transport.host import PeerHost, PeerListener
from sfu.transport.ice_lite import (
    BindPath,
    ConsentLost,
    IceConnected,
    IceDisconnected,
    IceEffect,
    IceLite,
    Path,
    SendStun,
    UfragsChanged,
    UnbindPath,
)
from sfu.transport.intake import Intake
from sfu.transport.lease import Lease
from sfu.transport.srtp import SrtpSessions

_log = structlog.get_logger("sfu.peer")

_ALERT: Final = 21
# Browsers repeat their checks every 2.5 s (Chromium) to 6 s (Firefox): one that really went sends none.
_FAREWELL_S: Final = 8.0


class PeerState(Enum):
    """How far a peer has come."""

    NEW = auto()
    SECURING = auto()
    CONNECTED = auto()
    FAILED = auto()
    CLOSED = auto()


_ENDED: Final = frozenset({PeerState.FAILED, PeerState.CLOSED})


class Peer:
    """Joins ice_lite, dtls and the engine for one peer connection."""

    def __init__(self, peer: PeerId, worker: int, host: PeerHost, listener: PeerListener) -> None:
        self.id = peer
        self.worker = worker
        self.state = PeerState.NEW
        self._host = host
        self._listener = listener
        self.local = self._make_local(host.rng.getrandbits(61))
        self._ice: IceLite | None = None
        self._dtls: Dtls | None = None
        self._dtls_path: Path | None = None
        self._remote: RemoteTransport | None = None
        self._ufrags_acks: list[Ack] = []
        self._sessions: SrtpSessions | None = None
        self._join_by: float | None = None
        self._farewell_by: float | None = None
        self._lease = Lease(host.engine, TransportId(peer))
        self._alarm = Alarm(self._tick)
        self._intake = Intake(host.counters, _now())
        self._data = DataSide(
            host.config,
            host.counters,
            send=self._send_application,
            on_message=lambda kind, message: listener.on_data(peer, kind, message),
            is_ready=lambda: listener.takes_data,
        )

    @property
    def transport(self) -> TransportId:
        """The engine's name of this peer: the same number."""
        return TransportId(self.id)

    @property
    def is_connected(self) -> bool:
        """Whether media can flow."""
        return self.state is PeerState.CONNECTED

    @property
    def is_ended(self) -> bool:
        """Whether the peer has failed or is closed."""
        return self.state in _ENDED

    def _make_local(self, session_id: int) -> LocalTransport:
        ufrag, pwd = credentials(self._host.rng)
        return LocalTransport(
            ufrag=ufrag,
            pwd=pwd,
            fingerprint=self._host.identity.fingerprint,
            candidates=self._host.candidates[self.worker],
            session_id=session_id,
        )

    def open(self) -> Ack:
        """Make the transport in the engine."""
        return self._host.engine.add_transport(self.transport, self.worker, [self.local.ufrag])

    def begin(self) -> IceLite:
        """Expect checks: a remote that stays away from now on loses its consent in time."""
        if self._ice is None:
            self._ice = IceLite(
                ufrag=self.local.ufrag,
                pwd=self.local.pwd,
                now=_now(),
                consent_s=self._host.config.consent_timeout_s,
            )
            self._arm()
        return self._ice

    def expect_join(self) -> None:
        """From now the remote has `join_timeout_s` to connect."""
        self.begin()
        if self._join_by is None and self.state is PeerState.NEW:
            self._join_by = _now() + self._host.config.join_timeout_s
            self._arm()

    def set_remote(self, remote: RemoteTransport) -> None:
        """Take what the remote's description says of its transport.

        Raises:
            NegotiationError: it contradicts what an earlier description said.
        """
        known = self._remote
        if known is not None and (
            known.dtls_role != remote.dtls_role or set(known.fingerprints) != set(remote.fingerprints)
        ):
            raise NegotiationError("the DTLS certificate or role of a running peer cannot change")
        self._remote = remote
        if self._dtls is not None:
            # The hello may arrive before the answer: the fingerprint is compared when both are there.
            self._dtls.set_fingerprints(remote.fingerprints)
            self._run()
        elif remote.dtls_role == "client" and self._ice is not None and self._ice.selected is not None:
            self._begin_dtls(_now())
            self._run()

    @property
    def can_carry_data(self) -> bool:
        """Whether data channels can be agreed to now: not once the DTLS association was freed."""
        return self._dtls is None or self._dtls.can_keep

    def set_data(self, section: DataSection | None) -> None:
        """Take what was agreed of data channels; None ends those there are."""
        self._data.agree(section)
        if self._data.is_wanted and self._dtls is not None:
            self._dtls.keep()
            if self._sessions is not None:
                self._data.begin(self._dtls.role)

    def send_data(self, kind: ChannelKind, message: bytes) -> Sent:
        """Send a message on a channel that the peer has opened. Never raises."""
        return self._data.send(kind, message)

    def _send_application(self, data: bytes) -> None:
        dtls = self._dtls
        if dtls is None or dtls.state is not DtlsState.CONNECTED:
            return
        dtls.send(data, _now())
        for effect in dtls.poll():
            self._run_dtls(effect)

    def is_remote_generation(self, ufrag: str) -> bool:
        """Whether the remote's present ICE generation goes by this ufrag."""
        return self._remote is not None and self._remote.ufrag == ufrag

    def next_local(self) -> LocalTransport:
        """Fresh credentials for an ICE restart; `restart` puts them to use."""
        return self._make_local(self.local.session_id)

    def restart(self, local: LocalTransport, *, remote_ufrag: str | None = None) -> list[Ack]:
        """Accept checks with new credentials beside the old, until one of them succeeds.

        The remote is told them when they are acknowledged: a TCP connection whose first check nobody expects
        is closed.
        """
        self.local = local
        if remote_ufrag is not None and self._remote is not None:
            self._remote = replace(self._remote, ufrag=remote_ufrag)
        if self._ice is None:
            return [self._host.engine.set_ufrags(self.transport, [local.ufrag])]
        self._ice.restart(local.ufrag, local.pwd, _now())
        self._run()
        acks, self._ufrags_acks = self._ufrags_acks, []
        return acks

    def receive(self, event: events.TransportEvent) -> None:
        """Take one of the engine's events for this transport; never raises."""
        if self.is_ended:
            return
        try:
            self._receive(event, _now())
        except Exception:  # noqa: BLE001 - whatever a datagram broke, it breaks this peer only
            _log.exception("peer_broke", peer=self.id)
            self.fail("internal")

    def _receive(self, event: events.TransportEvent, now: float) -> None:
        match event:
            case events.Stun():
                if self._intake.allows_check(now):
                    self.begin().receive(event.data, event.socket, event.ip, event.port, now, event.kind)
                    self._run()
            case events.Dtls():
                if self._intake.allows_dtls(now, carries_data=self._data.is_wanted):
                    self._receive_dtls(event, now)
            case events.PathClosed():
                self.begin().lose(Path(event.socket, event.ip, event.port, event.kind))
                self._run()
            case events.Proven():
                if self._dtls is not None:
                    self._dtls.proven()
            case events.Idle():
                self._listener.on_idle(self.id)
            case events.Active():
                self._listener.on_active(self.id)
            case events.Bandwidth():
                self._listener.on_bandwidth(self.id, event.bps)
            case _ as never:
                assert_never(never)

    def _receive_dtls(self, event: events.Dtls, now: float) -> None:
        self._dtls_path = Path(event.socket, event.ip, event.port, event.kind)
        dtls = self._begin_dtls(now)
        is_alert = event.data[:1] == bytes([_ALERT])
        if self.is_connected and dtls.is_freed and is_alert and self._farewell_by is None:
            # Most likely a close_notify, but the keys that could tell are gone: whoever is still there shows
            # it by its next check.
            self._farewell_by = now + _FAREWELL_S
        dtls.receive(event.data, now)
        self._run()

    def _begin_dtls(self, now: float) -> Dtls:
        if self._dtls is None:
            role = "server" if self._remote is None else self._remote.dtls_role
            fingerprints = None if self._remote is None else self._remote.fingerprints
            self._dtls = Dtls(
                self._host.identity,
                role,
                fingerprints,
                now,
                handshake_s=self._host.config.handshake_timeout_s,
                keep=self._data.is_wanted,
            )
            if role == "client":
                self._dtls.start(now)
        return self._dtls

    def _run(self) -> None:
        """Carry out what ICE and DTLS want, and set the next alarm."""
        try:
            if self._ice is not None:
                for ice_effect in self._ice.poll():
                    self._run_ice(ice_effect)
            if self._dtls is not None:
                for dtls_effect in self._dtls.poll():
                    self._run_dtls(dtls_effect)
            self._lease.settle(self._settled)
        except EngineError as error:
            self.fail(f"engine: {error}")
        if not self.is_ended:
            self._arm()

    def hear(self, age_s: float) -> None:
        """Take that the engine answered a check so long ago."""
        if self._ice is not None:
            self._ice.hear(_now() - age_s)

    @property
    def _settled(self) -> tuple[str, str] | None:
        """Credentials by which checks have nothing to tell but that the peer is there."""
        if self._ice is None or not self.is_connected or self._farewell_by is not None:
            return None
        return self._ice.settled

    def _run_ice(self, effect: IceEffect) -> None:
        engine = self._host.engine
        match effect:
            case SendStun():
                self._send(Path(effect.socket, effect.ip, effect.port, effect.kind), effect.data)
            case BindPath():
                engine.bind_path(
                    self.transport,
                    effect.socket,
                    effect.ip,
                    effect.port,
                    selected=effect.selected,
                    kind=effect.kind,
                )
            case UnbindPath():
                engine.unbind_path(self.transport, effect.socket, effect.ip, effect.port, kind=effect.kind)
            case UfragsChanged():
                self._ufrags_acks = [engine.set_ufrags(self.transport, effect.ufrags)]
            case IceConnected():
                if self._remote is not None and self._remote.dtls_role == "client":
                    self._begin_dtls(_now())
            case IceDisconnected():
                _log.debug("peer_disconnected", peer=self.id)
            case ConsentLost():
                self.fail("consent_lost")
            case _ as never:
                assert_never(never)

    def _run_dtls(self, effect: DtlsEffect) -> None:
        match effect:
            case SendDtls():
                self._send_dtls(effect.data)
            case DtlsConnected():
                self.state = PeerState.SECURING
                self._sessions = effect.sessions
                if self._data.is_wanted and self._dtls is not None:
                    self._data.begin(self._dtls.role)
                self._host.tasks.start(self._secure(effect.sessions), name=f"secure {self.id}")
            case DtlsFailed():
                self.fail(f"{effect.code}: {effect.reason}")
            case DtlsClosed():
                self.fail("closed_by_peer")
            case DtlsData():
                self._data.receive(effect.data)
            case _ as never:
                assert_never(never)

    def _send_dtls(self, data: bytes) -> None:
        # Before the nomination the hello comes on some bound path: the answer goes back there.
        selected = None if self._ice is None else self._ice.selected
        path = selected or self._dtls_path
        if path is not None:
            self._send(path, data)

    def _send(self, path: Path, data: bytes) -> None:
        try:
            self._host.engine.send(self.worker, path.socket, path.ip, path.port, data, kind=path.kind)
        except QueueFull:
            self._host.counters["datagram_not_sent"] += 1

    async def _secure(self, srtp: SrtpSessions) -> None:
        try:
            async with asyncio.timeout(self._host.config.command_timeout_s):
                await self._host.engine.set_srtp(
                    self.transport, srtp.rx_address, srtp.tx_address, srtp.profile, srtp.masters
                )
        except (EngineError, TimeoutError) as error:
            self.fail(f"engine: {error or 'timeout'}")
            return
        if self.state is PeerState.SECURING:
            self.state = PeerState.CONNECTED
            self._join_by = None
            self._run()
        if self.state is PeerState.CONNECTED:
            self._listener.on_connected(self.id)

    def fail(self, reason: str) -> None:
        """End this peer's usefulness and tell the listener, once."""
        if self.is_ended:
            return
        self.state = PeerState.FAILED
        self._alarm.cancel()
        self._data.agree(None)
        self._listener.on_failed(self.id, reason)

    def _arm(self) -> None:
        deadlines = [self._join_by, self._farewell_by]
        if self._ice is not None:
            deadlines.append(self._ice.deadline())
        if self._dtls is not None:
            deadlines.append(self._dtls.deadline())
        self._alarm.set(min((d for d in deadlines if d is not None), default=None))

    def _tick(self) -> None:
        if self.is_ended:
            return
        now = _now()
        if self._join_by is not None and now >= self._join_by:
            self.fail("join_timeout")
            return
        if self._farewell_by is not None and now >= self._farewell_by:
            if self.begin().heard_at <= self._farewell_by - _FAREWELL_S:
                self.fail("closed_by_peer")
                return
            self._farewell_by = None
        try:
            for machine in (self._ice, self._dtls):
                if machine is not None:
                    machine.tick(now)
            self._run()
        except Exception:  # noqa: BLE001 - a broken timer breaks this peer only
            _log.exception("peer_broke", peer=self.id)
            self.fail("internal")

    async def close(self) -> None:
        """Say goodbye and remove the transport; the keys live until the engine has let go of them."""
        if self.state is PeerState.CLOSED:
            return
        self.state = PeerState.CLOSED
        self._alarm.cancel()
        self._data.agree(None)
        self._goodbye()
        if self._ice is not None:
            for reason, count in self._ice.dropped.items():
                self._host.counters[f"stun_{reason}"] += count
        sessions, self._sessions, self._dtls = self._sessions, None, None
        is_removed = False
        try:
            await self._host.remove_transport(self.transport)
            is_removed = True
        except (EngineError, TimeoutError) as error:
            _log.warning("peer_removal_failed", peer=self.id, reason=str(error) or "timeout")
        finally:
            if sessions is not None and not is_removed:
                self._host.kept.append(sessions)

    def _goodbye(self) -> None:
        if self._dtls is not None:
            self._dtls.close()
            for effect in self._dtls.poll():
                if isinstance(effect, SendDtls):
                    self._send_dtls(effect.data)


def _now() -> float:
    return asyncio.get_running_loop().time()
