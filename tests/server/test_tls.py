"""TLS: a certificate of one's own, and files that are read again."""

import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from server.tls import Certificate, TlsError, self_signed


def served(certificate: Certificate) -> bytes:
    """The certificate that a client is shown, by a handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = context.wrap_bio(to_client, to_server)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    done = set()
    while len(done) < 2:
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_a_self_signed_certificate_names_the_machine_and_is_kept(tmp_path: Path) -> None:
    first = self_signed(tmp_path / "tls", ["192.0.2.7", "fd00::7"])
    names = x509.load_der_x509_certificate(served(first)).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {"192.0.2.7", "fd00::7", "localhost"} <= {str(name.value) for name in names.value}
    assert stat.S_IMODE((tmp_path / "tls" / "self-signed.key").stat().st_mode) == 0o600
    again = self_signed(tmp_path / "tls", ["fd00::7", "192.0.2.7"])
    assert served(again) == served(first)
    other = self_signed(tmp_path / "tls", ["192.0.2.8"])
    assert served(other) != served(first)


def test_changed_files_serve_new_connections(tmp_path: Path) -> None:
    one, two = (self_signed(tmp_path / name, []) for name in ("one", "two"))
    certificate = Certificate(tmp_path / "one" / "self-signed.crt", tmp_path / "one" / "self-signed.key")
    assert not certificate.reload_if_changed()
    for suffix in ("crt", "key"):
        (tmp_path / "two" / f"self-signed.{suffix}").replace(tmp_path / "one" / f"self-signed.{suffix}")
    assert certificate.reload_if_changed()
    assert served(certificate) == served(two) != served(one)


def written(folder: Path, *, password: bytes | None = None) -> Path:
    """A pair with an RSA key, under the names of a self-signed one."""
    private = rsa.generate_private_key(65_537, 2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    lock = NoEncryption() if password is None else BestAvailableEncryption(password)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    folder.mkdir(exist_ok=True)
    (folder / "self-signed.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "self-signed.key").write_bytes(pem)
    return folder


def test_a_pair_with_another_kind_of_key_serves_instead_of_the_one_before(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, [])
    written(tmp_path)
    assert certificate.reload_if_changed()
    assert x509.load_der_x509_certificate(served(certificate)).serial_number == 1


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    written(tmp_path, password=b"secret")
    with pytest.raises(TlsError, match="without a password"):
        Certificate(tmp_path / "self-signed.crt", tmp_path / "self-signed.key")


def test_a_pair_that_cannot_be_used_is_told_once_until_it_changes(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, [])
    (tmp_path / "self-signed.key").write_text("nonsense")
    with structlog.testing.capture_logs() as logs:
        assert not any(certificate.reload_if_changed() for _ in range(3))
        (tmp_path / "self-signed.key").unlink()
        assert not any(certificate.reload_if_changed() for _ in range(3))
    assert [log["event"] for log in logs] == ["certificate_not_reloaded"] * 2
    assert "self-signed.key" in logs[1]["reason"]


def test_a_pair_that_does_not_fit_is_not_used(tmp_path: Path) -> None:
    self_signed(tmp_path / "one", [])
    self_signed(tmp_path / "two", [])
    certificate = Certificate(tmp_path / "one" / "self-signed.crt", tmp_path / "one" / "self-signed.key")
    before = served(certificate)
    (tmp_path / "two" / "self-signed.key").replace(tmp_path / "one" / "self-signed.key")
    assert not certificate.reload_if_changed()
    assert served(certificate) == before
    (tmp_path / "one" / "self-signed.key").unlink()
    assert not certificate.reload_if_changed()


@pytest.mark.parametrize("text", ["", "not PEM"])
def test_files_that_are_no_certificate_are_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.crt").write_text(text)
    (tmp_path / "a.key").write_text(text)
    with pytest.raises(TlsError, match=r"a\.crt"):
        Certificate(tmp_path / "a.crt", tmp_path / "a.key")
    with pytest.raises(TlsError, match=r"none\.crt"):
        Certificate(tmp_path / "none.crt", tmp_path / "a.key")


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    assert self_signed(tmp_path, []).context.minimum_version is ssl.TLSVersion.TLSv1_2
