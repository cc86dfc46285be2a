"""Fuzz target: VP9 payloads, one by one and as a frame."""

from media.vp9 import Vp9Error, depayload, is_frame_start
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    payloads = list(harness.split(data))
    for payload in payloads:
        try:
            is_frame_start(payload)
        except Vp9Error:
            continue
    try:
        frame = depayload(payloads)
    except Vp9Error:
        return
    if not frame.data:
        raise AssertionError("a frame without data")


if __name__ == "__main__":
    harness.run(one_input)
