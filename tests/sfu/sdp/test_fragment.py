import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import NegotiationError, SdpError
from sfu.sdp import CodecPolicy, LocalTransport, answer_publish, parse_fragment, write_fragment
from tests.sfu.sdp.descriptions import AUDIO, FINGERPRINT, VIDEO, description, local, section

_FRAGMENT = (
    "a=ice-ufrag:EsAw\r\n"
    "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
    "a=mid:0\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n"
    "a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 0\r\n"
    "a=mid:1\r\n"
    "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
    "a=end-of-candidates\r\n"
)


def test_a_fragment_gives_credentials_and_candidates_by_mid():
    fragment = parse_fragment(_FRAGMENT)
    assert (fragment.ufrag, fragment.pwd) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [mid for mid, _ in fragment.candidates] == ["0", "0", "1"]
    assert fragment.end_of_candidates


def test_a_fragment_may_leave_credentials_out():
    fragment = parse_fragment("a=mid:0\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\n")
    assert fragment.ufrag is None
    assert not fragment.end_of_candidates


def test_an_ice_restart_is_answered_with_our_credentials():
    negotiation = answer_publish(
        description(section(AUDIO, "a"), section(VIDEO, "v")), CodecPolicy(), local()
    )
    fresh = local(ufrag="freshufrag12", pwd="f" * 24)
    fragment = parse_fragment(write_fragment(fresh, negotiation.agreed).replace("a=ice-lite\r\n", ""))
    assert (fragment.ufrag, fragment.pwd) == ("freshufrag12", "f" * 24)
    assert fragment.candidates == (("a", fresh.candidates[0]),)
    assert fragment.end_of_candidates


def test_a_peer_without_live_sections_has_nothing_to_restart():
    first = answer_publish(description(section(AUDIO, "a")), CodecPolicy(), local())
    stopped = ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=mid:a"]
    second = answer_publish(description(stopped, bundle=""), CodecPolicy(), local(), previous=first)
    with pytest.raises(NegotiationError, match="live"):
        write_fragment(local(), second.agreed)


def test_no_value_of_ours_can_end_its_line():
    negotiation = answer_publish(description(section(AUDIO, "a")), CodecPolicy(), local())
    with pytest.raises(SdpError):
        write_fragment(LocalTransport("abcd\r\n", "f" * 24, FINGERPRINT, (), 1), negotiation.agreed)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("v=0\r\n", "a= and m= lines only"),
        ("a=ice-ufrag:x\r\n", "malformed"),
        ("a=ice-ufrag:abcd\r\n", "together"),
        ("a=ice-ufrag:abcd\r\na=ice-ufrag:efgh\r\n", "two different"),
        ("a=mid:a b\r\n", "short token"),
        ("a=candidate:x\r\n" * 65, "more than 64 candidates"),
        ("m=audio 9 X 0\r\n" * 65, "more than 64 sections"),
        ("a=x\r\n" * 4000, "longer than 16384"),
        ("a=mid:\x00\r\n", "control"),
    ],
)
def test_broken_fragments_are_refused(text, complaint):
    with pytest.raises(SdpError, match=complaint):
        parse_fragment(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_fragments_raise_nothing_but_the_documented_error(data):
    place = data.draw(st.integers(0, len(_FRAGMENT)))
    junk = data.draw(st.text(st.characters(exclude_categories=()), max_size=8))
    cut = data.draw(st.integers(0, 20))
    with contextlib.suppress(SdpError):
        parse_fragment(_FRAGMENT[:place] + junk + _FRAGMENT[place + cut :])
