"""Fuzz target: VP8 payloads, one by one and as a frame."""

from media.vp8 import Vp8Error, depayload, is_frame_start
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    payloads = list(harness.split(data))
    for payload in payloads:
        try:
            is_frame_start(payload)
        except Vp8Error:
            continue
    try:
        frame = depayload(payloads)
    except Vp8Error:
        return
    if not frame.data:
        raise AssertionError("a frame without data")


if __name__ == "__main__":
    harness.run(one_input)
