"""What the load says in SDP is what a server can use."""

import pytest

from bench import descriptions
from sfu.sdp import CodecPolicy, Fingerprint, LocalTransport, answer_publish, parse

_PRINT = Fingerprint("sha-256", ":".join(["AB"] * 32))
_NEAR = descriptions.Near("ufragufrag", "p" * 24, _PRINT, "127.1.0.1", 5000)
_LOCAL = LocalTransport("serverufrag", "s" * 24, _PRINT, ("1 1 udp 2130706431 127.0.0.1 7882 typ host",), 7)


def test_a_server_answers_the_offer_and_the_load_finds_its_way_there() -> None:
    result = answer_publish(descriptions.publish_offer(_NEAR, (1, 2)), CodecPolicy(), _LOCAL)
    far = descriptions.far(result.answer)
    assert (far.ip, far.port, far.ufrag, far.role) == ("127.0.0.1", 7882, "serverufrag", "client")
    assert far.extensions == {"mid": 1, "abs_send_time": 2}


def test_an_offer_is_accepted_without_retransmission_and_feedback_formats() -> None:
    offered = (
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n"
        "a=ice-ufrag:serverufrag\r\na=ice-pwd:" + "s" * 24 + "\r\na=setup:actpass\r\n"
        f"a=fingerprint:sha-256 {_PRINT.value}\r\n"
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
        "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 transport-cc\r\n"
        "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
        "m=video 9 UDP/TLS/RTP/SAVPF 98\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\na=rtcp-mux\r\n"
        "a=rtpmap:98 H264/90000\r\n"
    )
    video, unknown = parse(descriptions.answer(_NEAR, offered)).media
    assert [codec.name for codec in video.codecs] == ["vp8"]
    assert video.codecs[0].feedback == ("nack",)
    assert [item.id for item in video.extensions] == [9]
    assert unknown.is_stopped
    repaired, _ = parse(descriptions.answer(_NEAR, offered, descriptions.Terms(with_rtx=True))).media
    assert [(codec.pt, codec.name) for codec in repaired.codecs] == [(96, "vp8"), (97, "rtx")]


def test_with_feedback_and_several_sizes_the_server_takes_each_by_its_name() -> None:
    terms = descriptions.Terms(with_rtx=True, with_twcc=True, rids=("l", "m", "h"))
    result = answer_publish(descriptions.publish_offer(_NEAR, (1, 2), terms), CodecPolicy(), _LOCAL)
    far = descriptions.far(result.answer)
    assert far.extensions == {"mid": 1, "abs_send_time": 2, "twcc": 3, "rid": 4}
    [video] = [track for track in result.tracks if track.kind == "video"]
    assert video.rids == ("l", "m", "h")


def test_a_description_without_an_address_leads_nowhere() -> None:
    with pytest.raises(descriptions.NoWay):
        descriptions.far("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
