"""The watch finds what it is for, and says so when it cannot have seen everything."""

import contextlib
import mmap
import os
import secrets
import time
from pathlib import Path

import pytest

from tests.support.canary import CanaryWatch, deleted_while_open
from tests.support.held_files import family, held_files
from tests.support.inotify import EventsLostError, FolderEvents

CANARY = secrets.token_bytes(32)


@contextlib.contextmanager
def watching(*folders, **options):
    watch = CanaryWatch(folders, {"bird": CANARY}, **options)
    try:
        yield watch
    finally:
        watch.close()


def until_found(watch):
    deadline = time.monotonic() + 5
    while not watch.found["bird"]:
        assert time.monotonic() < deadline, "not found"
        time.sleep(0.01)
    return watch.found["bird"]


def test_a_written_file_is_found(tmp_path):
    with watching(tmp_path) as watch:
        (tmp_path / "file").write_bytes(b"before" + CANARY + b"after")
    assert watch.found["bird"] == {str(tmp_path / "file")}


def test_nothing_is_found_where_nothing_is(tmp_path):
    with watching(tmp_path, processes=[os.getpid()]) as watch:
        (tmp_path / "file").write_bytes(CANARY[:-1] + b"\0" + CANARY[1:])
        while watch.samples < 2:
            time.sleep(0.01)
    assert not watch.found["bird"]


def test_a_canary_across_two_chunks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.canary._CHUNK_BYTES", 40)
    with watching(tmp_path) as watch:
        (tmp_path / "file").write_bytes(bytes(21) + CANARY + bytes(21))
    assert watch.found["bird"]


def test_folders_that_come_later_and_files_moved_in_are_watched(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    with watching(inside) as watch:
        (inside / "deep" / "deeper").mkdir(parents=True)
        (inside / "deep" / "deeper" / "file").write_bytes(CANARY)
        (outside / "file").write_bytes(CANARY)
        (outside / "file").rename(inside / "moved")
    assert watch.found["bird"] == {str(inside / "deep" / "deeper" / "file"), str(inside / "moved")}


def test_a_skipped_folder_and_one_with_a_like_name(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine-not").mkdir()
    with watching(tmp_path, skip=[tmp_path / "mine"]) as watch:
        (tmp_path / "mine" / "file").write_bytes(CANARY)
        (tmp_path / "mine-not" / "file").write_bytes(CANARY)
    assert watch.found["bird"] == {str(tmp_path / "mine-not" / "file")}


def test_a_file_deleted_while_open_is_found(tmp_path):
    with deleted_while_open(tmp_path, CANARY) as pid, watching(processes=[pid]) as watch:
        (path,) = until_found(watch)
    assert path.startswith(str(tmp_path))
    assert path.endswith("(deleted)")


def test_a_process_that_comes_later_is_followed(tmp_path):
    with watching() as watch, deleted_while_open(tmp_path, CANARY) as pid:
        watch.follow(pid)
        (path,) = until_found(watch)
    assert path.endswith("(deleted)")


def test_a_memory_file_is_found():
    file = os.memfd_create("secret")
    try:
        os.write(file, bytes(1 << 20) + CANARY)
        with watching(processes=[os.getpid()]) as watch:
            assert until_found(watch) == {"/memfd:secret (deleted)"}
    finally:
        os.close(file)


def test_shared_memory_that_is_only_mapped_is_found():
    path = Path("/dev/shm") / f"canary-{secrets.token_hex(4)}"
    with path.open("x+b") as file:
        path.unlink()
        file.truncate(8192)
        mapping = mmap.mmap(file.fileno(), 8192)
    with mapping, watching(processes=[os.getpid()]) as watch:
        mapping[5000 : 5000 + len(CANARY)] = CANARY
        assert until_found(watch) == {f"{path} (deleted)"}


def test_a_mapping_that_changes_a_named_file_is_found(tmp_path):
    (tmp_path / "file").write_bytes(bytes(4096))
    with (
        (tmp_path / "file").open("r+b") as file,
        mmap.mmap(file.fileno(), 0) as mapping,
        watching(tmp_path, processes=[os.getpid()]) as watch,
    ):
        while watch.samples < 2:
            time.sleep(0.01)
        mapping[: len(CANARY)] = CANARY
        assert until_found(watch) == {str(tmp_path / "file")}


def test_children_of_a_process_are_of_its_family(tmp_path):
    with deleted_while_open(tmp_path, b"") as pid:
        assert {os.getpid(), pid} <= set(family(os.getpid()))
        assert [held.shown for held in held_files(pid) if held.shown.startswith(str(tmp_path))]


def test_a_process_that_is_gone_holds_nothing():
    with deleted_while_open(Path("/dev/shm"), b"") as pid:
        pass
    assert family(pid) == [pid]
    assert list(held_files(pid)) == []


def test_lost_events_are_an_error(tmp_path):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    events = FolderEvents([tmp_path])
    try:
        for number in range(limit + 1):
            name = "ab"[number % 2]  # in turn: of equal events in a row the kernel tells one
            os.close(os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT))
        with pytest.raises(EventsLostError, match="overflowed"):
            events.read()
    finally:
        events.close()


def test_a_watch_that_lost_events_says_so_instead_of_what_it_found(tmp_path, monkeypatch):
    def lost(self):
        raise EventsLostError("the inotify queue overflowed")

    monkeypatch.setattr(FolderEvents, "read", lost)
    with watching(tmp_path) as watch:
        pass
    with pytest.raises(EventsLostError):
        assert watch.found


def test_a_folder_that_cannot_be_watched_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.inotify._MASK", 0)  # the kernel refuses an empty mask
    with pytest.raises(EventsLostError, match=str(tmp_path)):
        FolderEvents([tmp_path])
