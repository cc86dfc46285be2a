"""RTP packets and wrapping counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp import RtpError, RtpPacket, Unwrapper, parse_rtp
from tests.media.packetise import rtp


def test_a_packet_is_parsed():
    packet = parse_rtp(rtp(b"media", seq=65535, rtp_ts=2**32 - 1, ssrc=7, payload_type=111, marker=True))
    assert packet == RtpPacket(111, True, 65535, 2**32 - 1, 7, b"media")


@given(
    st.binary(max_size=50),
    st.integers(0, 255),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
    st.one_of(st.none(), st.integers(0, 10).map(lambda words: bytes(4 * words))),
)
def test_sources_extension_and_padding_are_taken_off(payload, padding, csrcs, extension):
    packet = rtp(payload, padding=padding, csrcs=csrcs, extension=extension)
    assert parse_rtp(packet).payload == payload


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_or_refused(data):
    try:
        assert len(parse_rtp(data).payload) <= len(data) - 12
    except RtpError as error:
        assert 0 <= error.offset <= max(12, len(data))


@pytest.mark.parametrize("size", range(12))
def test_a_packet_shorter_than_its_header_is_refused(size):
    with pytest.raises(RtpError):
        parse_rtp(rtp()[:size])


@pytest.mark.parametrize("padding", [0, 6, 255])
def test_padding_of_nothing_or_more_than_there_is_is_refused(padding):
    packet = bytearray(rtp(b"12345"))
    packet[0] |= 0x20
    packet[-1] = padding
    with pytest.raises(RtpError):
        parse_rtp(bytes(packet))


def test_a_packet_of_padding_only_has_an_empty_payload():
    assert parse_rtp(rtp(padding=20)).payload == b""


def test_an_extension_beyond_the_end_is_refused():
    packet = bytearray(rtp(extension=bytes(4)))
    packet[15] = 2
    with pytest.raises(RtpError):
        parse_rtp(bytes(packet))


def test_another_version_is_refused():
    with pytest.raises(RtpError):
        parse_rtp(b"\x40" + bytes(20))


def test_a_counter_goes_on_over_the_wrap_and_takes_reordering_back():
    unwrapper = Unwrapper(16)
    assert [unwrapper.unwrap(seq) for seq in (65534, 65535, 0, 65535, 2, 1)] == [
        65534, 65535, 65536, 65535, 65538, 65537,
    ]  # fmt: skip


def test_a_look_does_not_move_the_counter():
    unwrapper = Unwrapper(16)
    unwrapper.unwrap(65535)
    assert unwrapper.peek(3) == 65539
    assert unwrapper.unwrap(65534) == 65534


@given(st.lists(st.integers(-3000, 20000), min_size=1, max_size=50))
def test_unwrapping_follows_any_walk_of_small_steps(steps):
    unwrapper = Unwrapper(16)
    position = 30_000
    newest = unwrapper.unwrap(position)
    for step in steps:
        value = newest + step
        assert unwrapper.unwrap(value % 65536) == value
        newest = max(newest, value)
