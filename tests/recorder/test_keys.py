"""Keys of recordings: wrapped, rotated, destroyed."""

import stat

import pytest

from recorder.data_keys import DataKeys
from recorder.errors import KeysUnusable
from recorder.keys import KeyStore, MasterKeys, rotate


def store(folder, masters=None):
    return KeyStore(folder / "keys", masters or MasterKeys.load_or_create(folder / "master"))


def test_a_key_is_made_once_and_found_again_by_another_process(tmp_path):
    made = store(tmp_path).of("rec_1").make("u_ada")
    again = store(tmp_path).of("rec_1")
    assert again.get("u_ada") == again.make("u_ada") == made
    assert again.get("u_bea") is None
    assert store(tmp_path).of("rec_2").make("u_ada") != made


def test_files_are_readable_by_their_owner_only_and_hold_no_key_in_clear(tmp_path):
    key = store(tmp_path).of("rec_1").make("u_ada")
    file = tmp_path / "keys" / "rec_1" / "u_ada.key"
    for path in (file, tmp_path / "master"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.hex() not in file.read_text()


def test_a_wrapped_key_serves_its_own_person_and_recording_only(tmp_path):
    store(tmp_path).of("rec_1").make("u_ada")
    file = tmp_path / "keys" / "rec_1" / "u_ada.key"
    (tmp_path / "keys" / "rec_1" / "u_bea.key").write_bytes(file.read_bytes())
    (tmp_path / "keys" / "rec_2").mkdir()
    (tmp_path / "keys" / "rec_2" / "u_ada.key").write_bytes(file.read_bytes())
    assert store(tmp_path).of("rec_1").get("u_bea") is None
    assert store(tmp_path).of("rec_2").get("u_ada") is None


def test_a_destroyed_key_is_gone(tmp_path):
    keys = store(tmp_path).of("rec_1")
    keys.make("u_ada")
    assert keys.destroy("u_ada")
    assert not keys.destroy("u_ada")
    assert keys.get("u_ada") is None
    assert store(tmp_path).of("rec_1").get("u_ada") is None


def test_rotation_keeps_what_is_sealed_and_retires_the_old_master(tmp_path):
    old = MasterKeys.load_or_create(tmp_path / "master")
    made = store(tmp_path, old).of("rec_1").make("u_ada")
    assert rotate(tmp_path / "master", tmp_path / "keys") == 1
    assert store(tmp_path).of("rec_1").get("u_ada") == made
    assert store(tmp_path, old).of("rec_1").get("u_ada") is None
    assert len((tmp_path / "master").read_text().split()) == 1


def test_rotation_that_was_interrupted_is_done_by_the_next(tmp_path):
    made = store(tmp_path).of("rec_1").make("u_ada")
    MasterKeys.load(tmp_path / "master").with_new().save(tmp_path / "master")
    store(tmp_path).of("rec_2").make("u_bea")
    assert store(tmp_path).of("rec_1").get("u_ada") == made
    assert rotate(tmp_path / "master", tmp_path / "keys") == 2
    assert store(tmp_path).of("rec_1").get("u_ada") == made


def test_rotation_refuses_to_drop_a_master_key_that_is_still_needed(tmp_path):
    other = MasterKeys([bytes(32)])
    store(tmp_path, other).of("rec_1").make("u_ada")
    MasterKeys.load_or_create(tmp_path / "master")
    with pytest.raises(KeysUnusable, match="restore"):
        rotate(tmp_path / "master", tmp_path / "keys")
    assert store(tmp_path, other).of("rec_1").get("u_ada")


@pytest.mark.parametrize("text", ["", "zz", "ab" * 31, "ab" * 32 + " cd"])
def test_a_damaged_key_file_is_refused_and_left_as_it_is(tmp_path, text):
    path = tmp_path / "master"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeysUnusable):
        MasterKeys.load_or_create(path)
    assert path.read_text() == text


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    MasterKeys.load_or_create(tmp_path / "master")
    (tmp_path / "master").chmod(0o644)
    with pytest.raises(KeysUnusable, match="chmod 600"):
        MasterKeys.load(tmp_path / "master")


def test_a_damaged_wrapped_key_opens_nothing(tmp_path):
    store(tmp_path).of("rec_1").make("u_ada")
    file = tmp_path / "keys" / "rec_1" / "u_ada.key"
    for text in (b"", b"{", b'{"master": 1, "wrapped": 2}', b"[]", bytes(40)):
        file.write_bytes(text)
        assert DataKeys(store(tmp_path).access("rec_1")).get("u_ada") is None
