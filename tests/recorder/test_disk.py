"""The writer of a recording's bytes: gates, order, bounds, failures, with a disk that the test holds."""

import errno
import os
import threading
import time

import pytest

from media.gates import Gate, GatePage
from recorder.worker.disk import Disk, PlainFile

OPEN, OTHER = Gate(1, 1), Gate(2, 1)


class HeldFile:
    """A file whose writes wait for the test, or fail."""

    def __init__(self, held):
        self.held = held
        self.data = b""
        self.is_closed = False

    def write(self, data, person=""):
        self.held.entered.set()
        self.held.may_write.wait(10)
        if self.held.error is not None:
            raise self.held.error
        self.data += data

    def sync(self):
        self.held.synced += 1

    def close(self):
        self.is_closed = True


class Held:
    def __init__(self):
        self.entered, self.may_write = threading.Event(), threading.Event()
        self.error = None
        self.synced = 0
        self.files = {}

    def open(self, _, name):
        self.files[name] = HeldFile(self)
        return self.files[name]


@pytest.fixture
def page():
    page = GatePage.create(8)
    page.store_open(1, 1)
    page.store_open(2, 1)
    yield page
    page.close()


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def disk(tmp_path, page, held):
    disk = Disk(tmp_path, page, queue_max_bytes=1000, open_file=held.open)
    yield disk
    held.may_write.set()
    assert disk.close(10)


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_pieces_are_written_in_order_and_synced(disk, held):
    held.may_write.set()
    for number in range(5):
        assert disk.append("a", bytes([number]), OPEN)
    until(lambda: disk.size_bytes == 5 and held.synced)
    assert held.files["a"].data == bytes(range(5))


def test_a_piece_whose_gate_closed_while_it_waited_is_not_written(disk, held, page):
    disk.append("a", b"first", OPEN)
    held.entered.wait(10)
    disk.append("a", b"second", OPEN)
    disk.append("b", b"of another person", OTHER)
    page.store_closed(1, 2)
    held.may_write.set()
    until(lambda: disk.dropped_by_gate == 1 and "b" in held.files and held.files["b"].data)
    assert held.files["a"].data == b"first"


def test_a_file_is_not_even_made_when_its_gate_is_closed(disk, held, page):
    page.store_closed(1, 2)
    disk.append("a", b"x", OPEN)
    until(lambda: disk.dropped_by_gate == 1)
    assert held.files == {}


def test_discard_drops_what_waits_and_waits_for_what_is_being_written(disk, held, page):
    disk.append("a", b"in flight", OPEN)
    held.entered.wait(10)
    disk.append("a", b"waiting", OPEN)
    disk.append("b", b"other", OTHER)
    page.store_closed(1, 2)
    assert not disk.discard([(1, 1)], patience_s=0.05)
    assert disk.waiting_bytes == len(b"other")
    held.may_write.set()
    assert disk.discard([(1, 1)], patience_s=5)
    until(lambda: "b" in held.files)
    assert held.files["a"].data == b"in flight"


def test_discard_leaves_a_newer_grant_of_the_same_slot_alone(disk, held, page):
    disk.append("b", b"x", OTHER)
    held.entered.wait(10)
    page.store_open(1, 3)
    disk.append("a", b"new", Gate(1, 3))
    assert disk.discard([(1, 1)], patience_s=1)
    held.may_write.set()
    until(lambda: "a" in held.files and held.files["a"].data == b"new")


def test_more_than_may_wait_is_refused_whole(disk, held):
    disk.append("a", b"x", OPEN)
    held.entered.wait(10)
    assert disk.append("a", bytes(900), OPEN)
    assert not disk.append("a", bytes(200), OPEN)
    assert disk.append("a", bytes(200), OPEN, is_essential=True)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "io_error")]
)
def test_a_failure_is_told_once_and_only_essential_pieces_are_tried_after(disk, held, number, reason):
    held.error = OSError(number, "no")
    held.may_write.set()
    disk.append("a", b"x", OPEN)
    until(lambda: disk.failure is not None)
    assert disk.failure.reason == reason
    assert not disk.append("a", b"y", OPEN)
    held.error = None
    assert disk.append("events", b"line", None, is_essential=True)
    until(lambda: "events" in held.files and held.files["events"].data == b"line")


def test_a_finished_file_is_closed_behind_its_last_piece(disk, held):
    held.may_write.set()
    disk.append("a", b"x", OPEN)
    disk.finish("a")
    disk.finish("unknown")
    until(lambda: "a" in held.files and held.files["a"].is_closed)
    assert held.files["a"].data == b"x"


def test_a_write_that_the_disk_took_in_part_is_taken_back(tmp_path, monkeypatch):
    folder = os.open(tmp_path, os.O_RDONLY)
    file = PlainFile(folder, "a")
    file.write(b"whole")
    calls = []
    write = os.write

    def half(fd, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, bytes(data)[:2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="full"):
        file.write(b"torn")
    monkeypatch.undo()
    file.close()
    os.close(folder)
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_a_symbolic_link_is_not_followed(tmp_path, page):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").symlink_to(tmp_path / "outside")
    disk = Disk(tmp_path / "folder", page, queue_max_bytes=1000)
    disk.append("a", b"x", OPEN)
    until(lambda: disk.failure is not None)
    assert disk.close(5)
    assert not (tmp_path / "outside").exists()
