"""TLS of the HTTP port: files that are read again when they change, or a certificate of its own."""

import asyncio
import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHECK_S: Final = 30.0
_DAYS: Final = 365
_RENEW_DAYS: Final = 30
_log = structlog.get_logger("server.tls")


class TlsError(Exception):
    """The certificate or key cannot be used; the message names the file."""

    code = "invalid_tls"


class Certificate:
    """A certificate chain and key on disk, and the context that serves them."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._stamp = self._stamps()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._load(self.context)

    async def watch(self, every_s: float = CHECK_S) -> None:
        """Load the files again whenever they changed, for ever; a pair that does not fit is only logged."""
        while True:
            await asyncio.sleep(every_s)
            self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        """Load the files again if they changed; whether new ones serve now. New connections get them."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return False
            # Tried on a context of its own first: a half-written pair must not break the one that serves.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except TlsError as error:
            _log.warning("certificate_not_reloaded", reason=str(error))
            return False
        self._stamp = stamp
        _log.info("certificate_reloaded")
        return True

    def _stamps(self) -> tuple[int, int]:
        try:
            return self._cert.stat().st_mtime_ns, self._key.stat().st_mtime_ns
        except OSError as error:
            raise TlsError(f"{error.filename}: {error.strerror}") from error

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._cert, self._key)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"{self._cert} and {self._key} are not a certificate and its key") from error


def self_signed(folder: Path, names: Iterable[str]) -> Certificate:
    """A certificate of this machine's own, kept in `folder`; made anew when names or time ask for it.

    Raises:
        TlsError: the folder cannot be written.
    """
    cert, key = folder / "self-signed.crt", folder / "self-signed.key"
    wanted = sorted({*names, "localhost", socket.gethostname()})
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _serves(cert, wanted):
            _make(cert, key, wanted)
    except OSError as error:
        raise TlsError(f"{folder}: {error.strerror}") from error
    return Certificate(cert, key)


def _serves(path: Path, wanted: list[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    held = sorted({str(name.value) for name in names})
    limit = dt.datetime.now(dt.UTC) + dt.timedelta(days=_RENEW_DAYS)
    return held == wanted and certificate.not_valid_after_utc > limit


def _make(cert: Path, key: Path, names: list[str]) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley self-signed")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(text) for text in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem, 0o600)
    _write(cert, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, data: bytes, mode: int) -> None:
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    fresh.replace(path)
