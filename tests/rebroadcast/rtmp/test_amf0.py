import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebroadcast.worker.rtmp import amf0

scalars = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40)
keys = st.text(min_size=1, max_size=10)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=5))
def test_what_is_encoded_decodes_to_itself(items):
    assert amf0.decode(amf0.encode(*items)) == items


@given(st.binary(max_size=200))
def test_any_bytes_give_values_or_the_documented_error(data):
    try:
        amf0.decode(data)
    except amf0.Amf0Error as error:
        assert 0 <= error.offset <= len(data)


def test_a_string_over_64_kib_uses_the_long_form():
    text = "x" * 70_000
    assert amf0.encode(text)[0] == 0x0C
    assert amf0.decode(amf0.encode(text)) == [text]


def test_an_ecma_array_reads_as_an_object():
    data = b"\x08\x00\x00\x00\x01" + b"\x00\x01a" + b"\x00" + struct.pack(">d", 1.5) + b"\x00\x00\x09"
    assert amf0.decode(data) == [{"a": 1.5}]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00\x01", "bytes wanted"),
        (b"\x02\x00\x01\xff", "UTF-8"),
        (b"\x11", "unknown marker"),
        (b"\x0a\xff\xff\xff\xff", "array of 4294967295"),
        (b"\x03\x00\x01a" * 20, "nested deeper"),
        (b"\x05" * 2000, "more than 1024"),
        (b"\x03\x00\x01a\x05", "bytes wanted"),
    ],
)
def test_hostile_values_are_refused(data, reason):
    with pytest.raises(amf0.Amf0Error, match=reason):
        amf0.decode(data)
