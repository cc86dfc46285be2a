import pytest
from aiortc.sdp import H264Profile, parse_h264_profile_level_id

from sfu.sdp import CodecPolicy, parse
from sfu.sdp.codecs import choose, engine_codecs, offered
from tests.sfu.sdp.descriptions import description, section


def _video(*codecs: tuple[int, str, str]):
    lines = [f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(str(pt) for pt, _, _ in codecs)}"]
    for pt, name, fmtp in codecs:
        lines.append(f"a=rtpmap:{pt} {name}/90000")
        if fmtp:
            lines.append(f"a=fmtp:{pt} {fmtp}")
    return parse(description(section(tuple(lines), "0"))).media[0]


def _h264(profile: str, mode: int = 1) -> str:
    return f"packetization-mode={mode};profile-level-id={profile}"


_ALL_H264 = ["f4001f", "64001f", "640c1f", "4d001f", "42001f", "42e01f"]


@pytest.mark.parametrize("count", range(1, len(_ALL_H264)))
def test_the_h264_profile_that_most_can_decode_is_chosen(count):
    media = _video(
        *((100 + place, "H264", _h264(profile)) for place, profile in enumerate(_ALL_H264[: count + 1]))
    )
    [chosen] = choose(media, CodecPolicy(video=("h264",)), "video")
    assert chosen.parameter("profile-level-id") == _ALL_H264[count]


def test_packetization_mode_1_is_preferred_within_a_profile():
    media = _video(
        (100, "H264", _h264("42e01f", 0)), (101, "H264", _h264("42e01f", 1)), (102, "H264", _h264("42001f"))
    )
    assert [codec.pt for codec in choose(media, CodecPolicy(video=("h264",)), "video")] == [101]


@pytest.mark.parametrize("profile", ["f4001f", "zzzzzz", "42e0", "42e01f00", "990000", "٤2e01f"])
def test_unknown_h264_profiles_are_not_taken(profile):
    assert choose(_video((100, "H264", _h264(profile))), CodecPolicy(), "video") == ()


def test_our_profile_table_agrees_with_aiortcs():
    taken = {
        H264Profile.PROFILE_CONSTRAINED_BASELINE,
        H264Profile.PROFILE_BASELINE,
        H264Profile.PROFILE_MAIN,
        H264Profile.PROFILE_CONSTRAINED_HIGH,
        H264Profile.PROFILE_HIGH,
    }
    for idc in (0x42, 0x4D, 0x58, 0x64, 0xF4, 0x6E):
        for iop in range(256):
            text = f"{idc:02x}{iop:02x}1f"
            try:
                theirs = parse_h264_profile_level_id(text)[0] in taken
            except ValueError:
                theirs = False
            ours = bool(choose(_video((100, "H264", _h264(text))), CodecPolicy(), "video"))
            assert ours == theirs, text


def test_only_the_main_profiles_of_vp9_and_av1_are_taken():
    media = _video(
        (98, "VP9", "profile-id=2"), (99, "VP9", "profile-id=0"), (45, "AV1", "profile=1"), (46, "AV1", "")
    )
    assert [codec.pt for codec in choose(media, CodecPolicy(), "video")] == [99, 46]


def test_rtx_follows_its_codec_and_strays_are_ignored():
    media = _video(
        (96, "VP8", ""), (97, "rtx", "apt=96"), (98, "rtx", "apt=96"), (99, "rtx", "apt=x"), (100, "rtx", ""),
        (101, "rtx", "apt=120"),
    )  # fmt: skip
    chosen = choose(media, CodecPolicy(), "video")
    assert [(codec.pt, codec.name) for codec in chosen] == [(96, "vp8"), (97, "rtx")]
    assert engine_codecs(chosen)[0].rtx_pt == 97


def test_a_wrong_clock_is_another_codec():
    text = description(section(("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/16000"), "0"))
    assert choose(parse(text).media[0], CodecPolicy(), "audio") == ()


@pytest.mark.parametrize(("fmtp", "taken"), [("111/111", True), ("111/112", False), ("", False)])
def test_red_is_taken_when_it_carries_opus(fmtp, taken):
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 63 111", "a=rtpmap:63 red/48000/2", "a=rtpmap:111 opus/48000/2"]
    if fmtp:
        lines.append(f"a=fmtp:63 {fmtp}")
    media = parse(description(section(tuple(lines), "0"))).media[0]
    chosen = choose(media, CodecPolicy(audio=("red", "opus")), "audio")
    assert [codec.name for codec in chosen] == (["red", "opus"] if taken else ["opus"])
    assert choose(media, CodecPolicy(audio=("red",)), "audio") == ()


def test_answers_repeat_only_well_formed_parameters():
    media = _video(
        (100, "H264", _h264("42e01f") + ";level-asymmetry-allowed=1;sprop-parameter-sets=Z0LA==;x=y")
    )
    [chosen] = choose(media, CodecPolicy(), "video")
    assert [key for key, _ in chosen.fmtp] == [
        "packetization-mode",
        "profile-level-id",
        "level-asymmetry-allowed",
    ]


def test_payload_types_of_our_offers_never_collide():
    policy = CodecPolicy(audio=("opus", "red"))
    pts = [codec.pt for kind in ("audio", "video") for codec in offered(policy, kind)]
    assert len(set(pts)) == len(pts)


@pytest.mark.parametrize(
    "names", [{"video": ("opus",)}, {"audio": ("vp8",)}, {"video": ("vp8", "vp8")}, {"video": ("h265",)}]
)
def test_a_policy_of_unknown_codecs_is_refused(names):
    with pytest.raises(ValueError, match="codecs"):
        CodecPolicy(**names)
