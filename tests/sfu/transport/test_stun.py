import contextlib
import struct
from pathlib import Path

import pytest
from aioice import stun
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sfu.transport.stun import (
    StunError,
    binding_error,
    binding_request,
    binding_success,
    parse_stun,
)

_PWD = "p" * 24
_TRANSACTION = b"transaction!"
_CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "fuzz_stun"


def request(*, username="ourufrag1234:them", pwd=_PWD, use_candidate=True, transaction=_TRANSACTION):
    return binding_request(transaction, username, pwd, priority=1, tie_breaker=2, use_candidate=use_candidate)


def framed(*attributes: tuple[int, bytes], kind: int = 1) -> bytes:
    """An unsigned message with raw attributes."""
    body = b"".join(struct.pack("!HH", type_, len(v)) + v + bytes(-len(v) % 4) for type_, v in attributes)
    return struct.pack("!HHI12s", kind, len(body), stun.COOKIE, _TRANSACTION) + body


def test_a_check_is_read_and_authenticated():
    message = parse_stun(request())
    assert message.is_request
    assert message.username == "ourufrag1234:them"
    assert message.use_candidate
    assert message.is_controlling
    assert not message.is_controlled
    assert message.unknown == ()
    assert message.is_authentic(_PWD)
    assert not message.is_authentic("q" * 24)


@pytest.mark.parametrize(("ip", "port"), [("192.0.2.1", 5000), ("2001:db8::1", 65_535)])
def test_a_success_carries_the_mapped_address_and_a_fingerprint(ip, port):
    data = binding_success(_TRANSACTION, ip, port, _PWD)
    theirs = stun.parse_message(data)
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == (ip, port)
    assert "FINGERPRINT" in theirs.attributes
    assert parse_stun(data).is_success
    assert parse_stun(data).is_authentic(_PWD)


def test_an_error_lists_the_unknown_attributes():
    data = binding_error(_TRANSACTION, 420, "Unknown Attribute", _PWD, (0x7FFF, 0x0033, 0x0034))
    message = parse_stun(data)
    assert message.is_error
    assert message.error == 420
    assert message.is_authentic(_PWD)
    assert struct.pack("!HH3H", 0x000A, 6, 0x7FFF, 0x0033, 0x0034) in data


def test_unknown_comprehension_required_attributes_are_found():
    message = parse_stun(framed((0x0006, b"abcd"), (0x7F01, b"x"), (0xC057, b"network"), (0x0002, b"")))
    assert message.unknown == (0x7F01, 0x0002)


def test_attributes_behind_the_signature_count_for_nothing():
    signed = bytearray(stun.Message(stun.Method.BINDING, stun.Class.REQUEST, _TRANSACTION).__bytes__())
    signed += struct.pack("!HH", 0x0008, 20) + stun.message_integrity(bytes(signed), _PWD.encode())
    signed += struct.pack("!HHHH", 0x0025, 0, 0x7F01, 0)  # USE-CANDIDATE and an unknown one
    struct.pack_into("!H", signed, 2, len(signed) - 20)
    message = parse_stun(bytes(signed))
    assert message.is_authentic(_PWD)
    assert not message.use_candidate
    assert message.unknown == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        bytes(20),
        request()[:-1],
        request()[:-4],
        request() + b"\0" * 4,
        b"\x40" + request()[1:],
        request()[:4] + b"\0\0\0\0" + request()[8:],
        framed((0x0006, b"a" * 1280)),
        framed(*[(0x0006, b"")] * 33),
        framed()[:18] + b"\0\0" + struct.pack("!HH", 0x0006, 8),
        framed((0x0006, b"\xff\xfe")),
        framed((0x0024, b"1")),
        framed((0x0024, b"12345678")),
        framed((0x0009, b"\0")),
        framed((0x0020, b"\0\x01\0")),
        framed((0x0020, b"\0\x09\0\0\0\0\0\0")),
        framed((0x802A, b"1")),
        framed(kind=0x0003),  # ALLOCATE
        framed(kind=0x0101 | 0x2000),
        request()[:-1] + bytes([request()[-1] ^ 1]),  # FINGERPRINT
    ],
)
def test_what_is_no_binding_message_is_refused(data):
    with pytest.raises(StunError) as caught:
        parse_stun(data)
    assert caught.value.code == "invalid_stun"


@pytest.mark.parametrize("name", ["aioice-struct-error-25-bytes", "aioice-struct-error-aligned"])
def test_inputs_that_break_the_codec_are_refused_like_others(name):
    data = (_CORPUS / name).read_bytes()
    with pytest.raises(struct.error):
        stun.parse_message(data)
    with pytest.raises(StunError):
        parse_stun(data)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 91), st.integers(0, 255)), max_size=4))
@example(b"", [(3, 8)])
def test_any_bytes_raise_nothing_but_the_documented_error(junk, flips):
    mutated = bytearray(request())
    for place, value in flips:
        mutated[place % len(mutated)] = value
    for data in (junk, framed((0x0006, junk)), framed() + junk, bytes(mutated), bytes(mutated) + junk):
        with contextlib.suppress(StunError):
            parse_stun(data).is_authentic(_PWD)
