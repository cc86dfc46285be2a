"""Fragments that players read, and how far a torn file is whole."""

import io

import av
import pytest

from media.clock_map import SECOND_NS, ParticipantClock
from media.containers import open_muxer, whole_end
from media.mux import MuxError, Sample, TrackFormat
from media.remux import probe, remux
from media.tap_stream import TapStream
from tests.media import encoded
from tests.media.tapped import TapWriter

MS = 1_000_000
LUMAS = (16,) * 25 + (200,) * 25
START_NS = 3 * SECOND_NS


def media_frames(codec):
    writer = TapWriter(1, codec, start_ns=START_NS)
    if codec == "opus":
        stream, source, step = TapStream("audio", ParticipantClock()), encoded.opus((0.5,) * 100), 20
        records = [record for frame in source for record in writer.audio(frame, frame.index * step * MS)]
    else:
        stream, source, step = TapStream("video", ParticipantClock()), encoded.video(codec, LUMAS), 40
        records = [record for frame in source for record in writer.video(frame, frame.index * step * MS)]
    return [item for record in records for item in stream.receive(record)]


def fragments(codec, per_fragment=12):
    """Header and fragments of a file, each as bytes."""
    frames = media_frames(codec)
    first = frames[0].frame
    muxer = open_muxer(TrackFormat(codec, first.width, first.height, first.parameters))
    samples = [Sample(item.frame.data, item.time_ns, item.frame.is_keyframe) for item in frames]
    parts = [muxer.header()]
    for at in range(0, len(samples), per_fragment):
        chunk = samples[at : at + per_fragment]
        parts.append(muxer.fragment(chunk, chunk[-1].time_ns + 20 * MS))
    return muxer.extension, parts


def times(source):
    with av.open(source) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(container.streams[0])]


@pytest.mark.parametrize("codec", [*encoded.VIDEO_CODECS, "opus"])
def test_a_file_of_fragments_plays_on_its_time_line(codec):
    _, parts = fragments(codec)
    shown = times(io.BytesIO(b"".join(parts)))
    step = 0.02 if codec == "opus" else 0.04
    assert len(shown) >= 50
    assert shown[0] == pytest.approx(3.0, abs=0.001)
    assert shown[40] == pytest.approx(3.0 + 40 * step, abs=0.001)


@pytest.mark.parametrize("codec", [*encoded.VIDEO_CODECS, "opus"])
def test_a_file_torn_anywhere_is_whole_up_to_its_last_fragment(codec):
    extension, parts = fragments(codec)
    whole = b"".join(parts)
    ends = [sum(map(len, parts[: count + 1])) for count in range(len(parts))]
    for cut in (0, 7, ends[0] - 1, ends[0], ends[0] + 30, ends[2], ends[2] + 5, ends[3] - 1, len(whole)):
        expected = max((end for end in ends if end <= cut), default=0)
        assert whole_end(io.BytesIO(whole[:cut]), extension) == expected
    assert whole_end(io.BytesIO(whole + bytes(500)), extension) == len(whole)


def copied_file(source, target, extension):
    with source.open("rb") as reader, target.open("wb+", buffering=0) as writer:
        return remux(reader, writer, extension)


@pytest.mark.parametrize("codec", [*encoded.VIDEO_CODECS, "opus"])
def test_a_finished_file_has_a_duration_and_the_same_frames_at_the_same_times(codec, tmp_path):
    extension, parts = fragments(codec)
    source, target = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    source.write_bytes(b"".join(parts))
    copied = copied_file(source, target, extension)
    assert times(str(target)) == pytest.approx(times(str(source)), abs=0.002)
    with av.open(str(target)) as container:
        assert container.duration is not None
    with source.open("rb") as file:
        assert probe(file, extension) == copied
    assert copied.start_ms == 3000
    assert copied.frames >= 50


def test_a_file_without_frames_is_not_finished(tmp_path):
    extension, parts = fragments("vp8")
    (tmp_path / "a.webm").write_bytes(parts[0])
    with pytest.raises(MuxError):
        copied_file(tmp_path / "a.webm", tmp_path / f"b.{extension}", extension)


def test_bytes_that_are_no_file_are_not_finished(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind" * 50)
    with pytest.raises(MuxError):
        copied_file(tmp_path / "a.mp4", tmp_path / "b.mp4", "mp4")


def test_a_full_disk_is_an_os_error(tmp_path):
    extension, parts = fragments("vp8")
    (tmp_path / "a.webm").write_bytes(b"".join(parts))
    (tmp_path / f"b.{extension}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        copied_file(tmp_path / "a.webm", tmp_path / f"b.{extension}", extension)


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_a_format_without_parameters_is_refused(codec):
    with pytest.raises(MuxError):
        open_muxer(TrackFormat(codec, 160, 120, b""))


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_an_empty_fragment_and_times_that_run_backward_are_refused(codec):
    frame = media_frames(codec)[0].frame
    muxer = open_muxer(TrackFormat(codec, 160, 120, frame.parameters))
    with pytest.raises(MuxError):
        muxer.fragment([], 0)
    with pytest.raises(MuxError):
        muxer.fragment(
            [Sample(frame.data, 2 * SECOND_NS, True), Sample(frame.data, SECOND_NS, False)], 3 * SECOND_NS
        )


def test_a_format_accepts_only_frames_of_its_size_and_parameters():
    frame = media_frames("h264")[0].frame
    same = TrackFormat("h264", 160, 120, frame.parameters)
    assert same.accepts(frame)
    assert same.accepts(media_frames("h264")[1].frame)
    assert not TrackFormat("h264", 160, 120, frame.parameters + b"x").accepts(frame)
    assert not TrackFormat("vp8", 80, 60).accepts(media_frames("vp8")[0].frame)
