import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebroadcast.worker.rtmp.chunk import (
    MAX_MESSAGE_BYTES,
    ChunkError,
    ChunkReader,
    Message,
    write_message,
)

messages = st.builds(
    Message,
    type_id=st.sampled_from([3, 4, 8, 9, 18, 20]),
    stream_id=st.integers(0, 2**32 - 1),
    timestamp_ms=st.integers(0, 2**32 - 1),
    payload=st.binary(min_size=1, max_size=1000),
)


def read_all(data, piece=None):
    reader = ChunkReader()
    pieces = [data] if piece is None else [data[i : i + piece] for i in range(0, len(data), piece)]
    return [message for part in pieces for message in reader.receive(part)]


@given(st.lists(messages, max_size=5), st.integers(1, 300))
def test_written_messages_read_back_whatever_the_pieces(items, piece):
    data = b"".join(write_message(m, chunk_stream=3, chunk_bytes=128) for m in items)
    assert read_all(data, piece) == items


@given(st.binary(max_size=400))
def test_any_bytes_give_messages_or_the_documented_error(data):
    with contextlib.suppress(ChunkError):
        read_all(data)


def test_a_new_chunk_size_holds_for_the_next_message():
    size = write_message(Message(1, 0, 0, (4096).to_bytes(4, "big")), chunk_stream=2, chunk_bytes=128)
    big = Message(20, 0, 7, bytes(3000))
    assert read_all(size + write_message(big, chunk_stream=3, chunk_bytes=4096)) == [big]


def test_messages_of_two_chunk_streams_may_interleave():
    first, second = Message(9, 1, 5, b"v" * 200), Message(8, 1, 6, b"a" * 150)
    v = write_message(first, chunk_stream=6, chunk_bytes=128)
    a = write_message(second, chunk_stream=4, chunk_bytes=128)
    v_cut, a_cut = 12 + 128, 12 + 128
    assert read_all(v[:v_cut] + a[:a_cut] + v[v_cut:] + a[a_cut:]) == [first, second]


def test_a_delta_header_adds_to_the_last_timestamp():
    full = write_message(Message(8, 1, 1000, b"a"), chunk_stream=4, chunk_bytes=128)
    delta = bytes([0x80 | 4]) + (20).to_bytes(3, "big") + b"b"
    again = bytes([0xC0 | 4]) + b"c"
    assert [m.timestamp_ms for m in read_all(full + delta + again)] == [1000, 1020, 1040]


def test_an_aborted_message_is_forgotten():
    cut = write_message(Message(9, 1, 5, b"v" * 200), chunk_stream=6, chunk_bytes=128)[: 12 + 128]
    abort = write_message(Message(2, 0, 0, (6).to_bytes(4, "big")), chunk_stream=2, chunk_bytes=128)
    whole = Message(9, 1, 6, b"w" * 10)
    assert read_all(cut + abort + write_message(whole, chunk_stream=6, chunk_bytes=128)) == [whole]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xc3abc", "without a full header"),
        (b"\x03" + bytes(3) + (MAX_MESSAGE_BYTES + 1).to_bytes(3, "big") + bytes(5), "are allowed"),
        (write_message(Message(1, 0, 0, bytes(4)), chunk_stream=2, chunk_bytes=128), "chunk size of 0"),
        (write_message(Message(1, 0, 0, b"\x00"), chunk_stream=2, chunk_bytes=128), "chunk size of 0"),
        (
            write_message(Message(9, 1, 5, b"v" * 200), chunk_stream=6, chunk_bytes=128)[:140] * 2,
            "inside another",
        ),
    ],
)
def test_broken_chunk_streams_are_refused(data, reason):
    with pytest.raises(ChunkError, match=reason):
        read_all(data)


def test_the_number_of_chunk_streams_is_bounded():
    data = b"".join(
        bytes([0x00, number]) + bytes(3) + (2).to_bytes(3, "big") + b"\x08" + bytes(4) + b"xx"
        for number in range(65)
    )
    with pytest.raises(ChunkError, match="chunk streams"):
        read_all(data)
