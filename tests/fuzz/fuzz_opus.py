"""Fuzz target: Opus payloads, one by one and as a frame."""

from media.opus import OpusError, depayload, is_frame_start
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    payloads = list(harness.split(data))
    for payload in payloads:
        try:
            is_frame_start(payload)
        except OpusError:
            continue
    try:
        frame = depayload(payloads)
    except OpusError:
        return
    if not frame.data:
        raise AssertionError("a frame without data")


if __name__ == "__main__":
    harness.run(one_input)
