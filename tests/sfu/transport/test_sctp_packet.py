"""SCTP packets are read whole or refused for a named reason."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.sctp_packet import (
    Control,
    Data,
    End,
    ForwardTsn,
    Handshake,
    Init,
    Reset,
    ResetAnswer,
    Sack,
    SctpError,
    SctpPacket,
    parse_sctp,
)
from tests.sfu.transport.sctp import TAG, chunk, data, forward, init, packet, parameter, reset, sack

CAPTURES = sorted((Path(__file__).parents[2] / "fixtures" / "sctp").glob("*.bin"))


def reason(raw: bytes) -> str:
    with pytest.raises(SctpError) as caught:
        parse_sctp(raw)
    return caught.value.reason


def captured(path: Path) -> list[bytes]:
    """The packets of a capture, each behind its length."""
    raw, packets = path.read_bytes(), []
    while raw:
        (size,) = struct.unpack_from("!H", raw)
        packets.append(raw[2 : 2 + size])
        raw = raw[2 + size :]
    return packets


def test_what_peers_send_is_read() -> None:
    raw = packet(
        chunk(10, b"cookie"),
        data(2_000, 3, b"hello"),
        sack(9, (2, 4), duplicates=(7,)),
        forward(1_999, (1, 5)),
        reset(11, 12, 0, 1),
        chunk(130, parameter(16, struct.pack("!LL", 5, 1))),
        chunk(4, parameter(1, b"info")),
        chunk(6),
        chunk(0x84, b"padding"),
    )
    assert parse_sctp(raw) == SctpPacket(
        5_000,
        5_000,
        TAG,
        (
            Handshake(),
            Data(2_000, 3, 5),
            Sack(9, ((2, 4),)),
            ForwardTsn(1_999, (1,)),
            Reset(11, 12, (0, 1)),
            ResetAnswer(5),
            Control(),
            End(),
            Control(),
        ),
    )
    assert parse_sctp(packet(init(7, 9), tag=0)).chunks == (Init(7, 9, False),)
    cookie = parameter(7, b"c" * 30)
    assert parse_sctp(packet(init(7, 9, cookie, kind=2))).chunks == (Init(7, 9, True),)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_packet_of_a_browser_is_read(path: Path) -> None:
    packets = [parse_sctp(raw) for raw in captured(path)]
    kinds = {type(found) for one in packets for found in one.chunks}
    assert {Init, Handshake, Data, Sack} <= kinds


def test_there_are_captures_of_both_browsers() -> None:
    assert {path.stem.split("-")[0] for path in CAPTURES} == {"chromium", "firefox"}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"", "too_short"),
        (packet(), "too_short"),
        (packet(data(payload=bytes(2_048))), "too_long"),
        (bytes(12) + data(), "checksum"),
        (packet(chunk(11), b"\0\0"), "chunk_length"),
        (packet(chunk(11, length=3)), "chunk_length"),
        (packet(chunk(11, length=0)), "chunk_length"),
        (packet(chunk(4, length=400)), "chunk_length"),
        (packet(*[chunk(0x84)] * 65), "chunk_count"),
        (packet(chunk(64, b"idata")), "chunk_type"),
        (packet(init(), data()), "bundled"),
        (packet(chunk(14), chunk(11)), "bundled"),
        (packet(chunk(0, bytes(11))), "empty_data"),
        (packet(data(payload=b"")), "empty_data"),
        (packet(chunk(1, bytes(15))), "init"),
        (packet(init(tag=0)), "init"),
        (packet(init(streams=(0, 1))), "init"),
        (packet(init(streams=(1, 0))), "init"),
        (packet(init(window=100)), "init"),
        (packet(init(kind=2)), "init"),
        (packet(init(7, 9, parameter(7, bytes(1_500)), kind=2)), "init"),
        (packet(init(7, 9, parameter(5, length=0))), "parameter_length"),
        (packet(init(7, 9, parameter(5, length=99))), "parameter_length"),
        (packet(init(7, 9, *[parameter(5)] * 33)), "parameter_count"),
        (packet(chunk(3, bytes(11))), "sack"),
        (packet(chunk(3, struct.pack("!LLHH", 1, 1, 9, 0))), "sack"),
        (packet(chunk(3, struct.pack("!LLHH", 1, 1, 0, 65_535))), "sack"),
        (packet(sack(1, *[(1, 1)] * 257)), "sack"),
        (packet(chunk(192, b"abc")), "forward_tsn"),
        (packet(chunk(192, bytes(6))), "forward_tsn"),
        (packet(forward(1, *[(0, 0)] * 40)), "forward_tsn"),
        (packet(chunk(130)), "reconfig"),
        (packet(reset(1, 2)), "reconfig"),
        (packet(reset(1, 2, *range(40))), "reconfig"),
        (packet(chunk(130, parameter(17, bytes(8)))), "reconfig"),
        (packet(chunk(130, parameter(16, b"abc"))), "reconfig"),
        (packet(chunk(130, parameter(13, bytes(14)) * 2)), "reconfig"),
        (packet(chunk(130, parameter(13, length=0))), "parameter_length"),
        (packet(chunk(4, parameter(1, length=2))), "parameter_length"),
        (packet(chunk(9, b"ab")), "parameter_length"),
        (packet(chunk(10)), "cookie"),
        (packet(chunk(11, b"no")), "cookie"),
    ],
)
def test_malformed_packets_have_a_named_reason(raw: bytes, wanted: str) -> None:
    assert reason(raw) == wanted


def test_every_truncation_is_refused() -> None:
    whole = packet(data(payload=b"hello there!"), sack(9, (2, 4)))
    assert [size for size in range(len(whole)) if not reason(whole[:size])] == []
    borders = {12 + len(data(payload=b"hello there!")), len(whole)}
    for size in range(13, len(whole)):
        if size not in borders:
            assert reason(packet(whole[12:size])) in {"too_short", "chunk_length"}


@given(st.binary(max_size=1_500))
def test_any_bytes_raise_nothing_but_the_documented_error(raw: bytes) -> None:
    for one in (raw, packet(raw), packet(chunk(1, raw)), packet(chunk(130, raw)), packet(chunk(3, raw))):
        try:
            parse_sctp(one)
        except SctpError as error:
            assert error.reason.replace("_", "").isalpha()


@given(st.data())
def test_mutated_packets_of_browsers_raise_nothing_but_the_documented_error(draw: st.DataObject) -> None:
    raw = bytearray(draw.draw(st.sampled_from([one for path in CAPTURES for one in captured(path)])))
    for _ in range(draw.draw(st.integers(1, 6))):
        raw[draw.draw(st.integers(12, len(raw) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(SctpError):
        parse_sctp(packet(bytes(raw[12:])))
