"""Frames from packets that come late, twice, out of order or never."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.assemble import FrameAssembler, Gap, WholeFrame

WAIT_NS = 400_000_000
MS = 1_000_000


def assembler(wait_ns=WAIT_NS):
    return FrameAssembler(lambda payload: payload.startswith(b"S"), wait_ns=wait_ns)


def stream(frames, packets_per_frame=3, first_seq=65_530):
    """(seq, ts, payload, marker) of frames whose first packet begins with S."""
    out = []
    for frame in range(frames):
        for index in range(packets_per_frame):
            name = ("S" if index == 0 else "c") + f"{frame}.{index}"
            out.append(
                ((first_seq + len(out)) % 65536, frame * 3000, name.encode(), index == packets_per_frame - 1)
            )
    return out


def push(target, packet, at_ms=0):
    seq, ts, payload, marker = packet
    return target.push(seq, ts, payload, is_marked=marker, arrival_ns=at_ms * MS)


def run(target, packets):
    out = []
    for at_ms, packet in enumerate(packets):
        out += push(target, packet, at_ms)
    return out


def names(items):
    return ["gap" if isinstance(item, Gap) else item.payloads[0].decode() for item in items]


def test_frames_come_out_at_their_marker_over_the_wrap():
    assert names(run(assembler(), stream(4))) == ["S0.0", "S1.0", "S2.0", "S3.0"]


def test_a_repair_within_the_wait_fills_the_hole():
    target = assembler()
    packets = stream(3)
    lost = packets.pop(4)
    assert names(run(target, packets)) == ["S0.0"]
    assert names(push(target, lost, 100)) == ["S1.0", "S2.0"]
    assert target.counters.lost == 0


def test_what_stays_missing_is_a_gap_and_its_frame_is_dropped():
    target = assembler()
    packets = stream(3)
    packets.pop(4)
    run(target, packets)
    assert target.tick(10 * MS) == []
    items = target.tick(500 * MS)
    assert names(items) == ["gap", "S2.0"]
    assert items[0].lost_packets == 1
    assert target.counters.dropped_frames == 1


def test_a_frame_whose_first_packet_is_lost_is_dropped():
    target = assembler()
    packets = stream(3)
    packets.pop(3)
    run(target, packets)
    assert names(target.tick(500 * MS)) == ["gap", "S2.0"]


def test_a_lost_end_and_start_drop_both_frames():
    target = assembler()
    packets = stream(4)
    del packets[5:7]
    run(target, packets)
    assert names(target.tick(500 * MS)) == ["gap", "S3.0"]
    assert target.counters.dropped_frames == 2


def test_a_lost_whole_frame_costs_only_that_frame():
    target = assembler()
    packets = stream(4)
    del packets[3:6]
    run(target, packets)
    assert names(target.tick(500 * MS)) == ["gap", "S2.0", "S3.0"]


def test_the_deadline_is_the_wait_after_the_first_packet_past_the_hole():
    target = assembler()
    packets = stream(2)
    push(target, packets[0], 0)
    assert target.deadline_ns() is None
    push(target, packets[2], 70)
    assert target.deadline_ns() == 470 * MS


def test_a_duplicate_and_a_late_packet_are_counted_and_ignored():
    target = assembler()
    packets = stream(2)
    assert names(run(target, [packets[0], packets[0], packets[2], packets[2], packets[1], packets[1]])) == [
        "S0.0"
    ]
    assert (target.counters.late, target.counters.duplicates) == (2, 1)


def test_a_stream_that_begins_within_a_frame_waits_for_a_start():
    assert names(run(assembler(), stream(3)[1:])) == ["S1.0", "S2.0"]


def test_the_next_timestamp_ends_a_frame_without_marker():
    packets = [(seq, ts, payload, False) for seq, ts, payload, _ in stream(3)]
    assert names(run(assembler(), packets)) == ["S0.0", "S1.0"]


def test_padding_only_packets_are_part_of_the_sequence_and_of_no_frame():
    packets = stream(1)
    seq = packets[-1][0]
    more = [((seq + 1) % 65536, 0, b"", False), ((seq + 2) % 65536, 3000, b"S1.0", True)]
    assert names(run(assembler(), packets + more)) == ["S0.0", "S1.0"]


def test_a_stream_that_jumps_far_ahead_goes_on_there():
    target = assembler()
    run(target, stream(1, first_seq=100))
    assert names(run(target, stream(2, first_seq=20_000))) == ["gap", "S0.0", "S1.0"]


def test_a_stream_restarted_far_behind_is_followed_after_a_few_packets():
    target = assembler()
    run(target, stream(1, first_seq=30_000))
    assert "S9.0" in names(run(target, stream(12, first_seq=10_000)))


def test_the_window_is_bounded_without_time_passing():
    target = assembler(wait_ns=10**18)
    push(target, (0, 0, b"S", True))
    for seq in range(2, 2200):
        push(target, (seq, seq, b"S", True))
    assert len(target._packets) <= 2048
    assert target.counters.lost == 1


def test_a_frame_that_never_ends_is_dropped_and_not_kept():
    target = assembler()
    for seq in range(9000):
        assert push(target, (seq, 0, (b"S" if seq == 0 else b"c") * 1200, False)) == []
    assert target._frame == []


def test_flush_gives_the_rest_at_once():
    target = assembler()
    packets = stream(3)
    packets.pop(0)
    run(target, packets[:2] + packets[3:])
    assert names(target.flush()) == ["gap", "S2.0"]
    assert target.deadline_ns() is None


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_within_the_window_everything_comes_once_and_in_order(seed):
    packets = stream(60, first_seq=65_500)
    rng = random.Random(seed)
    shuffled = [packets[0]] + [
        packet
        for _, packet in sorted(
            (index + rng.uniform(0, 12), packet) for index, packet in enumerate(packets[1:])
        )
    ]
    assert names(run(assembler(), shuffled)) == [f"S{frame}.0" for frame in range(60)]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 5), st.booleans(), st.integers(0, 3)), max_size=60
    )
)
def test_any_packets_give_only_whole_frames(packets):
    target = assembler(wait_ns=5 * MS)
    for at, (seq, ts, marker, size) in enumerate(packets):
        for item in target.push(seq, ts, b"S" * size, is_marked=marker, arrival_ns=at * MS):
            assert isinstance(item, WholeFrame | Gap)
            assert isinstance(item, Gap) or all(item.payloads)
    target.flush()
    assert target._packets == {}
    assert target._buffered_bytes == 0
