"""Fuzz target: what a partner answers to a takedown notice."""

from rebroadcast.takedowns import acknowledgement
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    # As it is compared with the code that was sent.
    acknowledgement(data).encode()


if __name__ == "__main__":
    harness.run(one_input)
