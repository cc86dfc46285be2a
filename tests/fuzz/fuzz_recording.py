"""Fuzz target: what a recording's folder says of itself: journals, history, manifest."""

import contextlib

from recorder.errors import ManifestInvalid
from recorder.history import build
from recorder.journal import read_lines
from recorder.manifest import verify
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    lines = list(read_lines(data))
    with contextlib.suppress(ManifestInvalid):
        build(lines, lines, (), ())
    try:
        verify(data)
    except ManifestInvalid:
        return


if __name__ == "__main__":
    harness.run(one_input)
