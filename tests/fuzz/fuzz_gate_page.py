"""Fuzz target: a gate page as another process left it: open is what its words say, and nothing beyond it."""

import os
import struct

from media.gates import SLOT_BYTES, GateError, GatePage
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    fd = os.memfd_create("gates", os.MFD_CLOEXEC)
    os.write(fd, data)
    try:
        page = GatePage.open(fd)
    except GateError:
        os.close(fd)
        if len(data) >= 2 * SLOT_BYTES and not len(data) % SLOT_BYTES:
            raise
        return
    try:
        _look(page, struct.unpack(f"<{page.slots}Q", data))
    finally:
        page.close()


def _look(page: GatePage, words: tuple[int, ...]) -> None:
    for slot, word in enumerate(words):
        assert page.value(slot) == word
        assert page.read(slot) == word >> 1
        assert page.is_open(slot, word >> 1) == (slot > 0 and word & 1 == 1)
        assert not page.is_open(slot, (word >> 1) + 1)
    for slot in (-1, 0, len(words), 2**32):
        assert not page.is_open(slot, 0)


if __name__ == "__main__":
    harness.run(one_input)
