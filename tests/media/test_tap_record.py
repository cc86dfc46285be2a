"""The tap record format and its reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.tap_record import (
    HEADER_BYTES,
    LostRecord,
    RtpRecord,
    SrRecord,
    TapHeader,
    TapRecordError,
    encode_record,
    read_records,
)

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
headers = st.builds(TapHeader, u32, u16, u32, u64, u64, u32, st.integers(0, 255), u32)
records = st.one_of(
    st.builds(RtpRecord, headers, st.binary(min_size=12, max_size=1500)),
    st.builds(SrRecord, headers, u64, u32, u32),
    st.builds(LostRecord, headers, u64),
)


@given(st.lists(records, max_size=5))
def test_what_is_written_is_read(given_records):
    datagram = b"".join(encode_record(record) for record in given_records)
    assert list(read_records(datagram)) == given_records


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    try:
        list(read_records(data))
    except TapRecordError as error:
        assert 0 <= error.offset <= len(data)


@given(records, st.data())
def test_a_cut_record_is_refused(record, data):
    whole = encode_record(record)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(TapRecordError):
        list(read_records(whole[:cut]))


def test_a_header_is_forty_bytes_with_the_size_first():
    record = LostRecord(
        TapHeader(tap=1, encoding_index=2, gate_slot=3, gate_version=4, arrival_ns=5, ssrc=6), 7
    )
    data = encode_record(record)
    assert HEADER_BYTES == 40
    assert data[:8].hex() == "3000000003000200"
    assert len(data) == 48


def test_a_record_names_its_codec():
    names = [TapHeader(1, 0, 0, 0, 0, 0, codec=number).codec_name for number in (0, 3, 6, 99)]
    assert names == [None, "vp8", "av1", None]


def test_a_record_of_an_unknown_kind_is_passed_over():
    known = LostRecord(TapHeader(1, 0, 0, 0, 0, 0), 7)
    unknown = bytearray(encode_record(known))
    unknown[4] = 99
    assert list(read_records(bytes(unknown) + encode_record(known))) == [known]


def test_a_record_of_size_zero_ends_the_reading():
    with pytest.raises(TapRecordError):
        list(read_records(bytes(40)))


def test_an_empty_datagram_holds_no_records():
    assert list(read_records(b"")) == []


def test_a_record_above_the_datagram_size_is_not_written():
    with pytest.raises(TapRecordError):
        encode_record(RtpRecord(TapHeader(1, 0, 0, 0, 0, 0), bytes(60_000)))
