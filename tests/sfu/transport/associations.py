"""Builders of DTLS ends for the tests of this folder, and a wire in memory that can lose and reorder."""

import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from sfu.sdp import Fingerprint
from sfu.transport import Dtls, DtlsIdentity, SendDtls
from sfu.transport.dtls import MTU


@functools.cache
def server_identity() -> DtlsIdentity:
    """The process's certificate."""
    return DtlsIdentity.generate()


@functools.cache
def client_identity() -> DtlsIdentity:
    """A peer's certificate."""
    return DtlsIdentity.generate()


@functools.cache
def rsa_identity(bits: int = 2048) -> DtlsIdentity:
    """What GStreamer brings: an RSA certificate."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    now = dt.datetime.now(tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return DtlsIdentity(key, certificate)


def server(fingerprint: Fingerprint | None = None, **more) -> Dtls:
    """Our side; by default it expects `client_identity`."""
    expected = [fingerprint or client_identity().fingerprint]
    return Dtls(server_identity(), "server", more.pop("fingerprints", expected), more.pop("now", 0.0), **more)


def client(identity: DtlsIdentity | None = None, **more) -> Dtls:
    """A peer's side, with our own module in the client's role."""
    expected = [server_identity().fingerprint]
    return Dtls(
        identity or client_identity(),
        "client",
        more.pop("fingerprints", expected),
        more.pop("now", 0.0),
        **more,
    )


def carry(
    a: Dtls, b: Dtls, *, now: float = 0.0, deliver=lambda sender, data: [data], limit: int = 40
) -> list:
    """Carry datagrams both ways until both are silent; (role, effect) of everything else, in order."""
    others = []
    for _ in range(limit):
        moved = False
        for sender, receiver in ((a, b), (b, a)):
            for effect in sender.poll():
                if not isinstance(effect, SendDtls):
                    others.append((sender.role, effect))
                    continue
                moved = True
                for data in deliver(sender, effect.data):
                    receiver.receive(data, now)
        if not moved:
            break
    return others


class RawPeer:
    """A DTLS end of bare OpenSSL, for profiles and versions that our module would never offer."""

    def __init__(
        self,
        *,
        profiles: bytes | None,
        role: str = "client",
        ciphers: bytes | None = None,
        shows_certificate: bool = True,
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "raw")])
        now = dt.datetime.now(tz=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self.fingerprint = Fingerprint("sha-256", digest)
        self.certificate = certificate
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        if profiles:
            context.set_tlsext_use_srtp(profiles)
        if ciphers:
            context.set_cipher_list(ciphers)
        if shows_certificate:
            context.use_certificate(certificate)
            context.use_privatekey(key)
        self.connection = SSL.Connection(context, None)
        self.connection.set_ciphertext_mtu(MTU)
        self.connection.set_connect_state() if role == "client" else self.connection.set_accept_state()
        self.error: SSL.Error | None = None
        self.is_done = False

    def step(self, *datagrams: bytes) -> bytes:
        """Take datagrams, go on with the handshake, and return everything written."""
        for data in datagrams or (b"",):
            if data:
                self.connection.bio_write(data)
            try:
                if not self.is_done:
                    self.connection.do_handshake()
                    self.is_done = True
                elif data:
                    self.connection.recv(2048)
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.error = error
        try:
            return self.connection.bio_read(65_536)
        except SSL.WantReadError:
            return b""


def records(written: bytes) -> list[bytes]:
    """What was written, record by record."""
    parts = []
    while written:
        size = 13 + int.from_bytes(written[11:13], "big")
        parts.append(written[:size])
        written = written[size:]
    return parts


def shake(raw: RawPeer, dtls: Dtls, *, now: float = 0.0) -> list:
    """A handshake of a bare OpenSSL end with ours; our effects but for datagrams."""
    others = []
    outgoing = raw.step()
    for _ in range(20):
        for part in records(outgoing):
            dtls.receive(part, now)
        back = []
        for effect in dtls.poll():
            if isinstance(effect, SendDtls):
                back.append(effect.data)
            else:
                others.append(effect)
        if not back and not outgoing:
            break
        outgoing = raw.step(*back) if back else b""
    return others
