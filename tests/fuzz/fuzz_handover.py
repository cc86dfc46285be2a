"""Fuzz target: a datagram that hands a part of a recording over, with none, one or two files."""

import os

from rebroadcast.worker.handover import _opened
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    for count in range(3):
        fds = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(count)]
        part = _opened(data, fds)
        if part is None:
            continue
        if count != 1:
            raise AssertionError("a part without its one file")
        part.file.close()


if __name__ == "__main__":
    harness.run(one_input)
