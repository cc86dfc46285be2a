"""The gate page and its allocator."""

import os
import subprocess
import sys

import pytest

from media.gates import Gate, GateAllocator, GateError, GatePage, GatesExhausted


@pytest.fixture
def page():
    page = GatePage.create(16)
    yield page
    page.close()


def test_a_new_page_has_every_gate_closed(page):
    assert not any(page.is_open(slot, version) for slot in range(16) for version in (0, 1))


def test_a_gate_is_open_for_its_own_version_only(page):
    page.store_open(3, 7)
    assert page.value(3) == 7 << 1 | 1
    assert page.is_open(3, 7)
    assert not page.is_open(3, 6)
    assert not page.is_open(3, 8)


def test_a_closed_gate_is_open_for_no_version(page):
    page.store_open(3, 7)
    page.store_closed(3, 8)
    assert not page.is_open(3, 7)
    assert not page.is_open(3, 8)
    assert page.read(3) == 8


def test_slot_zero_and_slots_outside_are_never_open(page):
    assert not page.is_open(0, 0)
    assert not page.is_open(16, 1)
    assert not page.is_open(-1, 1)
    with pytest.raises(GateError):
        page.store_open(0, 1)
    with pytest.raises(GateError):
        page.value(16)


def test_another_process_sees_a_store_and_cannot_write(page):
    page.store_open(2, 5)
    code = (
        "import sys; from media.gates import GatePage, GateError; p = GatePage.open(int(sys.argv[1]));\n"
        "try:\n p.store_open(2, 6)\nexcept GateError: print('refused')\n"
        "sys.stdout.flush(); sys.stdin.readline(); print(p.is_open(2, 5), p.read(2))"
    )
    fd = page.read_only_fd()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(fd)], pass_fds=[fd], stdin=-1, stdout=-1, text=True
    )
    os.close(fd)
    assert child.stdout.readline() == "refused\n"
    page.store_closed(2, 6)
    assert child.communicate("\n", timeout=20)[0] == "False 6\n"


def test_a_file_that_is_no_page_is_refused():
    fd = os.memfd_create("x")
    os.ftruncate(fd, 17)
    with pytest.raises(GateError):
        GatePage.open(fd)
    os.close(fd)


def test_the_allocator_hands_out_each_slot_once():
    allocator = GateAllocator(4)
    assert [allocator.allocate() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(GatesExhausted):
        allocator.allocate()


def test_a_slot_used_again_goes_on_from_its_last_version():
    allocator = GateAllocator(4)
    slot = allocator.allocate()
    assert allocator.next_version(slot) == Gate(slot, 1)
    assert allocator.next_version(slot) == Gate(slot, 2)
    allocator.release(slot)
    assert allocator.allocate() == slot
    assert allocator.next_version(slot) == Gate(slot, 3)


def test_a_slot_that_is_not_handed_out_has_no_next_version():
    allocator = GateAllocator(4)
    with pytest.raises(GateError):
        allocator.next_version(1)
    with pytest.raises(GateError):
        allocator.release(1)
