"""DTLS without I/O: one peer's handshake, its SRTP keys, and its goodbye.

Datagrams go in by `receive`, effects come out of `poll`. It must see only datagrams from an address that ICE
has bound (a stranger's ClientHello would end the handshake); nothing is trusted, and no key leaves, before
the peer's certificate equals the fingerprint of its description. Runs on the event loop's thread (pyOpenSSL
connections are not for two threads). Retransmission follows OpenSSL's own clock; every other deadline
follows the `now` given.

    new --first datagram / start--> connecting --fingerprint, keys--> connected --close_notify / close-->
    closed
                                        +-------- any error, deadline, too many bytes --------> failed

Source: RFC 6347 (DTLS 1.2), RFC 5764 (DTLS-SRTP), RFC 8122 (fingerprints), RFC 8827 section 6.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from OpenSSL import SSL

from sfu.sdp.model import Fingerprint
from sfu.sdp.negotiate import DtlsRole
from sfu.transport import srtp
from sfu.transport.dtls_identity import DtlsIdentity, is_of
from sfu.transport.dtls_records import MTU, RECORD_HEADER, datagrams
from sfu.transport.srtp import SrtpSessions

__all__ = [
    "MTU",
    "Dtls",
    "DtlsClosed",
    "DtlsConnected",
    "DtlsData",
    "DtlsEffect",
    "DtlsFailed",
    "DtlsIdentity",
    "DtlsState",
    "SendDtls",
    "SrtpSessions",
]

_MAX_DATAGRAM: Final = 4_096
_MAX_HANDSHAKE_BYTES: Final = 65_536
_LEAST_CHARGE: Final = 64
"""What the smallest datagram counts against the handshake's bytes, so that tiny ones are bounded too."""
_LEAST_WAIT_S: Final = 0.01
_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"


@dataclass(frozen=True, slots=True)
class SendDtls:
    """Send a datagram on the peer's selected path, or before a nomination to where its last one came from."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DtlsConnected:
    """The peer is who its description says, and these are the keys."""

    sessions: SrtpSessions


@dataclass(frozen=True, slots=True)
class DtlsFailed:
    """No connection; `code` is stable, `reason` a sentence for the log and the API."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class DtlsClosed:
    """The peer said goodbye."""


@dataclass(frozen=True, slots=True)
class DtlsData:
    """Application data (a data channel's SCTP packet)."""

    data: bytes


DtlsEffect = SendDtls | DtlsConnected | DtlsFailed | DtlsClosed | DtlsData


class DtlsState(Enum):
    """Where the association stands."""

    NEW = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    CLOSED = auto()
    FAILED = auto()


class Dtls:
    """One peer's association.

    Args:
        identity: the process's.
        role: "server" except against peers that are server themselves.
        fingerprints: of the peer's description; None while its answer is on its way (`set_fingerprints`).
        now: the handshake's time begins here: make the object when the first datagram comes.
        handshake_s: until the keys must be there.
        keep: keep the association for data channels; otherwise `proven` frees it.
    """

    def __init__(
        self,
        identity: DtlsIdentity,
        role: DtlsRole,
        fingerprints: Sequence[Fingerprint] | None,
        now: float,
        *,
        handshake_s: float = 10.0,
        keep: bool = False,
    ) -> None:
        self._identity = identity
        self._role: DtlsRole = role
        self._fingerprints = tuple(fingerprints) if fingerprints is not None else None
        self._handshake_s = handshake_s
        self._give_up: float | None = now + handshake_s
        self._keep = keep
        self._state = DtlsState.NEW
        self._connection: SSL.Connection | None = None
        self._is_done = False
        self._sessions: SrtpSessions | None = None
        self._received_bytes = 0
        self._retransmit: float | None = None
        self._farewell: tuple[bytes, ...] = ()
        self._effects: list[DtlsEffect] = []

    @property
    def state(self) -> DtlsState:
        """Where the association stands."""
        return self._state

    @property
    def role(self) -> DtlsRole:
        """Our side of the handshake."""
        return self._role

    @property
    def is_freed(self) -> bool:
        """Whether OpenSSL's object is gone: before the first datagram, after `proven`, after the end."""
        return self._connection is None

    def sessions(self) -> SrtpSessions:
        """The SRTP sessions.

        Raises:
            RuntimeError: not connected.
        """
        if self._sessions is None:
            raise RuntimeError("the DTLS association has no keys")
        return self._sessions

    def set_fingerprints(self, fingerprints: Sequence[Fingerprint]) -> None:
        """Tell what the peer's certificate must be; a handshake that waited for it completes."""
        if self._fingerprints is None:
            self._fingerprints = tuple(fingerprints)
            if self._is_done and self._state is DtlsState.CONNECTING:
                self._verify()

    def keep(self) -> None:
        """Keep the association for data channels, from now on.

        Raises:
            RuntimeError: it is freed already (`can_keep`).
        """
        if not self.can_keep:
            raise RuntimeError("the DTLS association was freed")
        self._keep = True

    @property
    def can_keep(self) -> bool:
        """Whether data channels can still be had: the association is there, or is still to begin."""
        return self._keep or self._state is DtlsState.NEW or self._connection is not None

    def start(self, now: float) -> None:
        """Client: send the hello. Server: nothing to do, the peer begins."""
        if self._role == "client" and self._state is DtlsState.NEW:
            self._begin()
            self._handshake(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take one datagram from a bound address. Never raises."""
        if not RECORD_HEADER <= len(data) <= _MAX_DATAGRAM or not 20 <= data[0] <= 63:
            return
        if self._state is DtlsState.NEW and self._role == "server":
            self._begin()
        connection = self._connection
        if connection is None:
            return
        if self._state is DtlsState.CONNECTING:
            self._received_bytes += max(len(data), _LEAST_CHARGE)
            if self._received_bytes > _MAX_HANDSHAKE_BYTES:
                self._fail("handshake_too_large", "the peer sent too much before the DTLS handshake was done")
                return
        connection.bio_write(data)
        if self._is_done:
            self._read(now)
        else:
            self._handshake(now)

    def tick(self, now: float) -> None:
        """Let time pass: a flight is repeated, or the handshake given up."""
        if self._give_up is not None and now >= self._give_up:
            waits = "for the peer's description" if self._is_done else "of the DTLS handshake"
            self._fail("handshake_timeout", f"no end {waits} after {self._handshake_s:g} s")
        elif self._retransmit is not None and now >= self._retransmit and self._connection is not None:
            try:
                self._connection.DTLSv1_handle_timeout()
            except SSL.Error as error:
                self._fail("handshake_failed", f"DTLS handshake failed: {_describe(error)}")
                return
            self._flush(now)

    def poll(self) -> Iterator[DtlsEffect]:
        """What to do now, in order; each effect once."""
        effects, self._effects = self._effects, []
        yield from effects

    def deadline(self) -> float | None:
        """When to `tick` next; None when nothing can happen by itself."""
        return min((time for time in (self._give_up, self._retransmit) if time is not None), default=None)

    def proven(self) -> None:
        """The peer's first authentic SRTP or SRTCP came: it has our last flight, so OpenSSL's object may go.

        The close_notify that `close` will send is made beforehand. With a data channel nothing is freed.
        """
        if self._keep or self._state is not DtlsState.CONNECTED or self._connection is None:
            return
        self._farewell = self._goodbye(self._connection)
        self._free()

    def send(self, data: bytes, now: float) -> None:
        """Send application data, at most one record of it.

        Raises:
            RuntimeError: not connected, or already freed.
        """
        if self._state is not DtlsState.CONNECTED or self._connection is None:
            raise RuntimeError("the DTLS association cannot carry data")
        try:
            self._connection.send(data)
        except SSL.Error as error:
            self._fail("dtls_error", f"DTLS failed: {_describe(error)}")
            return
        self._flush(now)

    def close(self) -> None:
        """Say goodbye and end. Idempotent."""
        if self._state is DtlsState.CONNECTED:
            farewell = self._farewell if self._connection is None else self._goodbye(self._connection)
            self._effects.extend(SendDtls(data) for data in farewell)
        if self._state not in {DtlsState.CLOSED, DtlsState.FAILED}:
            self._state = DtlsState.CLOSED
        self._free()

    def _begin(self) -> None:
        self._connection = self._identity.connection(self._role)
        self._state = DtlsState.CONNECTING

    def _handshake(self, now: float) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            self._flush(now)
            return
        except SSL.Error as error:
            self._flush(now)  # the alert
            self._fail("handshake_failed", f"DTLS handshake failed: {_describe(error)}")
            return
        self._is_done = True
        self._flush(now)
        if self._fingerprints is not None:
            self._verify()

    def _verify(self) -> None:
        """Compare the certificate, then export the keys: the only way into `CONNECTED`."""
        connection = self._connection
        if connection is None:
            return
        certificate = connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not is_of(certificate, self._fingerprints or ()):
            self._effects.extend(SendDtls(data) for data in self._goodbye(connection))
            self._fail("fingerprint_mismatch", "the peer's certificate is not the one of its description")
            return
        found = srtp.find_profile(connection.get_selected_srtp_profile())
        if found is None:
            names = ", ".join(name for name, _ in srtp.PROFILES)
            self._effects.extend(SendDtls(data) for data in self._goodbye(connection))
            self._fail("no_srtp_profile", f"the peer offers no SRTP protection profile of {names}")
            return
        name, profile = found
        material = connection.export_keying_material(_EXPORTER, srtp.material_bytes(profile))
        self._sessions = srtp.make_sessions(name, profile, material, is_server=self._role == "server")
        self._state = DtlsState.CONNECTED
        self._give_up = None
        self._effects.append(DtlsConnected(self._sessions))

    def _read(self, now: float) -> None:
        """Take what came after the handshake: repeated flights, data, an alert."""
        while self._connection is not None:
            try:
                data = self._connection.recv(_MAX_DATAGRAM)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._end(now)
                return
            except SSL.Error as error:
                self._fail("dtls_error", f"DTLS failed: {_describe(error)}")
                return
            if self._keep and self._state is DtlsState.CONNECTED:
                self._effects.append(DtlsData(data))
        self._flush(now)

    def _end(self, now: float) -> None:
        self._flush(now)
        self._state = DtlsState.CLOSED
        self._effects.append(DtlsClosed())
        self._free()

    def _fail(self, code: str, reason: str) -> None:
        self._state = DtlsState.FAILED
        self._effects.append(DtlsFailed(code, reason))
        self._free()

    def _free(self) -> None:
        self._connection = None
        self._give_up = self._retransmit = None

    def _flush(self, now: float) -> None:
        """Send what OpenSSL wrote, and look when it wants to repeat it."""
        if self._connection is None:
            return
        self._effects.extend(SendDtls(data) for data in datagrams(self._connection))
        wait = self._connection.DTLSv1_get_timeout()
        self._retransmit = now + max(wait, _LEAST_WAIT_S) if wait is not None else None

    @staticmethod
    def _goodbye(connection: SSL.Connection) -> tuple[bytes, ...]:
        """The datagrams of a close_notify; none when OpenSSL will not make one."""
        try:
            connection.shutdown()
        except SSL.Error:
            return ()
        return tuple(datagrams(connection))


_HINTS: Final = {
    "wrong curve": "the peer's certificate is on an unusual curve: give it an ECDSA certificate on P-256 "
    "(FFmpeg with GnuTLS: the options cert_file and key_file)",
}


def _describe(error: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, with what helps where we know it."""
    try:
        reasons = [reason for _, _, reason in error.args[0]]
    except (IndexError, TypeError, ValueError):
        return type(error).__name__
    return ", ".join(_HINTS.get(reason, reason) for reason in reasons) or "unknown"
