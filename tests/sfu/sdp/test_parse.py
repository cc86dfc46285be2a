import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import SdpError
from sfu.sdp import Direction, ExtMap, Limits, Setup, parse
from sfu.sdp.model import Rid, Simulcast, SimulcastStream, SsrcGroup
from tests.sfu.sdp.descriptions import ALL, AUDIO, VIDEO, capture, description, mutated, section


@pytest.mark.parametrize("name", ALL)
def test_every_capture_is_read(name):
    parsed = parse(capture(name))

    assert parsed.media
    assert parsed.bundle is not None
    for media in parsed.media:
        assert media.mid in parsed.bundle
        assert media.fingerprints
        assert len(media.ice_ufrag) >= 4
        assert media.setup is not None


def test_chromium_simulcast_offer_keeps_rids_simulcast_and_extensions():
    [video] = parse(capture("chromium-offer-simulcast-3rid")).media

    assert video.rids == (Rid("l", sends=True), Rid("m", sends=True), Rid("h", sends=True))
    assert video.simulcast == Simulcast(send=tuple(SimulcastStream((rid,)) for rid in "lmh"))
    assert ExtMap(10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id") in video.extensions
    assert video.setup is Setup.ACTPASS
    assert video.direction is Direction.SENDONLY
    h264 = next(codec for codec in video.codecs if codec.pt == 108)
    assert h264.parameter("profile-level-id") == "42e01f"
    assert h264.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


def test_firefox_offer_takes_session_fingerprint_directions_and_groups():
    parsed = parse(capture("firefox-offer-simulcast-3rid"))
    [video] = parsed.media

    assert video.fingerprints[0].algorithm == "sha-256"
    assert ExtMap(8, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
                  Direction.SENDONLY) in video.extensions  # fmt: skip
    assert video.ssrc_groups[0] == SsrcGroup("FID", (2946870083, 3031791775))
    assert len(video.ssrcs) == 6


def test_line_ends_may_be_lf_or_crlf():
    text = description(section(VIDEO, "0"))
    assert parse(text) == parse(text.replace("\r\n", "\n"))


def test_wildcard_feedback_reaches_every_codec():
    [video] = parse(description(section(VIDEO, "0", "a=rtcp-fb:* nack", "a=rtcp-fb:96 nack pli"))).media
    assert [codec.feedback for codec in video.codecs] == [("nack pli", "nack"), ("nack",)]


def test_payload_types_without_a_mapping_are_left_out():
    lines = section(("m=audio 9 UDP/TLS/RTP/SAVPF 0 8 111", "a=rtpmap:111 opus/48000/2"), "0")
    [audio] = parse(description(lines)).media
    assert [codec.pt for codec in audio.codecs] == [111]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("m=video", "m= needs"),
        ("m=video 9/2 UDP/TLS/RTP/SAVPF 96", "port"),
        ("m=video 70000 UDP/TLS/RTP/SAVPF 96", "port"),
        ("m=video \uff19 UDP/TLS/RTP/SAVPF 96", "port"),
        ("m=vi,deo 9 UDP/TLS/RTP/SAVPF 96", "malformed"),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96 96", "twice"),
        ("m=video 9 UDP/TLS/RTP/SAVPF " + " ".join(map(str, range(65))), "more than 64"),
        ("a=mid:", "token"),
        ("a=mid:a b", "token"),
        ("a=mid:" + "x" * 17, "longer than 16"),
        ("a=ice-ufrag:abc", "ice-ufrag"),
        ("a=ice-ufrag:ab-cd", "ice-ufrag"),
        ("a=ice-pwd:" + "a" * 21, "ice-pwd"),
        ("a=ice-pwd:" + "a" * 257, "ice-pwd"),
        ("a=ice-options:", "tokens"),
        ("a=fingerprint:sha-256", "fingerprint"),
        ("a=fingerprint:sha-256 AB:C", "fingerprint"),
        ("a=setup:holdconn", "setup"),
        ("a=rtpmap:128 VP8/90000", "payload type"),
        ("a=rtpmap:99 VP8", "rtpmap"),
        ("a=rtpmap:99 VP8/0", "rtpmap"),
        ("a=rtpmap:99 VP8/90000/2/3", "rtpmap"),
        ("a=rtpmap:96 VP9/90000", "twice"),
        ("a=fmtp:96", "payload type"),
        ("a=fmtp:96 " + ";".join(f"k{i}=1" for i in range(40)), "more than 32"),
        ("a=rtcp-fb:96", "rtcp-fb"),
        ("a=extmap:0 urn:x", "extmap"),
        ("a=extmap:1/both urn:x", "extmap"),
        ("a=extmap:1", "extmap"),
        ("a=rid:l", "rid"),
        ("a=rid:l both", "rid"),
        ("a=rid:" + "x" * 17 + " send", "rid"),
        ("a=rid:l send pt=1000", "pt restriction"),
        ("a=simulcast:", "simulcast"),
        ("a=simulcast:send", "simulcast"),
        ("a=simulcast:send a send b", "simulcast"),
        ("a=simulcast:up a", "simulcast"),
        ("a=simulcast:send a;;b", "rids"),
        ("a=simulcast:send " + ";".join("abcdefghi"), "more than 8"),
        ("a=ssrc:x cname:y", "ssrc"),
        ("a=ssrc:4294967296 cname:y", "ssrc"),
        ("a=ssrc-group:FID", "ssrc-group"),
        ("a=ssrc-group:FID 1 x", "ssrc-group"),
        ("=x", "letter"),
        ("ab", "letter"),
        ("v=0", "second v="),
        ("a=mid:0\ta=x", "control"),
        ("a=mid:0\0", "control"),
        ("a=\rmid:0", "control"),
        ("a=x:" + "y" * 2048, "longer than 2048"),
    ],
)
def test_malformed_lines_are_refused_with_their_number(line, complaint):
    base = description(section(VIDEO, "0"))
    text = base + line + "\r\n"
    with pytest.raises(SdpError, match=complaint) as caught:
        parse(text)
    assert caught.value.line == base.count("\n") + 1
    assert caught.value.code == "invalid_sdp"


@pytest.mark.parametrize(
    "line",
    [
        "a=extmap:1 urn:a attributes",
        "a=unknown",
        "a=unknown:with value",
        "b=AS:500",
        "a=msid:*** \u00fc",
        "a=ssrc:1",
    ],
)
def test_what_we_do_not_know_is_skipped(line):
    text = description(section(VIDEO, "0"))
    parsed = parse(text + line + "\r\n")
    assert (parsed.bundle, parsed.media[0].codecs) == (parse(text).bundle, parse(text).media[0].codecs)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("\r\n\r\n", "empty"),
        ("o=- 1 2 IN IP4 0.0.0.0\r\n", "v=0"),
        ("v=1\r\n", "v=0"),
        ("v=0\r\ns=-\r\n", "o= line is missing"),
        ("v=0\r\no=-\r\n", "six words"),
        ("v=0\r\no=- x 2 IN IP4 0.0.0.0\r\n", "numeric"),
        ("v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\na=group:BUNDLE 0 0\r\n", "twice"),
    ],
)
def test_broken_sessions_are_refused(text, complaint):
    with pytest.raises(SdpError, match=complaint):
        parse(text)


def test_two_sections_with_one_mid_are_refused():
    with pytest.raises(SdpError, match="same mid"):
        parse(description(section(VIDEO, "0"), section(AUDIO, "0"), bundle="0"))


def test_size_and_number_of_sections_are_capped():
    with pytest.raises(SdpError, match="longer than 65536"):
        parse("v=0\r\n" + "a=x\r\n" * 20_000)
    with pytest.raises(SdpError, match="more than 64 sections"):
        parse(description(*(section(AUDIO, str(number)) for number in range(65))))
    with pytest.raises(SdpError, match="more than 1 sections"):
        parse(description(section(AUDIO, "0"), section(AUDIO, "1")), Limits(media=1))


@pytest.mark.parametrize(
    ("repeat", "complaint"),
    [
        (lambda i: f"a=rid:r{i} send", "rids"),
        (lambda i: f"a=extmap:{i + 1} urn:x{i}", "extensions"),
        (lambda i: f"a=ssrc:{i + 1} cname:x", "sources"),
        (lambda i: f"a=ssrc-group:FID {i + 1}", "groups"),
        (lambda i: f"a=candidate:{i} 1 udp 1 192.0.2.1 9 typ host", "candidates"),
        (lambda i: f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}", "fingerprints"),
        (lambda i: f"a=rtcp-fb:96 kind{i}", "kinds of feedback"),
    ],
)
def test_every_repeated_attribute_is_capped(repeat, complaint):
    with pytest.raises(SdpError, match=complaint):
        parse(description(section(VIDEO, "0", *(repeat(number) for number in range(80)))))


@settings(max_examples=300, deadline=None)
@given(mutated([capture(name) for name in ALL]))
def test_mutated_captures_raise_nothing_but_the_documented_error(text):
    try:
        parse(text)
    except SdpError as error:
        assert error.reason
        assert error.reason.isprintable()


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_any_text_raises_nothing_but_the_documented_error(text):
    for candidate in (text, "v=0\no=- 1 2 IN IP4 0\nm=video 9 A/SAVPF 96\na=" + text):
        with contextlib.suppress(SdpError):
            parse(candidate)
