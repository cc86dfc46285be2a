"""Fuzz target: RED payloads."""

from media.red import RedError, parse_red
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    try:
        blocks = parse_red(data)
    except RedError:
        return
    if sum(len(block.data) for block in blocks) > len(data):
        raise AssertionError("more data than came")


if __name__ == "__main__":
    harness.run(one_input)
