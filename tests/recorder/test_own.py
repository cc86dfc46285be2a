"""One person's own files in one: as published, in step, in a container that holds their codecs."""

import io
from fractions import Fraction

import av
import pytest

from media.mux import MuxError
from recorder.manifest import FileEntry
from recorder.render.job import render
from recorder.render.messages import RenderConfig
from recorder.render.own import join_own, muxer_of, parameter_sets
from tests.media.encoded import opus, video
from tests.recorder.finished import recording

LUMAS = (40, 200) * 10
STEP_MS = 40
SOUND = opus((0.3,) * 150)


def entry(name, codec, start_ms, frames, kind="video"):
    person, source, _ = name.split("-")
    return FileEntry(
        name=name, kind=kind, person=person, source=source, track=1, codec=codec, width=160, height=120,
        start_ms=start_ms, end_ms=start_ms + (frames - 1) * STEP_MS, frames=frames, size_bytes=1, sha256="",
        is_plain=True,
    )  # fmt: skip


def coded(codec, start_ms, *, size=(160, 120)):
    """A part of 20 pictures as the recorder leaves it, on the recording's time line."""
    sink = io.BytesIO()
    container_format = "mp4" if codec in {"h264", "av1"} else "webm"
    encoder = {"h264": "libx264", "vp8": "libvpx", "vp9": "libvpx-vp9"}[codec]
    with av.open(sink, "w", format=container_format) as container:
        stream = container.add_stream(encoder, rate=25, options={"bf": "0", "deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, luma in enumerate(LUMAS):
            frame = av.VideoFrame(*size, "yuv420p")
            for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = start_ms + number * STEP_MS, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


def sound(start_ms):
    sink = io.BytesIO()
    with av.open(sink, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000)
        for number, packet in enumerate(SOUND):
            made = av.Packet(packet.data)
            made.pts = made.dts = start_ms + number * 20
            made.time_base, made.stream = Fraction(1, 1000), stream
            container.mux(made)
    return sink.getvalue()


def joined(parts, files):
    container, _ = muxer_of(files)
    sink = io.BytesIO()
    join_own(files, lambda name: io.BytesIO(parts[name]), sink, container, lambda _: None)
    sink.seek(0)
    return sink


@pytest.mark.parametrize(
    ("codecs", "extension"),
    [
        (("vp8", "opus"), "webm"),
        (("av1",), "webm"),
        (("h264", "opus"), "mp4"),
        (("h264", "vp8"), "mkv"),
        (("opus",), "webm"),
    ],
)
def test_the_container_holds_every_codec(codecs, extension):
    assert muxer_of([entry("a-camera-001.x", codec, 0, 1) for codec in codecs])[1] == extension


def test_nothing_cannot_be_put_together():
    with pytest.raises(MuxError, match="nothing was recorded"):
        muxer_of([])


@pytest.mark.parametrize(("codec", "sizes"), [("vp8", 2), ("vp9", 2), ("h264", 2), ("h264", 1)])
def test_parts_follow_each_other_with_their_sound_and_their_sizes(codec, sizes):
    second = (160, 120) if sizes == 1 else (320, 240)
    extension = "mp4" if codec == "h264" else "webm"
    names = [f"a-camera-001.{extension}", f"a-camera-002.{extension}", "a-mic-001.webm"]
    starts = (600_000, 603_000)
    parts = {
        names[0]: coded(codec, starts[0]),
        names[1]: coded(codec, starts[1], size=second),
        names[2]: sound(600_500),
    }
    files = [entry(names[0], codec, starts[0], 20), entry(names[1], codec, starts[1], 20)]
    files.append(entry(names[2], "opus", 600_500, len(SOUND), "audio"))
    made = joined(parts, files)
    with av.open(made) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.video[0].codec_context.name == codec
        frames = [(round(frame.time, 2), frame.width) for frame in container.decode(video=0)]
        assert len(frames) == 40
        assert frames[0] == (0.0, 160)
        assert frames[20] == (3.0, second[0])
    made.seek(0)
    with av.open(made) as container:
        heard = [packet for packet in container.demux(audio=0) if packet.size]
        assert [bytes(packet) for packet in heard] == [packet.data for packet in SOUND]
        assert float(heard[0].pts * heard[0].time_base) == pytest.approx(0.5, abs=0.002)
        assert float(heard[-1].pts * heard[-1].time_base) == pytest.approx(
            0.5 + (len(SOUND) - 1) * 0.02, abs=0.002
        )


def test_what_was_published_is_what_is_in_it(tmp_path):
    source = tmp_path / "rec_1"
    source.mkdir()
    recording(source)
    config = RenderConfig(
        id="rnd_1", keys=None, recording=str(source), folder=str(tmp_path / "out"), people=("bob",),
        layout="copy", main="bob",
    )  # fmt: skip
    shares = []
    made = render(config, shares.append)
    assert (made.path.name, made.beside, shares[-1]) == ("rendition.webm", (), 1.0)
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
    published = [frame.data for frame in video("vp8", (120,) * 30, width=160, height=120)] * 2
    with av.open(str(made.path)) as container:
        assert container.duration == pytest.approx(3_000_000, abs=50_000)
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert [bytes(packet) for packet in packets] == published
        assert float(packets[30].pts * packets[30].time_base) == pytest.approx(1.4, abs=0.002)


@pytest.mark.parametrize(
    "torn", [b"", b"\x00" * 9, b"\x01\x42\xc0\x1e\xff\xe1\x00\x40abc", b"\x01\x42\xc0\x1e\xff"]
)
def test_a_configuration_that_is_torn_or_none_has_no_parameter_sets(torn):
    assert parameter_sets(torn) == b""
