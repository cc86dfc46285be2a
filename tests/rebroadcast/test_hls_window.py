import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebroadcast.hls_window import KEPT_SEGMENTS, WINDOW_SEGMENTS, HlsError, HlsWindow, Missing
from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES


def window_with(*persons_of_each):
    window = HlsWindow(segment_s=2.0)
    window.start_part(b"init")
    for persons in persons_of_each:
        window.add(b"media", duration_s=2.0, persons=frozenset(persons))
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
    assert window.cut("a") == 4
    assert names(window) == ["seg-4.m4s"]
    assert "#EXT-X-MEDIA-SEQUENCE:4\n" in window.playlist()
    assert all(window.get(f"seg-{n}.m4s") is Missing.GONE for n in range(4))


def test_a_cut_of_someone_absent_changes_nothing():
    window = window_with("b", "b")
    before = window.playlist()
    assert window.cut("a") == 0
    assert window.playlist() == before


def test_after_a_cut_the_next_segment_begins_a_discontinuity_with_a_new_map():
    window = window_with("a", "a")
    window.cut("a")
    assert window.is_empty
    assert "#EXT-X-MEDIA-SEQUENCE:2\n" in window.playlist()
    window.start_part(b"init2")
    window.add(b"media", duration_s=1.0, persons=frozenset("b"))
    text = window.playlist()
    assert '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-1.mp4"\n' in text
    assert window.get("init-0.mp4") is Missing.GONE
    assert window.get("init-1.mp4") == b"init2"


def test_the_discontinuity_sequence_counts_those_that_slid_out():
    window = window_with("a", "a")
    window.start_part(b"init2")
    for _ in range(KEPT_SEGMENTS + 1):
        window.add(b"media", duration_s=2.0, persons=frozenset())
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in window.playlist()


def test_a_segment_without_a_part_or_beyond_the_limit_is_refused():
    with pytest.raises(HlsError):
        HlsWindow(segment_s=2.0).add(b"media", duration_s=2.0, persons=frozenset())
    with pytest.raises(HlsError):
        window_with().add(bytes(HLS_SEGMENT_MAX_BYTES + 1), duration_s=2.0, persons=frozenset())


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
            window.add(b"".join(sorted(p.encode() for p in step)) or b"-", duration_s=2.0, persons=step)
            count += 1
        elif step[0] == "cut":
            window.cut(step[1])
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
