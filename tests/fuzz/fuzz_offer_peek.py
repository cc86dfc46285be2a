"""Fuzz target: the look at an offer before it is negotiated."""

from rooms.offer import peek
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    seen = peek(data.decode("latin-1"))
    assert seen.sending <= set(seen.kinds)
    assert len(seen.connection) <= 64 + 1 + 256


if __name__ == "__main__":
    harness.run(one_input)
