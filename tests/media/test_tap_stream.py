"""A tap's records to frames with their time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clock_map import SECOND_NS, ParticipantClock
from media.simulcast import EncodingChoice
from media.tap_record import RtpRecord, TapHeader
from media.tap_stream import LayerSwitched, MediaFrame, MediaGap, TapStream
from tests.media import encoded, packetise
from tests.media.tapped import TapWriter

MS = 1_000_000
LUMAS = (16,) * 10 + (200,) * 10


def read(stream, records):
    return [item for record in records for item in stream.receive(record)]


def frames(items):
    return [item for item in items if isinstance(item, MediaFrame)]


@pytest.mark.parametrize("codec", encoded.VIDEO_CODECS)
def test_every_frame_of_a_tap_comes_out_with_its_time(codec):
    writer = TapWriter(1, codec, start_ns=5 * SECOND_NS, first_ts=2**32 - 9000)
    source = encoded.video(codec, LUMAS)
    records = [record for frame in source for record in writer.video(frame, frame.index * 40 * MS)]
    items = frames(read(TapStream("video", ParticipantClock()), records))
    assert [item.frame.is_keyframe for item in items] == [frame.is_keyframe for frame in source]
    assert [round((item.time_ns - 5 * SECOND_NS) / MS) for item in items] == [
        40 * index for index in range(20)
    ]
    assert {item.codec for item in items} == {codec}


def test_audio_comes_out_packet_by_packet():
    writer = TapWriter(1, "opus")
    records = [
        record
        for packet in encoded.opus((0.5,) * 5)
        for record in writer.audio(packet, packet.index * 20 * MS)
    ]
    items = frames(read(TapStream("audio", ParticipantClock()), records))
    assert [item.frame.samples for item in items] == [960] * 6


def test_a_gap_is_told_and_a_keyframe_wished_for():
    writer = TapWriter(1, "vp8")
    source = encoded.video("vp8", LUMAS)
    records = [record for frame in source for record in writer.video(frame, frame.index * 40 * MS)]
    stream = TapStream("video", ParticipantClock(), wait_ns=100 * MS)
    assert stream.take_keyframe_wish()
    assert not stream.take_keyframe_wish()
    items = read(stream, records[:5] + records[6:])
    assert [item.packets for item in items if isinstance(item, MediaGap)] == [1]
    assert len(frames(items)) == 19
    assert stream.take_keyframe_wish()


def test_records_that_the_socket_lost_are_told():
    writer = TapWriter(1, "vp8")
    assert read(TapStream("video", ParticipantClock()), [writer.lost(7, 0)]) == [
        MediaGap("tap_full", 7, 10**12)
    ]


def test_a_codec_change_goes_on_with_the_new_codec():
    stream = TapStream("video", ParticipantClock())
    first = TapWriter(1, "vp8", ssrc=7)
    second = TapWriter(1, "h264", ssrc=7, seq=20)
    items = read(stream, [r for f in encoded.video("vp8", LUMAS) for r in first.video(f, f.index * 40 * MS)])
    stream.take_keyframe_wish()
    items += read(
        stream, [r for f in encoded.video("h264", LUMAS) for r in second.video(f, (20 + f.index) * 40 * MS)]
    )
    assert [item.codec for item in frames(items)] == ["vp8"] * 20 + ["h264"] * 20
    assert stream.take_keyframe_wish()


def test_malformed_and_unknown_records_are_counted():
    stream = TapStream("video", ParticipantClock())
    header = TapHeader(1, 0, 1, 1, 5, 9, codec=3)
    read(stream, [RtpRecord(header, bytes(20))])
    read(stream, [RtpRecord(TapHeader(1, 0, 1, 1, 5, 9, codec=1), packetise.rtp(b"x"))])
    read(stream, [RtpRecord(TapHeader(1, 0, 1, 1, 5, 9, codec=77), packetise.rtp(b"x"))])
    assert (stream.counters.malformed, stream.counters.unknown_codec) == (1, 2)


def test_after_discard_nothing_of_before_comes_out():
    writer = TapWriter(1, "vp8")
    source = encoded.video("vp8", LUMAS, noise=True)
    records = [record for frame in source for record in writer.video(frame, frame.index * 40 * MS)]
    stream = TapStream("video", ParticipantClock())
    read(stream, records[:3])
    stream.discard()
    assert stream.flush() == []
    assert frames(read(stream, records[3:])) == []


def test_the_best_simulcast_encoding_is_followed_from_its_keyframe():
    stream = TapStream("video", ParticipantClock())
    low = TapWriter(1, "vp8", ssrc=1, encoding_index=0, first_ts=1000)
    high = TapWriter(1, "vp8", ssrc=2, encoding_index=1, first_ts=70_000)
    small = encoded.video("vp8", LUMAS, width=80, height=60)
    large = encoded.video("vp8", LUMAS)
    items = read(stream, [r for f in small[:10] for r in low.video(f, f.index * 40 * MS)])
    for index in range(10):
        items += read(stream, low.video(small[10 + index], (10 + index) * 40 * MS))
        items += read(stream, high.video(large[index], (10 + index) * 40 * MS))
    switches = [item for item in items if isinstance(item, LayerSwitched)]
    assert [(switch.previous, switch.encoding_index) for switch in switches] == [(0, 1)]
    shown = frames(items)
    assert [item.encoding_index for item in shown] == [0] * 11 + [1] * 10
    assert (shown[11].frame.width, shown[0].frame.width) == (160, 80)


def test_a_lower_encoding_serves_when_the_better_one_fell_silent():
    choice = EncodingChoice()
    choice.packet(1, 0)
    assert choice.keyframe(1, 0)
    choice.packet(0, 500 * MS)
    assert not choice.keyframe(0, 500 * MS)
    assert choice.packet(0, 1100 * MS)
    assert choice.wants_keyframe(1100 * MS)
    assert choice.keyframe(0, 1200 * MS)
    assert choice.selected == 0


def test_the_first_keyframe_of_a_lower_encoding_waits_for_a_better_one_for_half_a_second():
    choice = EncodingChoice()
    choice.packet(0, 0)
    choice.packet(2, 0)
    assert not choice.keyframe(0, 10 * MS)
    choice.packet(2, 600 * MS)
    assert choice.keyframe(0, 600 * MS)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 5), st.binary(min_size=1, max_size=40), st.booleans()),
        max_size=40,
    ),
    st.sampled_from(["audio", "video"]),
)
def test_any_packets_are_read_without_an_error(packets, kind):
    stream = TapStream(kind, ParticipantClock())
    writer = TapWriter(1, "vp8")
    for at, (codec, encoding_index, payload, marker) in enumerate(packets):
        writer.codec, writer.encoding_index = (
            (None, "opus", "red", "vp8", "vp9", "h264", "av1")[codec],
            encoding_index,
        )
        for item in stream.receive(writer.packet(payload, at * MS, marker=marker)):
            assert isinstance(item, MediaFrame | MediaGap | LayerSwitched)
    stream.tick(10**13)
    stream.flush()
