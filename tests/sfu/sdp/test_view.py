import pytest

from sfu.engine.types import TrackId
from sfu.errors import NegotiationError, UnsupportedCodec
from sfu.sdp import CodecPolicy, Direction, ViewTrack, answer_view, parse
from tests.sfu.sdp.descriptions import AUDIO, VIDEO, capture, description, local, rng, section

_AUDIO_TRACK = ViewTrack(TrackId(1), "audio", "stream1")
_VIDEO_TRACK = ViewTrack(TrackId(2), "video", "stream1")


def _view(offer, *tracks, policy=None):
    result = answer_view(offer, policy or CodecPolicy(), local(), tracks, rng=rng())
    return result, parse(result.answer)


def _receiving(lines):
    return [line.replace("a=sendonly", "a=recvonly") for line in lines]


@pytest.mark.parametrize(
    "name", ["chromium-offer-recvonly-av", "firefox-offer-recvonly-av", "aiortc-1.16-offer-recvonly-av"]
)
def test_real_viewers_get_a_source_for_each_section(name):
    result, answer = _view(capture(name), _VIDEO_TRACK, _AUDIO_TRACK)

    assert [(section.kind, section.track) for section in result.sections] == [("audio", 1), ("video", 2)]
    audio, video = answer.media
    assert audio.direction is video.direction is Direction.SENDONLY
    assert audio.ssrcs == (result.sections[0].ssrc,)
    assert video.ssrcs == (result.sections[1].ssrc, result.sections[1].rtx_ssrc)
    assert video.ssrc_groups[0].ssrcs == video.ssrcs
    assert audio.msid[0] == video.msid[0] == audio.cname == "stream1"
    assert "opus" in result.sections[0].payload_types
    assert "vp8" in result.sections[1].payload_types


def test_chromium_viewer_maps_every_codec_to_one_payload_type():
    result, _ = _view(capture("chromium-offer-recvonly-av"), _VIDEO_TRACK)
    types = result.sections[1].payload_types
    assert types == {"vp8": (96, 97), "h264": (108, 109), "vp9": (98, 99), "av1": (45, 46)}
    assert "twcc" in result.extensions
    assert result.extensions["video_orientation"] == 13


def test_firefox_limits_playout_delay_to_what_it_receives_which_is_what_we_send():
    result, _ = _view(capture("firefox-offer-recvonly-av"), _VIDEO_TRACK)
    assert result.extensions["playout_delay"] == 6


def test_a_section_without_a_track_has_a_source_of_its_own_stream():
    result, answer = _view(
        description(_receiving(section(AUDIO, "a")), _receiving(section(VIDEO, "v"))), _VIDEO_TRACK
    )
    silent, shown = result.sections
    assert silent.track is None
    assert silent.accepted
    assert silent.ssrc not in {0, shown.ssrc, shown.rtx_ssrc}
    assert len(answer.media[0].msid[0]) == 32


def test_surplus_tracks_are_left_out():
    other = ViewTrack(TrackId(9), "video")
    result, _ = _view(description(_receiving(section(VIDEO, "v"))), _VIDEO_TRACK, other)
    assert [section.track for section in result.sections] == [2]


def test_a_viewer_without_rtx_is_told_no_repair_source():
    plain = ("m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000")
    result, answer = _view(description(_receiving(section(plain, "v"))), _VIDEO_TRACK)
    assert answer.media[0].ssrcs == (result.sections[0].ssrc,)
    assert answer.media[0].ssrc_groups == ()
    assert result.sections[0].payload_types == {"vp8": (96, -1)}


def test_sections_that_only_send_are_inactive():
    result, answer = _view(description(section(AUDIO, "a"), _receiving(section(VIDEO, "v"))), _VIDEO_TRACK)
    assert [section.mid for section in result.sections] == ["v"]
    assert answer.media[0].direction is Direction.INACTIVE


def test_an_offer_that_receives_nothing_is_refused():
    with pytest.raises(NegotiationError, match="receives"):
        _view(description(section(AUDIO, "a")))


def test_no_common_codec_is_refused():
    with pytest.raises(UnsupportedCodec):
        _view(description(_receiving(section(VIDEO, "v"))), policy=CodecPolicy(video=("av1",)))
