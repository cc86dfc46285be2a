import av
import numpy as np
import pytest

from media.canvas import Canvas, scale
from media.layout import Rect
from media.text import render_text


def solid(width, height, rgb):
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), rgb, dtype=np.uint8), format="rgb24")


def rgb_at(canvas, x, y):
    return canvas.to_frame().to_ndarray(format="rgb24")[y, x]


def test_a_drawn_picture_has_its_colour_in_its_tile_and_nowhere_else():
    canvas = Canvas(320, 180)
    canvas.draw(scale(solid(640, 360, (200, 30, 40)), Rect(0, 0, 160, 90)))
    assert rgb_at(canvas, 80, 45) == pytest.approx([200, 30, 40], abs=8)
    assert max(rgb_at(canvas, 240, 135)) < 60


def test_a_tall_picture_is_shown_whole():
    canvas = Canvas(320, 180)
    canvas.draw(scale(solid(90, 160, (30, 200, 40)), Rect(0, 0, 320, 180)))
    assert rgb_at(canvas, 160, 90)[1] > 150
    assert max(rgb_at(canvas, 20, 90)) < 60


def test_clear_takes_everything_away():
    canvas = Canvas(320, 180)
    before = canvas.to_frame().to_ndarray(format="rgb24")
    canvas.draw(scale(solid(64, 36, (255, 255, 255)), Rect(0, 0, 320, 180)))
    canvas.clear()
    assert np.array_equal(canvas.to_frame().to_ndarray(format="rgb24"), before)


def test_placeholders_are_all_alike():
    first, second = Canvas(320, 180), Canvas(320, 180)
    for canvas in (first, second):
        canvas.draw_placeholder(Rect(0, 0, 160, 90))
    assert np.array_equal(first.to_frame().to_ndarray(), second.to_frame().to_ndarray())
    assert len(np.unique(first.to_frame().to_ndarray(format="gray")[:90, :160])) == 2


def test_text_brightens_some_pixels_and_keeps_to_its_place():
    canvas = Canvas(320, 180)
    canvas.draw_text(render_text("Ada Lovelace", 16, 200), 10, 150)
    gray = canvas.to_frame().to_ndarray(format="gray")
    assert gray[150:].max() > 180
    assert gray[:150].max() < 60


@pytest.mark.parametrize(("x", "y"), [(-10, 0), (0, 400), (310, 170), (0, 0)])
def test_text_outside_the_canvas_is_left_out(x, y):
    Canvas(320, 180).draw_text(render_text("x" * 300, 16, 2000), x, y)


def test_a_long_text_is_cut_at_its_width():
    assert render_text("w" * 150, 16, 120).luma.shape[1] <= 120


@pytest.mark.parametrize("text", ["", "…", "你好", "🙂", "a\u0301" * 40, "\u202eabc"])
def test_any_text_can_be_drawn(text):
    assert render_text(text, 14, 200).luma.shape[0] % 2 == 0


def test_an_odd_canvas_is_refused():
    with pytest.raises(ValueError, match="even"):
        Canvas(321, 180)
