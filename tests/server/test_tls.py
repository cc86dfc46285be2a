"""TLS: a certificate of one's own, and files that are read again."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

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
