"""The eye of the main-job test: it tells people, placeholders, names and lines apart in encoded pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest

from media.canvas import Canvas, scale
from media.layout import grid
from media.text import render_text
from tests.main_job.cast import AGREED, CAST, REFUSED, A, B
from tests.main_job.program_picture import Tile, expected, likeness_of_line, tiles

WIDTH, HEIGHT, LABEL_PX = 640, 360, 11


def program(*, people=AGREED, named=AGREED, line="", dan=30):
    """A picture as the program draws it, encoded and decoded as a destination gets it."""
    canvas = Canvas(WIDTH, HEIGHT)
    for who, rect in zip(CAST, grid(len(CAST), WIDTH, HEIGHT), strict=True):
        colour = (dan, dan, dan) if who.identity == "D" else who.colour
        camera = av.VideoFrame.from_ndarray(np.full((180, 320, 3), colour, dtype=np.uint8), format="rgb24")
        if who in people:
            canvas.draw(scale(camera, rect))
        else:
            canvas.draw_placeholder(rect)
        if who in named:
            label = render_text(who.name, LABEL_PX, rect.width)
            canvas.draw_text(label, rect.x, rect.y + rect.height - label.luma.shape[0])
    if line:
        canvas.draw_text(render_text(line, LABEL_PX, WIDTH * 2 // 3), LABEL_PX, HEIGHT - 3 * LABEL_PX)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.thread_count = WIDTH, HEIGHT, "yuv420p", 1
    encoder.time_base, encoder.bit_rate = Fraction(1, 15), 600_000
    packets = [*encoder.encode(canvas.to_frame()), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    (frame,) = [f for packet in (*packets, None) for f in decoder.decode(packet)]
    return frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("dan", [30, 250])
def test_people_with_names_and_placeholders_without(dan):
    assert tiles(program(dan=dan)) == expected(AGREED, placeholders=2)


def test_a_placeholder_with_a_name_is_not_anonymous():
    seen = tiles(program(named=[*AGREED, REFUSED[0]]))
    assert seen != expected(AGREED, placeholders=2)
    assert seen.count(Tile(None, is_named=False)) == 1


def test_somebody_who_should_not_be_seen_is_told():
    assert Tile("E", is_named=False) in tiles(program(people=CAST))


def test_one_less_is_one_placeholder_more():
    assert tiles(program(people=[A], named=[A])) == expected([A], placeholders=4)


def test_a_person_without_their_name_is_told():
    assert Tile("B", is_named=False) in tiles(program(named=[A]))


def test_a_line_is_read_and_another_is_not():
    said, unsaid = "Ada: hello from A to everyone", "Cleo: this line of C stays inside"
    assert likeness_of_line(program(line=said), said) > 0.8
    assert likeness_of_line(program(line=said), unsaid) < 0.4
    assert likeness_of_line(program(), said) < 0.4
    assert B.name not in said
