"""Fuzz target: torn recording files."""

import io

from media.containers import whole_end
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    for extension in ("mp4", "webm"):
        if not 0 <= whole_end(io.BytesIO(data), extension) <= len(data):
            raise AssertionError("whole beyond the end")


if __name__ == "__main__":
    harness.run(one_input)
