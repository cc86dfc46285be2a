"""The wire: bombs are refused fast and small; what is within the limits passes."""

import json
import math
import struct
import time
import tracemalloc
from collections.abc import Callable

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.wire import MAX_MESSAGE_BYTES, Encoding, WireError

MSGPACK_BOMBS: dict[str, bytes] = {
    "an array that claims four billion": b"\xdd\xff\xff\xff\xff",
    "a map that claims four billion": b"\xdf\xff\xff\xff\xff",
    "a string that claims four gigabytes": b"\xdb\xff\xff\xff\xffx",
    "bytes that claim four gigabytes": b"\xc6\xff\xff\xff\xffx",
    "an extension that claims four gigabytes": b"\xc9\xff\xff\xff\xff\x01x",
    "arrays nested a hundred thousand deep": b"\x91" * 100_000 + b"\xc0",
    "arrays nested seventeen deep": b"\x91" * 18 + b"\xc0",
    "maps nested deep": b"\x81\xa1a" * 40_000 + b"\xc0",
    "a million nils": b"\xdd\x00\x0f\x42\x40" + b"\xc0" * 1_000_000,
    "many nils within the size": b"\xdd\x00\x03\xe8" + (b"\xdc\x00\xff" + b"\xc0" * 255) * 1_000,
    "sixty thousand values in small arrays": b"\xdc\x00\xff" + (b"\xdc\x00\xff" + b"\xc0" * 255) * 255,
    "many keys": msgpack.packb({str(number): None for number in range(300)}),
    "doubled keys": b"\x82\xa1a\x01\xa1a\x02",
    "keys that are not strings": b"\x81\x01\x02",
    "a key that is an array": b"\x81\x91\x01\x02",
    "not a number": msgpack.packb({"a": math.nan}),
    "infinity": b"\x81\xa1a" + b"\xcb" + struct.pack(">d", math.inf),
    "a timestamp": b"\xd6\xff\x00\x00\x00\x00",
    "an extension": b"\xd4\x05\x00",
    "an empty extension": b"\xc7\x00\x05",
    "bytes": b"\xc4\x01x",
    "empty bytes": b"\xc4\x00",
    "half a surrogate pair": b"\xa3\xed\xa0\x80",
    "not UTF-8": b"\xa2\xff\xfe",
    "the reserved byte": b"\xc1",
    "two values": b"\x01\x02",
    "a value cut short": b"\x92\x01",
    "nothing": b"",
    "a number of 64 bits without sign": b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    "too long": b"\xdb\x00\x05\x00\x00" + b"x" * 0x50000,
}

JSON_BOMBS: dict[str, bytes] = {
    "arrays nested a hundred thousand deep": b"[" * 100_000 + b"]" * 100_000,
    "objects nested deep": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "nested seventeen deep": b"[" * 18 + b"]" * 18,
    "doubled keys": b'{"a": 1, "a": 2}',
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number that overflows": b'{"a": 1e999}',
    "a number of a hundred thousand digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "a number of 65 bits": b'{"a": 18446744073709551616}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "not UTF-8": b'{"a": "\xff"}',
    "many values": b"[" + b"0," * 100_000 + b"0]",
    "two values": b"1 2",
    "nothing": b"",
    "cut short": b'{"a": ',
    "too long": b'"' + b"x" * MAX_MESSAGE_BYTES + b'"',
    "a byte order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [(Encoding.MSGPACK, name) for name in MSGPACK_BOMBS] + [(Encoding.JSON, name) for name in JSON_BOMBS],
)
def test_a_bomb_is_refused_within_50_ms_and_20_mb(encoding: Encoding, bomb: str) -> None:
    data = (MSGPACK_BOMBS if encoding is Encoding.MSGPACK else JSON_BOMBS)[bomb]
    best = math.inf
    for _ in range(3):
        started = time.thread_time()
        with pytest.raises(WireError):
            encoding.decode(data)
        best = min(best, time.thread_time() - started)
    assert best < 0.05
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            encoding.decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20


@pytest.mark.parametrize("encoding", list(Encoding))
def test_what_is_within_the_limits_passes(encoding: Encoding) -> None:
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "params": {
            "sdp": "v=0\r\n" * 13_000,
            "uses": {"live": True},
            "none": None,
            "half": 0.5,
            "ä": ["ö", -1],
        },
    }
    assert encoding.decode(encoding.encode(message)) == message


@pytest.mark.parametrize("depth", [1, 16])
def test_sixteen_levels_are_allowed(depth: int) -> None:
    assert Encoding.MSGPACK.decode(b"\x91" * depth + b"\xc0")
    assert Encoding.JSON.decode(b"[" * (depth + 1) + b"]" * (depth + 1)) is not None


def test_structs_are_encoded_the_same_in_both() -> None:
    class Thing(msgspec.Struct):
        number: int
        text: str

    thing = Thing(7, "x")
    assert msgpack.unpackb(Encoding.MSGPACK.encode(thing)) == json.loads(Encoding.JSON.encode(thing))


@given(st.binary(max_size=400))
def test_any_msgpack_is_a_value_or_the_one_error(data: bytes) -> None:
    _decodes_or_refuses(Encoding.MSGPACK.decode, data)


@given(st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_json_is_a_value_or_the_one_error(data: bytes) -> None:
    _decodes_or_refuses(Encoding.JSON.decode, data)


def _decodes_or_refuses(decode: Callable[[bytes], object], data: bytes) -> None:
    try:
        decode(data)
    except WireError:
        return
