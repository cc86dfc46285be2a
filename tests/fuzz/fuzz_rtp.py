"""Fuzz target: RTP packets."""

from media.rtp import RtpError, parse_rtp
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    try:
        packet = parse_rtp(data)
    except RtpError:
        return
    if len(packet.payload) > len(data) - 12:
        raise AssertionError("a payload longer than its packet")


if __name__ == "__main__":
    harness.run(one_input)
