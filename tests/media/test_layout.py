import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.layout import GRID_MOST, LAYOUTS, STRIP_MOST, Rect, arrange, beside, fit, grid

sizes = st.tuples(st.integers(80, 960).map(lambda n: n * 2), st.integers(80, 540).map(lambda n: n * 2))


def overlaps(a, b):
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


@given(st.sampled_from(LAYOUTS), st.integers(0, 3), st.integers(0, 30), sizes)
def test_tiles_are_even_inside_the_canvas_apart_and_bounded(layout, screens, people, size):
    rects = arrange(layout, screens, people, *size)
    assert len(rects) <= min(screens + people, GRID_MOST)
    assert rects or not people, "whoever is there, somebody is shown"
    for rect in rects:
        assert not any(value % 2 for value in (rect.x, rect.y, rect.width, rect.height))
        assert rect.x >= 0
        assert rect.x + rect.width <= size[0]
        assert rect.y >= 0
        assert rect.y + rect.height <= size[1]
        assert min(rect.width, rect.height) > 0
    assert not any(overlaps(a, b) for i, a in enumerate(rects) for b in rects[:i])


@given(st.integers(1, 12), st.tuples(st.integers(16, 4000), st.integers(16, 4000)))
def test_a_picture_keeps_its_shape_in_any_tile(people, source):
    for rect in arrange("grid", 0, people, 1280, 720):
        shown = fit(source, rect)
        ideal = min(rect.width / source[0], rect.height / source[1])
        assert shown.width == pytest.approx(source[0] * ideal, abs=2.01)
        assert shown.height == pytest.approx(source[1] * ideal, abs=2.01)


def test_a_grid_has_room_for_twelve_and_no_more():
    assert len(arrange("grid", 0, 12, 1280, 720)) == len(arrange("grid", 0, 40, 1280, 720)) == 12


def test_a_shared_screen_is_large_with_the_speaker_beside_it():
    for layout in ("speaker", "screen"):
        screen, speaker = arrange(layout, 1, 4, 1280, 720)
        assert screen.width > 2.5 * speaker.width
        assert speaker.x >= screen.width
    assert len(arrange("grid", 1, 9, 1280, 720)) == 1 + STRIP_MOST


def test_a_single_picture_has_the_whole_canvas():
    assert arrange("single", 1, 9, 1280, 720) == (Rect(0, 0, 1280, 720),)


def test_one_picture_fills_the_canvas_of_its_own_shape():
    assert grid(1, 1280, 720) == (Rect(0, 0, 1280, 720),)


def test_four_pictures_stand_two_by_two():
    rects = grid(4, 1280, 720)
    assert len({r.x for r in rects}) == len({r.y for r in rects}) == 2


def test_the_last_row_is_centred():
    *_, last = grid(3, 1280, 720)
    assert last.x + last.width / 2 == pytest.approx(640, abs=4)


def test_the_speaker_is_larger_than_the_others():
    main, *others = beside(5, 1280, 720)
    assert all(main.width > 3 * other.width for other in others)


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(8, 400), st.integers(8, 400))
def test_a_fitted_picture_stays_inside_its_tile(width, height, tile_w, tile_h):
    into = Rect(10, 20, tile_w * 2, tile_h * 2)
    rect = fit((width, height), into)
    assert into.x <= rect.x
    assert rect.x + rect.width <= into.x + into.width
    assert into.y <= rect.y
    assert rect.y + rect.height <= into.y + into.height
    assert rect.width >= 2
    assert rect.height >= 2


def test_an_unknown_layout_is_named():
    with pytest.raises(ValueError, match="spiral"):
        arrange("spiral", 0, 1, 640, 360)
