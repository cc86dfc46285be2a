import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebroadcast.hls_window import KEPT_MORE, HlsError, HlsWindow, Missing, Part
from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES

WINDOW_SEGMENTS = 6
KEPT_SEGMENTS = WINDOW_SEGMENTS + KEPT_MORE


def new_window(**changes):
    settings = {"segment_s": 2.0, "part_s": 1.0, "window_s": 12.0, "max_bytes": 64 << 20}
    return HlsWindow(**(settings | changes))


def add(window, data=b"media", *, duration_s=2.0, persons="", ends=True, is_independent=True, at_s=0.0):
    made = Part(at_s, duration_s, data, frozenset(persons), is_independent)
    return window.add(made, ends_segment=ends)


def window_with(*persons_of_each, **changes):
    window = new_window(**changes)
    window.start_part(b"init")
    for persons in persons_of_each:
        add(window, persons=persons)
    return window


def names(window):
    return re.findall(r"^seg-\d+\.m4s$", window.playlist(), re.MULTILINE)


def test_a_playlist_lists_the_window_behind_one_map():
    text = window_with("a", "a").playlist()
    assert text.count("#EXT-X-MAP") == 1
    assert 'URI="init-0.mp4"' in text
    assert names(window_with("a", "a")) == ["seg-0.m4s", "seg-1.m4s"]
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" in text
    assert "#EXT-X-DISCONTINUITY\n" not in text


def test_the_window_slides_and_old_names_answer_gone():
    window = window_with(*["a"] * 20)
    assert names(window)[0] == f"seg-{20 - WINDOW_SEGMENTS}.m4s"
    assert window.get("seg-0.m4s") is Missing.GONE
    assert window.get(f"seg-{20 - KEPT_SEGMENTS}.m4s") == b"media"
    assert window.get("seg-20.m4s") is Missing.UNKNOWN


def test_a_cut_drops_everything_up_to_the_last_segment_with_the_person():
    window = window_with("b", "ab", "b", "ab", "b")
    assert window.cut(window.last_with("a")) == 4
    assert names(window) == ["seg-4.m4s"]
    assert "#EXT-X-MEDIA-SEQUENCE:4\n" in window.playlist()
    assert all(window.get(f"seg-{n}.m4s") is Missing.GONE for n in range(4))


def test_a_cut_of_someone_absent_changes_nothing():
    window = window_with("b", "b")
    before = window.playlist()
    assert window.cut(window.last_with("a")) == 0
    assert window.playlist() == before


def test_after_a_cut_the_next_segment_begins_a_discontinuity_with_a_new_map():
    window = window_with("a", "a")
    window.cut(window.last_with("a"))
    assert window.is_empty
    assert "#EXT-X-MEDIA-SEQUENCE:2\n" in window.playlist()
    window.start_part(b"init2")
    add(window, duration_s=1.0, persons="b")
    text = window.playlist()
    assert '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-1.mp4"\n' in text
    assert window.get("init-0.mp4") is Missing.GONE
    assert window.get("init-1.mp4") == b"init2"


def test_the_discontinuity_sequence_counts_those_that_slid_out():
    window = window_with("a", "a")
    window.start_part(b"init2")
    for _ in range(KEPT_SEGMENTS + 1):
        add(window)
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in window.playlist()


def test_a_segment_without_a_part_or_beyond_the_limit_is_refused():
    with pytest.raises(HlsError):
        add(new_window())
    with pytest.raises(HlsError):
        add(window_with(), bytes(HLS_SEGMENT_MAX_BYTES + 1))


@pytest.mark.parametrize(
    "name", ["", "../index.m3u8", "seg-1", "seg--1.m4s", "seg-1.m4s\n", "init-9.mp4", "seg-" + "9" * 40]
)
def test_names_that_never_were_are_unknown(name):
    assert window_with("a").get(name) is Missing.UNKNOWN


@given(
    st.lists(
        st.one_of(
            st.frozensets(st.sampled_from("abc")),
            st.sampled_from([("cut", "a"), ("cut", "b"), ("part", "")]),
        ),
        max_size=60,
    )
)
def test_whatever_happens_no_segment_of_a_cut_person_is_served_and_numbers_only_grow(steps):
    window = window_with()
    older_than_cut = {}
    count, last_first = 0, 0
    for step in steps:
        if isinstance(step, frozenset):
            add(window, b"".join(sorted(p.encode() for p in step)) or b"-", persons=step)
            count += 1
        elif step[0] == "cut":
            window.cut(window.last_with(step[1]))
            older_than_cut[step[1]] = count
        else:
            window.start_part(b"init")
        first = int(re.search(r"MEDIA-SEQUENCE:(\d+)", window.playlist())[1])
        assert first >= last_first
        last_first = first
        for number in range(count):
            data = window.get(f"seg-{number}.m4s")
            for person, limit in older_than_cut.items():
                assert not (number < limit and isinstance(data, bytes) and person.encode() in data)


def test_parts_are_listed_as_they_come_and_the_next_one_is_announced():
    window = window_with("a", "a", "a", "a")
    add(window, b"one", duration_s=1.0, ends=False)
    add(window, b"two", duration_s=0.9, ends=False, is_independent=False)
    lines = window.playlist().splitlines()
    assert lines[-4].startswith("#EXT-X-PROGRAM-DATE-TIME:")
    assert lines[-3:] == [
        '#EXT-X-PART:DURATION=1.00000,URI="seg-4-0.m4s",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.90000,URI="seg-4-1.m4s"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="seg-4-2.m4s"',
    ]
    assert "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=6.000" in lines
    assert "#EXT-X-PART-INF:PART-TARGET=2.000" in lines
    assert [line for line in lines if "seg-0-" in line or "seg-1-" in line] == [], "old ones whole only"
    assert (window.get("seg-4-0.m4s"), window.get("seg-4-1.m4s")) == (b"one", b"two")
    assert window.get("seg-4.m4s") is Missing.UNKNOWN
    assert window.get("seg-4-2.m4s") is Missing.UNKNOWN
    assert window.is_hinted("seg-4-2.m4s")
    assert window.edge == (4, 2)
    add(window, b"three", duration_s=0.1, is_independent=False)
    assert window.get("seg-4.m4s") == b"onetwothree"
    assert window.edge == (5, 0)
    assert 'URI="seg-5-0.m4s"' in window.playlist()


def test_a_cut_takes_the_open_segment_and_its_parts_too():
    window = window_with("b", "b")
    add(window, persons="a", ends=False)
    assert window.cut(window.last_with("a")) == 3
    assert window.get("seg-2-0.m4s") is Missing.GONE
    assert "seg-" not in window.playlist(), "nothing is announced before another initialisation segment"
    window.start_part(b"init2")
    add(window, b"new", persons="b", ends=False)
    assert window.get("seg-3-0.m4s") == b"new"
    assert "#EXT-X-DISCONTINUITY\n" in window.playlist()


def test_another_format_ends_the_open_segment_where_it_is():
    window = window_with("b")
    add(window, b"half", duration_s=0.5, ends=False)
    window.start_part(b"init2")
    assert window.get("seg-1.m4s") == b"half"
    add(window, b"new")
    assert "seg-1.m4s\n#EXT-X-DISCONTINUITY" in window.playlist()


def test_a_long_window_is_bounded_by_memory():
    window = window_with(window_s=600.0, max_bytes=10_000)
    for _ in range(100):
        add(window, bytes(1000))
    assert len(names(window)) == 10
    window = window_with(*["a"] * 100, window_s=60.0)
    assert len(names(window)) == 30


def test_what_a_part_costs_does_not_grow_with_the_window():
    def steps(segments):
        window = window_with(*["a"] * segments, window_s=10 * segments)
        window.start_part(b"init")
        seen = 0

        def count(*_):
            nonlocal seen
            seen += 1
            return count

        sys.settrace(count)
        try:
            for _ in range(10):
                add(window)
                window.get(f"seg-{window.edge[0] - 5}.m4s")
        finally:
            sys.settrace(None)
        return seen

    few, many = steps(50), steps(5_000)
    assert many < 1.5 * few


def test_a_part_too_many_ends_its_segment_where_it_is():
    window = window_with("a")
    add(window, bytes(HLS_SEGMENT_MAX_BYTES), ends=False)
    with pytest.raises(HlsError):
        add(window, b"more", is_independent=False)
    add(window, b"next")
    assert names(window) == ["seg-0.m4s", "seg-1.m4s", "seg-2.m4s"]
    assert "seg-1.m4s\n#EXT-X-DISCONTINUITY\n" in window.playlist()


def test_a_segment_begins_with_a_keyframe_or_not_at_all():
    window = window_with("a")
    with pytest.raises(HlsError):
        add(window, is_independent=False)
    assert names(window) == ["seg-0.m4s"]
