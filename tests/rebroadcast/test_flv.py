import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebroadcast.worker import flv

SPS, PPS, IDR = b"\x67\x42\xc0\x1e\x01", b"\x68\xce\x38\x80\x01", b"\x65\x88\x84\x01"
units = st.lists(
    st.binary(min_size=1, max_size=50).filter(
        lambda u: b"\x00\x00" not in u and u[-1] != 0 and u[0] & 0x1F not in {7, 8, 9}
    ),
    min_size=1,
    max_size=5,
)


@given(units, st.lists(st.booleans(), min_size=5, max_size=5))
def test_annex_b_splits_into_the_units_it_was_made_of(nals, long_codes):
    data = b"".join(
        (b"\x00\x00\x00\x01" if four else b"\x00\x00\x01") + nal
        for nal, four in zip(nals, long_codes, strict=False)
    )
    assert flv.split_annex_b(data) == nals


@given(st.binary(max_size=300))
def test_any_bytes_split_without_an_error(data):
    assert all(flv.split_annex_b(data))


def test_the_configuration_names_profile_level_and_both_sets():
    record = flv.avc_configuration(b"\x00\x00\x00\x01" + SPS + b"\x00\x00\x01" + PPS)
    assert record[:6] == bytes([1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1])
    assert record[6:] == b"\x00\x05" + SPS + b"\x01\x00\x05" + PPS


def test_extradata_without_parameter_sets_is_refused():
    with pytest.raises(flv.FlvError):
        flv.avc_configuration(b"\x00\x00\x01" + IDR)


@pytest.mark.parametrize("sets", [[SPS] * 32 + [PPS], [SPS] + [PPS] * 256, [SPS, PPS + b"x" * 70_000]])
def test_more_parameter_sets_than_a_record_holds_are_refused(sets):
    with pytest.raises(flv.FlvError):
        flv.avc_configuration(b"".join(b"\x00\x00\x01" + unit for unit in sets))


def test_a_keyframe_carries_its_units_but_not_the_parameter_sets():
    body = flv.avc_frame(
        b"".join(b"\x00\x00\x01" + u for u in (SPS, PPS, IDR)), is_keyframe=True, composition_ms=-1
    )
    assert body == b"\x17\x01\xff\xff\xff" + b"\x00\x00\x00\x04" + IDR


def test_an_inter_frame_is_marked_as_one():
    assert flv.avc_frame(b"\x00\x00\x01\x41\x9a", is_keyframe=False)[0] == 0x27


def test_audio_bodies_tell_header_from_frame():
    assert flv.aac_header(b"\x11\x90") == b"\xaf\x00\x11\x90"
    assert flv.aac_frame(b"raw") == b"\xaf\x01raw"
