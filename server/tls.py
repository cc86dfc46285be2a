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

CHECK_S: Final = 1.0
_DAYS: Final = 365
_RENEW_DAYS: Final = 30
_log = structlog.get_logger("server.tls")


class TlsError(Exception):
    """The certificate or key cannot be used; the message names the file."""

    code = "invalid_tls"


class Certificate:
    """A certificate chain and key on disk, and the context that serves them.

    Raises (at construction):
        TlsError: a file cannot be read, or the two do not fit.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert = cert
        self._key = key
        self._stamps = self._look()
        self._serving = self._load()
        self.context = self._load()
        """What a port listens with; each handshake is served by the pair that was loaded last."""
        self.context.sni_callback = self._hand_on

    async def watch(self, every_s: float = CHECK_S) -> None:
        """Load the files again whenever they changed, for ever; a pair that does not fit is only logged."""
        while True:
            await asyncio.sleep(every_s)
            self.reload_if_changed()

    def reload_if_changed(self) -> bool:
        """Load the files again if they changed; whether new ones serve now. New connections get them.

        A pair that cannot be used is told once, and looked at again when it changes.
        """
        stamps = self._look()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self._serving = self._load()
        except TlsError as error:
            _log.warning("certificate_not_reloaded", reason=str(error))
            return False
        _log.info("certificate_reloaded")
        return True

    def _hand_on(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Serve this handshake by the newest pair: a context keeps what it had for another kind of key."""
        connection.context = self._serving

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._cert, self._key))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            for path in (self._cert, self._key):
                path.read_bytes()  # OpenSSL does not say which file it could not open
            # With a password given, OpenSSL does not ask the terminal for one.
            context.load_cert_chain(self._cert, self._key, password="")
        except ssl.SSLError as error:
            raise TlsError(
                f"{self._cert} and {self._key} are not a PEM certificate and its key without a password"
            ) from error
        except OSError as error:
            raise TlsError(f"{error.filename}: {error.strerror}") from error
        return context


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with a file, whoever writes, moves or permits it; None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


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
