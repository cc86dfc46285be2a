"""Who we are to every peer by DTLS, and whether a peer is who its description says.

Source: RFC 8122 (fingerprints), RFC 8827 section 6.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, certificate_digest, generate_certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from sfu.sdp.model import Fingerprint
from sfu.sdp.negotiate import DtlsRole
from sfu.transport import srtp
from sfu.transport.dtls_records import MTU

_DTLS_1_2: Final = 0xFEFD

_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""Forward secret AEAD suites; the RSA ones for when we are client of a peer with an RSA certificate."""

_STRENGTH: Final = ("sha-512", "sha-384", "sha-256")


class DtlsIdentity:
    """Our certificate and the OpenSSL context around it: one for the whole process.

    Args:
        key, certificate: ECDSA on P-256 in production.
        profiles: names of the SRTP profiles to agree to; None: all of ours.
    """

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        profiles: Sequence[str] | None = None,
    ) -> None:
        self.fingerprint = Fingerprint("sha-256", certificate_digest(certificate, "sha-256"))
        """What descriptions announce."""
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS_1_2)
        context.set_max_proto_version(_DTLS_1_2)
        context.set_options(
            SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
        )
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Certificates are self-signed: the fingerprint decides, after the handshake and before anything is
        # trusted.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_any)
        context.set_cipher_list(_CIPHERS)
        context.set_tlsext_use_srtp(srtp.openssl_profiles(profiles))
        context.use_certificate(certificate)
        context.use_privatekey(key)
        self._context = context

    @classmethod
    def generate(cls, profiles: Sequence[str] | None = None) -> DtlsIdentity:
        """A fresh key on P-256 and its certificate, valid for 30 days (browsers do not look at the dates)."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, generate_certificate(key), profiles)

    def connection(self, role: DtlsRole) -> SSL.Connection:
        """A new association in memory."""
        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(MTU)
        if role == "server":
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return connection


def _accept_any(*_: object) -> bool:
    return True


def is_of(certificate: x509.Certificate, fingerprints: Sequence[Fingerprint]) -> bool:
    """Whether the certificate has one of the digests given for the strongest hash (RFC 8122 section 5)."""
    for algorithm in _STRENGTH:
        values = {fingerprint.value for fingerprint in fingerprints if fingerprint.algorithm == algorithm}
        if values and algorithm in X509_DIGEST_ALGORITHMS:
            return certificate_digest(certificate, algorithm) in values
    return False
