from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.studio.encoded import lay_down_priority
from media.decode import DecodeError, OpusDecoder, VideoDecoder
from media.frame import EncodedFrame

ENCODERS = {
    "vp8": ("libvpx", {"deadline": "realtime", "lag-in-frames": "0"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "lag-in-frames": "0"}),
    "h264": ("libx264", {"tune": "zerolatency"}),
    "av1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0"}),
}


def encode(codec, count=3, rgb=(200, 40, 40)):
    name, options = ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 320, 180, "yuv420p"
    context.time_base, context.framerate, context.options = Fraction(1, 15), Fraction(15), options
    context.thread_count = 1
    packets = []
    for index in range(count):
        picture = av.VideoFrame.from_ndarray(np.full((180, 320, 3), rgb, dtype=np.uint8), format="rgb24")
        frame = picture.reformat(format="yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    lay_down_priority()
    return [EncodedFrame(bytes(p), is_keyframe=p.is_keyframe) for p in packets]


@pytest.mark.parametrize("codec", ENCODERS)
def test_each_codec_gives_its_picture(codec):
    decoder = VideoDecoder(codec)
    pictures = [p for frame in encode(codec) if (p := decoder.decode(frame)) is not None]
    assert pictures
    assert pictures[-1].to_ndarray(format="rgb24")[90, 160] == pytest.approx([200, 40, 40], abs=12)


def test_nothing_is_shown_before_a_keyframe():
    decoder = VideoDecoder("vp8")
    _, inter, *_ = encode("vp8")
    assert decoder.decode(inter) is None
    assert decoder.needs_keyframe


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=300))
def test_broken_input_costs_a_picture_and_nothing_else(codec, data):
    decoder = VideoDecoder(codec)
    decoder.decode(EncodedFrame(data, is_keyframe=True))
    decoder.reset()
    assert any(decoder.decode(frame) is not None for frame in encode("vp8")) or codec != "vp8"


def test_a_picture_larger_than_any_camera_is_not_decoded():
    decoder = VideoDecoder("vp8")
    assert decoder.decode(EncodedFrame(b"x", is_keyframe=True, width=16_000, height=16_000)) is None


def test_a_codec_without_a_decoder_is_named():
    with pytest.raises(DecodeError, match="opus"):
        VideoDecoder("opus")


def opus(value=0.4):
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48_000, "stereo", "flt"
    context.open()
    time = np.arange(960 * 20) / 48_000
    sound = (value * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frames = []
    for start in range(0, len(sound), 960):
        data = np.repeat(sound[start : start + 960], 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format="flt", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, start
        frames += context.encode(frame)
    return [EncodedFrame(bytes(p), is_keyframe=True, samples=960) for p in frames]


def test_opus_gives_stereo_samples_with_its_tone():
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(frame) for frame in opus()])
    assert sound.shape[1] == 2
    spectrum = np.abs(np.fft.rfft(sound[-9600:, 0]))
    assert np.argmax(spectrum) * 48_000 / 9600 == pytest.approx(440, abs=10)
    assert np.abs(sound).max() == pytest.approx(0.4, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_broken_sound_is_bounded_silence_or_noise(data):
    assert OpusDecoder().decode(EncodedFrame(data, is_keyframe=True, samples=960)).shape[0] <= 5760
