import io
from types import SimpleNamespace

import av
import numpy as np
import pytest

from media.canvas import Canvas
from rebroadcast.worker.encode import (
    VIDEO_CLOCK,
    AudioEncoder,
    EncodeError,
    VideoEncoder,
    VideoFormat,
)
from rebroadcast.worker.fragments import init_segment, part

FPS = 15


@pytest.fixture
def encoders():
    video = VideoEncoder(width=320, height=180, fps=FPS, bps=500_000)
    audio = AudioEncoder(bps=96_000)
    yield SimpleNamespace(video=video.encode, audio=audio.encode, format=video.format, sound=audio)
    video.close()
    audio.close()


def test_every_picture_comes_out_at_once_with_its_own_time(encoders):
    for index in range(5):
        (frame,) = encoders.video(Canvas(320, 180).to_frame(), index, is_keyframe=index == 3)
        assert frame.pts == index * VIDEO_CLOCK // FPS
        assert frame.is_keyframe == (index in {0, 3})


def test_samples_older_than_a_cut_are_silenced_before_they_are_encoded(encoders):
    assert not list(encoders.audio(np.full((500, 2), 0.9, dtype=np.float32)))
    encoders.sound.forget()
    frames = [f for _ in range(20) for f in encoders.audio(np.zeros((1024, 2), dtype=np.float32))]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoders.sound.parameters
    sound = [out for f in frames for out in decoder.decode(av.Packet(f.data))]
    assert max(np.abs(s.to_ndarray()).max() for s in sound) < 1e-3


def test_a_stream_that_somebody_else_encoded_is_muxed_as_it_is(encoders):
    pictures = [
        frame
        for index in range(FPS)
        for frame in encoders.video(Canvas(320, 180).to_frame(), index, is_keyframe=index == 0)
    ]
    video = VideoFormat.of_keyframe(encoders.format.parameters, pictures[0].data)
    data = part(1, [(frame, VIDEO_CLOCK // FPS) for frame in pictures], [])
    with av.open(io.BytesIO(init_segment(video, encoders.sound) + data)) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (320, 180)
        assert sum(1 for _ in file.decode(video=0)) == FPS


def test_parts_of_every_origin_have_one_clock(encoders):
    (key,) = encoders.video(Canvas(320, 180).to_frame(), 0, is_keyframe=True)
    somebodys = VideoFormat.of_keyframe(encoders.format.parameters, key.data)
    inits = [init_segment(video, encoders.sound) for video in (encoders.format, somebodys)]
    clocks = [
        [int.from_bytes(init[at + 16 : at + 20], "big") for at in positions(init, b"mdhd")] for init in inits
    ]
    assert clocks == [[VIDEO_CLOCK, 48_000]] * 2


def positions(data, name):
    return [at for at in range(len(data)) if data.startswith(name, at)]


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x01\x67\x00", b"junk" * 100])
def test_what_is_no_h264_gives_no_format(data):
    with pytest.raises(EncodeError):
        VideoFormat.of_keyframe(data, b"")
