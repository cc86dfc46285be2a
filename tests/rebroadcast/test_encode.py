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
    Fmp4Part,
    VideoEncoder,
    VideoFormat,
)

FPS = 15


@pytest.fixture
def encoders():
    video = VideoEncoder(width=320, height=180, fps=FPS, bps=500_000)
    audio = AudioEncoder(bps=96_000)
    yield SimpleNamespace(video=video.encode, audio=audio.encode, format=video.format, sound=audio)
    video.close()
    audio.close()


def run(encoders, part, first, count, *, key_every=FPS, level=0.2):
    """Feeds `count` pictures with their sound from picture `first`; gives the fragments in order."""
    fragments = []
    for index in range(first, first + count):
        sound = np.full((48_000 // FPS, 2), level, dtype=np.float32)
        is_key = (index - first) % key_every == 0
        video = encoders.video(Canvas(320, 180).to_frame(), index, is_keyframe=is_key)
        fragments += [part.add_video(frame) for frame in video]
        fragments += [part.add_audio(frame) for frame in encoders.audio(sound)]
    return [fragment for fragment in fragments if fragment]


def test_every_picture_comes_out_at_once_with_its_own_time(encoders):
    for index in range(5):
        (frame,) = encoders.video(Canvas(320, 180).to_frame(), index, is_keyframe=index == 3)
        assert frame.pts == index * VIDEO_CLOCK // FPS
        assert frame.is_keyframe == (index in {0, 3})


def test_fragments_begin_with_a_keyframe_and_play(encoders):
    part = Fmp4Part(encoders.format, encoders.sound)
    fragments = run(encoders, part, 0, 4 * FPS)
    assert [f[4:8] for f in fragments] == [b"moof"] * 3
    last = part.finish()
    for fragment in [*fragments, last]:
        with av.open(io.BytesIO(part.init + fragment)) as file:
            packets = list(file.demux(video=0))
            assert packets[0].is_keyframe
            frames = sum(len(packet.decode()) for packet in packets)
            assert frames == pytest.approx(FPS, abs=1)


def test_a_new_part_goes_on_with_the_times_of_the_old_one(encoders):
    first = Fmp4Part(encoders.format, encoders.sound)
    run(encoders, first, 0, FPS)
    second = Fmp4Part(encoders.format, encoders.sound)
    fragments = run(encoders, second, FPS, 2 * FPS)
    with av.open(io.BytesIO(second.init + fragments[0])) as file:
        packet = next(file.demux(video=0))
        assert packet.pts * packet.time_base == pytest.approx(1.0, abs=0.01)


def test_sound_and_picture_share_a_clock(encoders):
    part = Fmp4Part(encoders.format, encoders.sound)
    fragments = run(encoders, part, 0, 3 * FPS)
    with av.open(io.BytesIO(part.init + b"".join(fragments))) as file:
        ends = {
            stream.type: max(
                float((p.pts + p.duration) * p.time_base) for p in file.demux(stream) if p.pts is not None
            )
            for stream in file.streams
            if not file.seek(0)
        }
    assert ends["audio"] == pytest.approx(ends["video"], abs=0.15)


def test_samples_older_than_a_cut_are_silenced_before_they_are_encoded(encoders):
    assert not list(encoders.audio(np.full((500, 2), 0.9, dtype=np.float32)))
    encoders.sound.forget()
    frames = [f for _ in range(20) for f in encoders.audio(np.zeros((1024, 2), dtype=np.float32))]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoders.sound.parameters
    sound = [out for f in frames for out in decoder.decode(av.Packet(f.data))]
    assert max(np.abs(s.to_ndarray()).max() for s in sound) < 1e-3


def test_a_stream_that_somebody_else_encoded_is_muxed_as_it_is(encoders):
    (key,) = encoders.video(Canvas(320, 180).to_frame(), 0, is_keyframe=True)
    video_format = VideoFormat.of_keyframe(encoders.format.parameters, key.data)
    part = Fmp4Part(video_format, encoders.sound)
    with av.open(io.BytesIO(part.init + run(encoders, part, 1, 3 * FPS)[0])) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (320, 180)
        assert sum(1 for _ in file.decode(video=0)) == pytest.approx(FPS, abs=1)


def test_parts_of_every_origin_have_one_clock(encoders):
    (key,) = encoders.video(Canvas(320, 180).to_frame(), 0, is_keyframe=True)
    somebodys = VideoFormat.of_keyframe(encoders.format.parameters, key.data)
    clocks = [
        [int.from_bytes(part.init[at + 16 : at + 20], "big") for at in positions(part.init, b"mdhd")]
        for part in (Fmp4Part(video, encoders.sound) for video in (encoders.format, somebodys))
    ]
    assert clocks == [[VIDEO_CLOCK, 48_000]] * 2


def positions(data, name):
    return [at for at in range(len(data)) if data.startswith(name, at)]


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x01\x67\x00", b"junk" * 100])
def test_what_is_no_h264_gives_no_format(data):
    with pytest.raises(EncodeError):
        VideoFormat.of_keyframe(data, b"")
