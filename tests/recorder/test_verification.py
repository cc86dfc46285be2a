"""A recording's folder is checked file by file against its signed manifest."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media.sealed import Sealer
from recorder.data_keys import DataKeys
from recorder.errors import ManifestInvalid
from recorder.journal import encode_line, seal_line
from recorder.manifest import FileEntry, OtherEntry, sign
from recorder.verification import Finding, verify_folder
from tests.recorder.rig import key_access
from tests.recorder.test_manifest import manifest

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
CAMERA, MIC = "u_ada-camera-001.webm", "u_ada-mic-001.webm"


def digest(data):
    return hashlib.sha256(data).hexdigest()


def entry(name, plain, stored=b""):
    return FileEntry(
        name=name, kind="video", person="u_ada", source="camera", track=1, codec="vp8", width=0, height=0,
        start_ms=0, end_ms=1, frames=1, size_bytes=len(plain), sha256=digest(plain),
        stored_sha256=digest(stored) if stored else "", is_plain=True,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A recording with a sealed file, a plain one, and a journal with a sealed line."""
    folder = tmp_path / "rec_test"
    folder.mkdir()
    keys = DataKeys(key_access(tmp_path))
    key = keys.make("u_ada")
    sealer = Sealer(key)
    sealed = sealer.header + sealer.frame(0, b"camera")
    line = encode_line(1, "chat", {"person": "u_ada", "text": "hello"})
    journal = seal_line(line, "u_ada", key)
    for name, data in ((CAMERA, sealed), (MIC, b"mic"), ("chat.jsonl", journal)):
        (folder / name).write_bytes(data)
    other = OtherEntry(
        name="chat.jsonl", size_bytes=len(line), sha256=digest(line), stored_sha256=digest(journal)
    )
    made = msgspec.structs.replace(
        manifest(), files=[entry(CAMERA, b"camera", sealed), entry(MIC, b"mic")], others=[other]
    )
    (folder / "manifest.json").write_bytes(sign(made, KEY))
    return folder


def check(folder, *, public_key=PUBLIC, with_keys=True):
    keys = DataKeys(key_access(folder.parent)) if with_keys else None
    return verify_folder(folder, public_key=public_key, keys=keys, report=lambda _done, _total: None)


def test_a_whole_folder_verifies_with_and_without_the_keys(folder):
    assert check(folder).findings == check(folder, with_keys=False).findings == ()
    assert check(folder).files == 3


def test_a_folder_that_was_fetched_verifies(folder):
    (folder / CAMERA).write_bytes(b"camera")
    (folder / "chat.jsonl").write_bytes(encode_line(1, "chat", {"person": "u_ada", "text": "hello"}))
    assert check(folder).findings == ()


@pytest.mark.parametrize("name", [CAMERA, MIC, "chat.jsonl"])
def test_a_single_changed_bit_is_found(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert check(folder).findings == (Finding(name, "damaged"),)


def test_what_is_missing_extra_or_a_link_is_named(folder, tmp_path):
    (folder / MIC).unlink()
    (folder / CAMERA).rename(tmp_path / "elsewhere")
    (folder / CAMERA).symlink_to(tmp_path / "elsewhere")
    (folder / "more.webm").write_bytes(b"more")
    (folder / "erase.u_bea").touch()
    assert set(check(folder).findings) == {
        Finding(CAMERA, "missing"),
        Finding(MIC, "missing"),
        Finding("more.webm", "extra"),
    }


def test_a_key_that_is_gone_is_told(folder):
    DataKeys(key_access(folder.parent)).destroy("u_ada")
    assert {finding.problem for finding in check(folder).findings} == {"key_missing"}
    assert check(folder, with_keys=False).findings == ()


def test_without_a_manifest_that_verifies_nothing_is_said_of_the_files(folder):
    with pytest.raises(ManifestInvalid, match="another key"):
        check(folder, public_key=bytes(32))
    (folder / "manifest.json").write_bytes(
        (folder / "manifest.json").read_bytes().replace(b"camera", b"kamera")
    )
    with pytest.raises(ManifestInvalid):
        check(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(ManifestInvalid, match="is the recording finished"):
        check(folder)
