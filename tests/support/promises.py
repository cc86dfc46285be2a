"""What is promised of time, asserted where other work shares the machine."""

from tests.support.figures import tell

STARVED_FACTOR = 4
"""A promised time holds at so many times the promise: a test machine is starved at moments."""


def assert_promised(what: str, taken_s: float, promised_s: float) -> None:
    """Tell how long something took; fail beyond `STARVED_FACTOR` times the promise."""
    tell(f"{what}: {taken_s:.3f} s, promised {promised_s:g} s")
    assert taken_s <= promised_s * STARVED_FACTOR, what
