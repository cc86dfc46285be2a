"""Fuzz target: a trickle fragment (WHIP and WHEP PATCH)."""

import contextlib

from sfu.errors import SdpError
from sfu.sdp import parse_fragment
from sfu.transport import parse_candidate
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    try:
        fragment = parse_fragment(data.decode("utf-8", "replace"))
    except SdpError:
        return
    if (fragment.ufrag is None) != (fragment.pwd is None):
        raise AssertionError("half of the credentials")
    for _, candidate in fragment.candidates:
        with contextlib.suppress(SdpError):
            parse_candidate(candidate)


if __name__ == "__main__":
    harness.run(one_input)
