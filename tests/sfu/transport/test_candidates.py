import random

import pytest

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.transport import credentials, host_candidates, normalise_ip, parse_candidate


def test_credentials_are_long_random_and_of_ice_characters():
    rng = random.Random(1)
    drawn = [credentials(rng) for _ in range(100)]
    assert len({ufrag for ufrag, _ in drawn}) == 100
    for ufrag, pwd in drawn:
        assert len(ufrag) >= 8
        assert len(pwd) >= 24
        assert grammar.ICE_UFRAG.fullmatch(ufrag)
        assert grammar.ICE_PWD.fullmatch(pwd)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
    ],
)
def test_an_address_has_one_spelling(text, normal):
    assert normalise_ip(text) == normal


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="does not appear"):
        normalise_ip(text)


def test_host_candidates_keep_the_order_by_falling_priority():
    lines = host_candidates([("198.51.100.7", 7882), ("2001:db8::7", 7882)])
    assert lines == (
        "1 1 udp 2130706431 198.51.100.7 7882 typ host",
        "2 1 udp 2130706175 2001:db8::7 7882 typ host",
    )
    assert all(grammar.CANDIDATE.fullmatch(line) for line in lines)


def test_tcp_candidates_are_passive_and_come_after_every_udp_one():
    lines = host_candidates([("198.51.100.7", 7882)], [("198.51.100.7", 7881), ("2001:db8::7", 7881)])
    assert lines[1:] == (
        "2 1 tcp 1520435199 198.51.100.7 7881 typ host tcptype passive",
        "3 1 tcp 1520434943 2001:db8::7 7881 typ host tcptype passive",
    )
    assert all(grammar.CANDIDATE.fullmatch(line) for line in lines)
    assert parse_candidate(lines[1]).protocol == "tcp"


@pytest.mark.parametrize(
    "address", [("0.0.0.0", 1), ("::", 1), ("192.0.2.1", 0), ("192.0.2.1", 65_536), ("host", 1)]
)
def test_what_nobody_can_reach_is_no_candidate(address):
    with pytest.raises(ValueError):
        host_candidates([address])


def test_a_peers_candidate_is_read():
    candidate = parse_candidate("candidate:1 1 UDP 2122252543 fd00::2 53852 typ host generation 0")
    assert (candidate.protocol, candidate.ip, candidate.port) == ("udp", "fd00::2", 53852)
    assert parse_candidate("1 1 udp 1 6a2f-7c.local 9 typ host").ip == ""


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1 1 udp x 192.0.2.1 9 typ host",
        "1 1 sctp 1 192.0.2.1 9 typ host",
        "1 1 udp 1 192.0.2.1 99999 typ host",
    ],
)
def test_malformed_candidates_are_refused(value):
    with pytest.raises(SdpError):
        parse_candidate(value)
