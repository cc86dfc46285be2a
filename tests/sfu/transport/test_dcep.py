"""Messages of data channels: what opens them, and what no channel takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.dcep import ChannelKind, ChannelOpen, MessageRefused, check_message, parse_open
from tests.sfu.transport.sctp import BINARY, DCEP, channel_open

LOSSY = channel_open(b"lossy", 0x81)


def refusal(stream: int, protocol: int, raw: bytes, **changes: object) -> str:
    values = {"channels": {0}, "kinds": {"reliable"}, "limit": 100} | changes
    try:
        check_message(stream, protocol, raw, **values)  # type: ignore[arg-type]
    except MessageRefused as error:
        return error.reason
    return ""


def test_both_kinds_are_opened() -> None:
    assert parse_open(channel_open()) == ChannelOpen(ChannelKind.RELIABLE)
    assert parse_open(LOSSY) == ChannelOpen(ChannelKind.LOSSY)
    assert refusal(1, DCEP, LOSSY) == ""
    assert refusal(0, BINARY, b"hello") == ""
    assert refusal(0, 57, b"\0") == ""


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"", "dcep"),
        (b"\2", "dcep"),  # an acknowledgement of what was never opened from here
        (channel_open()[:11], "dcep"),
        (channel_open()[:-1], "dcep_length"),
        (channel_open() + b"x", "dcep_length"),
        (channel_open(b"chat"), "channel_label"),
        (channel_open(b"\xff\xfe"), "channel_label"),
        (channel_open(b"r" * 300), "channel_label"),
        (channel_open(protocol=b"p"), "channel_label"),
        (channel_open(kind=0x80), "channel_type"),
        (channel_open(b"lossy"), "channel_type"),
        (channel_open(b"lossy", 0x81, 3), "channel_type"),
        (channel_open(kind=0x7F), "channel_type"),
    ],
)
def test_other_openings_are_refused_under_their_reason(raw: bytes, wanted: str) -> None:
    assert refusal(1, DCEP, raw, kinds=()) == wanted


@pytest.mark.parametrize(
    ("stream", "protocol", "raw", "wanted"),
    [
        (0, DCEP, LOSSY, "channel_open"),
        (1, DCEP, channel_open(), "channel_open"),
        (5, BINARY, b"x", "no_channel"),
        (0, BINARY, bytes(101), "too_large"),
        (0, 51, b"text", "text"),
        (0, 56, b"\0", "text"),
        (0, 99, b"x", "protocol"),
    ],
)
def test_messages_that_no_channel_takes_are_refused(
    stream: int, protocol: int, raw: bytes, wanted: str
) -> None:
    assert refusal(stream, protocol, raw) == wanted


@given(st.binary(max_size=400), st.integers(0, 2**32 - 1))
def test_any_message_raises_nothing_but_the_documented_error(raw: bytes, protocol: int) -> None:
    refusal(1, protocol, raw)
    refusal(1, DCEP, b"\3" + raw)
