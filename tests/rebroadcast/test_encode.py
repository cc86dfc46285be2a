import io

import av
import numpy as np
import pytest

from media.canvas import Canvas
from rebroadcast.worker.encode import VIDEO_CLOCK, Encoders, Fmp4Part

FPS = 15


@pytest.fixture
def encoders():
    encoders = Encoders(width=320, height=180, fps=FPS, video_bps=500_000, audio_bps=96_000)
    yield encoders
    encoders.close()


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
    part = Fmp4Part(encoders)
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
    first = Fmp4Part(encoders)
    run(encoders, first, 0, FPS)
    second = Fmp4Part(encoders)
    fragments = run(encoders, second, FPS, 2 * FPS)
    with av.open(io.BytesIO(second.init + fragments[0])) as file:
        packet = next(file.demux(video=0))
        assert packet.pts * packet.time_base == pytest.approx(1.0, abs=0.01)


def test_sound_and_picture_share_a_clock(encoders):
    part = Fmp4Part(encoders)
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
    encoders.forget_audio()
    frames = [f for _ in range(20) for f in encoders.audio(np.zeros((1024, 2), dtype=np.float32))]
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoders.audio_parameters
    sound = [out for f in frames for out in decoder.decode(av.Packet(f.data))]
    assert max(np.abs(s.to_ndarray()).max() for s in sound) < 1e-3
