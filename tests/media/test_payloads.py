"""The payload parsers on really encoded media, on torn frames and on any bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import av1, h264, opus, red, vp8, vp9
from media.frame import PayloadError
from tests.media import encoded, packetise

MODULES = {"vp8": vp8, "vp9": vp9, "h264": h264, "av1": av1, "opus": opus}
ERRORS = {
    "vp8": vp8.Vp8Error,
    "vp9": vp9.Vp9Error,
    "h264": h264.H264Error,
    "av1": av1.Av1Error,
    "opus": opus.OpusError,
}


def noisy(codec):
    return encoded.video(codec, (100,) * 3, width=320, height=240, noise=True)


@pytest.mark.parametrize("codec", encoded.VIDEO_CODECS)
def test_real_frames_come_back_with_keyframe_and_size(codec):
    frames = noisy(codec)
    for frame in frames:
        payloads = packetise.video_payloads(
            codec, frame.data, is_keyframe=frame.is_keyframe, index=frame.index
        )
        whole = MODULES[codec].depayload(payloads)
        assert whole.is_keyframe == frame.is_keyframe
        assert (whole.width, whole.height) == ((320, 240) if frame.is_keyframe else (0, 0))
        if codec in {"vp8", "vp9"}:
            assert whole.data == frame.data
        elif codec == "h264":
            assert sorted(h264.split_annex_b(whole.data)) == sorted(packetise.annex_b_units(frame.data))
            assert bool(whole.parameters) == frame.is_keyframe
        else:
            assert packetise.obus(whole.data) == packetise.obus(frame.data)
            assert bool(whole.parameters) == frame.is_keyframe


@pytest.mark.parametrize("codec", encoded.VIDEO_CODECS)
def test_the_middle_of_a_large_frame_is_no_start(codec):
    frame = noisy(codec)[0]
    payloads = packetise.video_payloads(codec, frame.data, is_keyframe=True)
    assert len(payloads) > 3
    starts = [MODULES[codec].is_frame_start(payload) for payload in payloads]
    assert starts[0]
    assert not any(starts[3:])


@pytest.mark.parametrize("codec", encoded.VIDEO_CODECS)
def test_a_keyframe_that_lost_its_first_packets_is_refused(codec):
    frame = noisy(codec)[0]
    payloads = packetise.video_payloads(codec, frame.data, is_keyframe=True)
    with pytest.raises(ERRORS[codec]):
        MODULES[codec].depayload(payloads[3:])


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_frame_that_lost_its_middle_or_end_is_refused(codec):
    payloads = packetise.video_payloads(codec, noisy(codec)[0].data, is_keyframe=True)
    with pytest.raises(ERRORS[codec]):
        MODULES[codec].depayload(payloads[:-1])


@pytest.mark.parametrize("codec", MODULES)
@given(payloads=st.lists(st.binary(max_size=60), max_size=4))
def test_any_payloads_are_taken_or_refused_by_the_one_error(codec, payloads):
    module, error = MODULES[codec], ERRORS[codec]
    for payload in payloads:
        with contextlib.suppress(error):
            module.is_frame_start(payload)
    try:
        frame = module.depayload(payloads)
    except error as refused:
        assert isinstance(refused, PayloadError)
    else:
        assert frame.data


@pytest.mark.parametrize("codec", MODULES)
def test_no_payload_and_an_empty_payload_are_refused(codec):
    for payloads in ([], [b""]):
        with pytest.raises(ERRORS[codec]):
            MODULES[codec].depayload(payloads)


@given(st.integers(0, 2**15 - 1), st.binary(min_size=1, max_size=9))
def test_a_vp8_descriptor_says_its_picture_id(picture_id, data):
    (payload,) = packetise.vp8(data, picture_id)
    descriptor = vp8.parse_descriptor(payload)
    assert descriptor.picture_id == picture_id
    assert payload[descriptor.size :] == data


def test_a_vp8_descriptor_with_everything_is_parsed():
    descriptor = vp8.parse_descriptor(bytes([0xB0, 0xF0, 0x05, 0x07, 0x80, 0xAA]))
    assert (descriptor.picture_id, descriptor.tl0picidx, descriptor.temporal_id) == (5, 7, 2)
    assert descriptor.size == 5
    assert not descriptor.is_reference


def test_a_vp8_keyframe_without_its_start_code_is_refused():
    with pytest.raises(vp8.Vp8Error):
        vp8.depayload([b"\x10" + bytes(20)])


def test_two_vp9_layers_become_a_superframe_with_an_index():
    layers = [bytes([0x86, 0, 0x40]) + b"base", bytes([0x86, 0, 0x40]) + b"upper layer"]
    payloads = [
        bytes([0xE0 | 0x08 | 0x04, 1, 0x00, 9]) + layers[0],
        bytes([0xE0 | 0x08 | 0x04, 1, 0x02, 9]) + layers[1],
    ]
    frame = vp9.depayload(payloads)
    index = bytes([0xC1, len(layers[0]), len(layers[1]), 0xC1])
    assert frame.data == layers[0] + layers[1] + index


def test_a_vp9_scalability_structure_is_walked_over():
    structure = bytes([0x38]) + bytes(8) + bytes([2, 0x08, 3, 3, 0x04, 1])  # two sizes, two pictures
    payload = bytes([0x8A, 1]) + structure + b"data"
    assert payload[vp9.parse_descriptor(payload).size :] == b"data"


def test_a_vp9_descriptor_with_four_reference_differences_is_refused():
    with pytest.raises(vp9.Vp9Error):
        vp9.parse_descriptor(bytes([0xD8, 1, 3, 3, 3, 3, 9]))


def test_an_h264_fragment_start_without_its_end_is_refused():
    with pytest.raises(h264.H264Error):
        h264.depayload([bytes([0x7C, 0x85, 0x88])])


def test_an_h264_interleaved_packet_type_is_refused():
    for kind in (0, 25, 26, 27, 29, 30, 31):
        with pytest.raises(h264.H264Error):
            h264.depayload([bytes([kind, 1, 2, 3])])


def test_an_h264_aggregate_with_a_unit_beyond_the_end_is_refused():
    with pytest.raises(h264.H264Error):
        h264.depayload([bytes([0x78, 0, 9, 0x65, 1])])


def test_an_av1_packet_that_aggregates_units_is_split():
    tile = bytes([av1.OBU_FRAME << 3]) + b"frame"
    meta = bytes([av1.OBU_METADATA << 3]) + b"m"
    frame = av1.depayload([bytes([0x20, len(meta)]) + meta + tile])
    assert packetise.obus(frame.data) == [meta, tile]


def test_an_av1_length_without_end_is_refused():
    with pytest.raises(av1.Av1Error):
        av1.depayload([b"\x00" + b"\xff" * 12])


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x00", 480),
        (b"\x18", 2880),
        (b"\x60", 480),
        (b"\x80", 120),
        (b"\xf8", 960),
        (b"\xf9", 1920),
        (b"\xfb\x03", 2880),
    ],
)
def test_an_opus_packet_tells_its_duration(packet, samples):
    assert opus.packet_samples(packet) == samples


@pytest.mark.parametrize("packet", [b"", b"\xfb", b"\xfb\x00", b"\xfb\x3f", b"\x1b\x03"])
def test_an_opus_packet_of_no_or_too_much_sound_is_refused(packet):
    with pytest.raises(opus.OpusError):
        opus.packet_samples(packet)


@given(
    st.binary(min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 2**14 - 1), st.binary(max_size=40)), max_size=8),
)
def test_red_blocks_come_back(primary, redundant):
    blocks = red.parse_red(packetise.red(primary, redundant))
    assert [(block.ts_offset, block.data) for block in blocks] == [*redundant, (0, primary)]


@given(st.binary(max_size=60))
def test_any_red_payload_is_taken_or_refused(payload):
    with contextlib.suppress(red.RedError):
        assert red.parse_red(payload)[-1].data


@given(st.binary(max_size=60))
def test_any_parameter_set_is_parsed_or_refused(data):
    for parse, error in ((h264.parse_sps, h264.H264Error), (av1.parse_sequence_header, av1.Av1Error)):
        try:
            parsed = parse(data)
        except error:
            continue
        assert parsed.width > 0
