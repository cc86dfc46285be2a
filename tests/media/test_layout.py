import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.layout import Rect, arrange, beside, fit, grid

sizes = st.tuples(st.integers(80, 960).map(lambda n: n * 2), st.integers(80, 540).map(lambda n: n * 2))


def overlaps(a, b):
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


@given(st.sampled_from(["grid", "speaker", "screen"]), st.integers(0, 25), sizes)
def test_tiles_are_even_inside_the_canvas_and_apart(layout, count, size):
    rects = arrange(layout, count, *size)
    assert len(rects) == count
    for rect in rects:
        assert not any(value % 2 for value in (rect.x, rect.y, rect.width, rect.height))
        assert rect.x >= 0
        assert rect.x + rect.width <= size[0]
        assert rect.y >= 0
        assert rect.y + rect.height <= size[1]
    assert not any(overlaps(a, b) for i, a in enumerate(rects) for b in rects[:i])


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
        arrange("spiral", 1, 640, 360)
