import pytest

from sfu.engine.types import EngineCodec, EngineEncoding
from sfu.errors import NegotiationError, SdpError, UnsupportedCodec
from sfu.sdp import CodecPolicy, Direction, Setup, answer_publish, parse
from sfu.sdp.model import SimulcastStream
from tests.sfu.sdp.descriptions import (
    AUDIO,
    CANDIDATE,
    FINGERPRINT,
    OFFERS,
    TRANSPORT,
    VIDEO,
    capture,
    description,
    local,
    section,
)

_DATA = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *TRANSPORT[:4], "a=mid:d", "a=sctp-port:5000"]


def _answer(offer, policy=None, **more):
    result = answer_publish(offer, policy or CodecPolicy(), local(), **more)
    return result, parse(result.answer)


@pytest.mark.parametrize("name", OFFERS)
def test_every_captured_offer_is_answered_in_shape(name):
    offer = parse(capture(name))
    result, answer = _answer(capture(name))

    assert answer.ice_lite
    assert [(media.kind, media.mid) for media in answer.media] == [
        (media.kind, media.mid) for media in offer.media
    ]
    live = [media for media in answer.media if media.port]
    assert answer.bundle == tuple(media.mid for media in live)
    assert live[0].candidates == (CANDIDATE,)
    assert live[0].end_of_candidates
    expected = Setup.ACTIVE if result.remote.dtls_role == "client" else Setup.PASSIVE
    for media, offered in zip(answer.media, offer.media, strict=True):
        if not media.port:
            continue
        assert (media.ice_ufrag, media.ice_pwd, media.fingerprints) == (
            "ourufrag1234",
            "o" * 24,
            (FINGERPRINT,),
        )
        assert media.setup is expected
        assert media.rtcp_mux
        assert media.direction in {Direction.RECVONLY, Direction.INACTIVE}
        assert {codec.pt for codec in media.codecs} <= {codec.pt for codec in offered.codecs}
        assert {(ext.id, ext.uri) for ext in media.extensions} <= {
            (ext.id, ext.uri) for ext in offered.extensions
        }


@pytest.mark.parametrize("name", OFFERS)
def test_opus_is_asked_for_with_in_band_fec(name):
    # Whether a receiver can use it is its own to say (RFC 7587 section 7.1), and ours are browsers.
    _, answer = _answer(capture(name))
    opus = [codec for media in answer.media if media.port for codec in media.codecs if codec.name == "opus"]
    assert all(codec.parameter("useinbandfec") == "1" for codec in opus)
    assert opus or not any(media.kind == "audio" and media.port for media in answer.media)


@pytest.mark.parametrize(
    ("name", "role", "video"),
    [
        ("chromium-offer-sendonly-av", "server", ["vp8", "h264", "vp9", "av1"]),
        ("firefox-offer-sendonly-av", "server", ["vp8", "vp9", "av1"]),
        ("gstreamer-1.22-webrtcbin-offer", "server", ["vp8"]),
        ("gstreamer-1.22-webrtcbin-offer-active", "server", ["vp8"]),
        ("ffmpeg-8.1.2-whip-offer", "client", ["h264"]),
        ("ffmpeg-8.1.2-whip-offer-dtls-active", "server", ["h264"]),
        ("aiortc-1.16-offer-sendonly-av", "server", ["vp8", "h264"]),
    ],
)
def test_real_publishers_send_opus_and_their_video_codecs(name, role, video):
    result, _ = _answer(capture(name))
    tracks = {track.kind: track for track in result.tracks}

    assert result.remote.dtls_role == role
    audio = ["red", "opus"] if name.startswith("chromium") else ["opus"]
    assert [codec.name for codec in tracks["audio"].codecs] == audio
    assert [codec.name for codec in tracks["video"].codecs] == video
    assert all(encoding.ssrc for track in result.tracks for encoding in track.encodings)


def test_chromium_video_has_rtx_feedback_and_extensions():
    result, _ = _answer(capture("chromium-offer-sendonly-av"))
    video = result.tracks[1]

    assert video.codecs[:2] == (EngineCodec(96, "vp8", 90_000, 97), EngineCodec(108, "h264", 90_000, 109))
    assert video.encodings == (EngineEncoding("", 2637134066, 63548928),)
    assert (video.nack, video.twcc, video.fir) == (True, True, False)
    assert video.extensions["twcc"] == 3
    assert result.extensions["mid"] == 4
    assert "video_orientation" not in result.extensions


def test_ffmpeg_understands_nack_only():
    result, _ = _answer(capture("ffmpeg-8.1.2-whip-offer"))
    video = result.tracks[1]
    assert (video.nack, video.twcc, video.fir) == (True, False, False)
    assert video.codecs == (EngineCodec(106, "h264", 90_000, 105),)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_simulcast_is_answered_with_the_same_rids(browser):
    result, answer = _answer(capture(f"{browser}-offer-simulcast-3rid"))

    assert result.tracks[0].encodings == tuple(EngineEncoding(rid=rid) for rid in "lmh")
    assert result.tracks[0].rids == ("l", "m", "h")
    simulcast = answer.media[0].simulcast
    assert simulcast is not None
    assert simulcast.recv == tuple(SimulcastStream((rid,)) for rid in "lmh")
    assert [rid.sends for rid in answer.media[0].rids] == [False] * 3


def test_encodings_are_sorted_from_low_to_high_but_the_answer_keeps_the_order():
    extra = [f"a=rid:{rid} send" for rid in "fhq"] + ["a=simulcast:send f;h;q"]
    result, answer = _answer(description(section(VIDEO, "0", *extra)))
    assert result.tracks[0].rids == ("q", "h", "f")
    assert answer.media[0].simulcast is not None
    assert [stream.rids for stream in answer.media[0].simulcast.recv] == [("f",), ("h",), ("q",)]


def test_of_simulcast_alternatives_the_first_usable_is_taken():
    extra = [
        "a=rid:a send pt=100",
        "a=rid:b send pt=96",
        "a=rid:c send",
        "a=simulcast:send a,b;~c;undeclared",
    ]
    result, _ = _answer(description(section(VIDEO, "0", *extra)))
    assert result.tracks[0].rids == ("b", "c")


def test_older_simulcast_by_ssrc_group_gives_an_encoding_for_each():
    extra = [
        "a=ssrc-group:SIM 1 2",
        "a=ssrc-group:FID 1 11",
        "a=ssrc-group:FID 2 12",
        *(f"a=ssrc:{ssrc} cname:x" for ssrc in (1, 2, 11, 12)),
    ]
    result, _ = _answer(description(section(VIDEO, "0", *extra)))
    assert result.tracks[0].encodings == (EngineEncoding("", 1, 11), EngineEncoding("", 2, 12))


def test_a_section_without_ssrc_is_found_by_mid():
    result, _ = _answer(description(section(VIDEO, "0")))
    assert result.tracks[0].encodings == (EngineEncoding(),)


def test_the_room_decides_which_codecs_and_in_which_order():
    offer = capture("chromium-offer-sendonly-av")
    result, answer = _answer(offer, CodecPolicy(video=("av1", "vp8"), audio=("red", "opus")))

    assert [codec.name for codec in result.tracks[1].codecs] == ["av1", "vp8"]
    assert answer.media[1].formats == ("45", "46", "96", "97")
    assert [codec.name for codec in result.tracks[0].codecs] == ["red", "opus"]


def test_a_section_without_an_allowed_codec_is_rejected_alone():
    pcmu = section(("m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=rtpmap:0 PCMU/8000"), "a")
    result, answer = _answer(description(pcmu, section(VIDEO, "v")))
    assert [track.mid for track in result.tracks] == ["v"]
    assert answer.media[0].port == 0
    assert answer.bundle == ("v",)
    assert answer.media[1].candidates == (CANDIDATE,)


def test_no_allowed_codec_at_all_is_an_error_that_names_the_allowed():
    with pytest.raises(UnsupportedCodec, match="vp9") as caught:
        _answer(description(section(VIDEO, "0")), CodecPolicy(video=("vp9",)))
    assert caught.value.code == "unsupported_codec"


def test_data_channels_are_rejected_cleanly():
    result, answer = _answer(description(section(AUDIO, "a"), _DATA))
    assert [track.mid for track in result.tracks] == ["a"]
    data = answer.media[1]
    assert (data.port, data.kind, data.formats, data.mid) == (0, "application", ("webrtc-datachannel",), "d")


def test_a_data_channel_alone_is_refused():
    with pytest.raises(NegotiationError, match="no audio or video"):
        _answer(description(_DATA))


def test_sections_that_do_not_send_are_inactive_and_no_track():
    lines = [line.replace("a=sendonly", "a=recvonly") for line in section(VIDEO, "v")]
    result, answer = _answer(description(section(AUDIO, "a"), lines))
    assert [track.mid for track in result.tracks] == ["a"]
    assert answer.media[1].direction is Direction.INACTIVE
    assert answer.media[1].port


def test_more_tracks_than_allowed_are_rejected():
    offer = description(*(section(AUDIO, str(number)) for number in range(4)))
    result, answer = _answer(offer, max_tracks=2)
    assert [track.mid for track in result.tracks] == ["0", "1"]
    assert [media.port for media in answer.media] == [9, 9, 0, 0]


@pytest.mark.parametrize(
    ("offer", "complaint"),
    [
        (description(section(AUDIO, "a"), section(VIDEO, "v"), bundle=""), "BUNDLE"),
        (description(section(AUDIO, "a"), section(VIDEO, "v"), bundle="a"), "section v is not in the BUNDLE"),
        (description(section(AUDIO, "a", drop="a=rtcp-mux")), "rtcp-mux"),
        (description(section(AUDIO, "a", drop="a=mid"), bundle=""), "no a=mid"),
        (description(section(AUDIO, "a", drop="a=ice-ufrag")), "ice-ufrag"),
        (description(section(AUDIO, "a", drop="a=fingerprint")), "fingerprint"),
        (description(section(AUDIO, "a", drop="a=setup")), "setup"),
        (description(), "no audio or video"),
    ],
)
def test_offers_that_cannot_be_agreed_to_say_why(offer, complaint):
    with pytest.raises(NegotiationError, match=complaint):
        _answer(offer)


def test_one_section_needs_no_bundle_group():
    result, answer = _answer(description(section(AUDIO, "a"), bundle=""))
    assert [track.mid for track in result.tracks] == ["a"]
    assert answer.bundle is None


def test_text_that_is_no_sdp_is_an_sdp_error():
    with pytest.raises(SdpError):
        _answer("hello")


def test_extension_ids_stay_unambiguous_over_the_bundle():
    audio = section(AUDIO, "a", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid")
    video = section(
        VIDEO,
        "v",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:toffset",  # the id of mid
        "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:mid",  # mid under another id
        "a=extmap:15 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",  # 15 is reserved
        "a=extmap:3/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",  # we send nothing
        "a=extmap:4/sendonly http://www.webrtc.org/experiments/rtp-hdrext/color-space",
    )
    result, answer = _answer(description(audio, video))
    assert result.extensions == {"mid": 1, "color_space": 4}
    [agreed] = answer.media[1].extensions
    assert (agreed.id, agreed.direction) == (4, Direction.RECVONLY)


# Renegotiation


def test_a_renegotiation_keeps_roles_and_adds_tracks():
    first, _ = _answer(description(section(AUDIO, "a")))
    second, answer = _answer(description(section(AUDIO, "a"), section(VIDEO, "v")), previous=first, version=2)
    assert [track.mid for track in second.tracks] == ["a", "v"]
    assert not second.ice_restart
    assert answer.version == 2


def test_an_established_client_role_survives_a_later_actpass():
    passive = [line.replace("actpass", "passive") for line in section(AUDIO, "a")]
    first, _ = _answer(description(passive))
    second, answer = _answer(description(section(AUDIO, "a")), previous=first)
    assert (first.remote.dtls_role, second.remote.dtls_role) == ("client", "client")
    assert answer.media[0].setup is Setup.ACTIVE


def test_a_stopped_section_may_be_recycled_under_another_mid():
    first, _ = _answer(description(section(AUDIO, "a"), section(VIDEO, "v")))
    stopped = ["m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:v", "a=inactive"]
    second, answer = _answer(description(section(AUDIO, "a"), stopped, bundle="a"), previous=first)
    assert answer.media[1].port == 0
    third, _ = _answer(description(section(AUDIO, "a"), section(AUDIO, "b")), previous=second)
    assert [track.mid for track in third.tracks] == ["a", "b"]


def test_stopping_everything_is_fine():
    first, _ = _answer(description(section(AUDIO, "a")))
    stopped = ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=mid:a", "a=inactive"]
    second, answer = _answer(description(stopped, bundle=""), previous=first)
    assert second.tracks == ()
    assert second.remote == first.remote
    assert answer.media[0].port == 0


@pytest.mark.parametrize(
    ("offer", "complaint"),
    [
        (description(section(AUDIO, "a")), "keep every earlier section"),
        (description(section(AUDIO, "a"), section(VIDEO, "w")), "changed its kind or mid"),
        (description(section(AUDIO, "a"), section(AUDIO, "v")), "changed its kind or mid"),
        (
            description(section(AUDIO, "a"), section(VIDEO, "v")).replace("AB:AB", "CD:CD"),
            "certificate changed",
        ),
        (
            description(section(AUDIO, "a"), section(VIDEO, "v")).replace("actpass", "passive"),
            "DTLS roles",
        ),
        (
            description(section(AUDIO, "a"), section(VIDEO, "v")).replace(
                "a=ice-ufrag:abcd", "a=ice-ufrag:wxyz"
            ),
            "restarts ICE",
        ),
    ],
)
def test_a_renegotiation_that_contradicts_is_refused(offer, complaint):
    first, _ = _answer(description(section(AUDIO, "a"), section(VIDEO, "v")))
    with pytest.raises(NegotiationError, match=complaint):
        _answer(offer, previous=first)


def test_an_ice_restart_is_answered_with_the_fresh_credentials():
    first, _ = _answer(description(section(AUDIO, "a")))
    again = description(section(AUDIO, "a")).replace("a=ice-ufrag:abcd", "a=ice-ufrag:wxyz")
    fresh = local(ufrag="freshufrag12", pwd="f" * 24)
    second, answer = _answer(again, previous=first, restart=fresh)
    assert second.ice_restart
    assert second.remote.ufrag == "wxyz"
    assert answer.media[0].ice_ufrag == "freshufrag12"


def test_keyframes_are_asked_for_by_fir_where_that_alone_was_agreed_on():
    offer = capture("chromium-offer-sendonly-av")
    assert not _answer(offer)[0].tracks[1].fir
    lines = [line for line in offer.splitlines(keepends=True) if not line.rstrip().endswith("nack pli")]
    video = _answer("".join(lines))[0].tracks[1]
    assert video.fir
