import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from media.canvas import Canvas
from media.logo import parse_logo
from media.png import PNG_MAX_BYTES, PngError, check_png


def png(width=60, height=40, colour=(250, 20, 20, 255), mode="RGBA"):
    out = io.BytesIO()
    Image.new("RGBA", (width, height), colour).convert(mode).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "LA", "P", "1"])
def test_a_whole_png_of_any_kind_is_told_by_its_size(mode):
    assert check_png(png(33, 21, mode=mode)) == (33, 21)
    assert parse_logo(png(33, 21, mode=mode), 360).y.shape == (20, 32)


def rewritten(data, at, value):
    """With other bytes in the header, and its check sum right again."""
    header = bytearray(data[12:29])
    header[at : at + len(value)] = value
    return data[:12] + bytes(header) + zlib.crc32(header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "PNG"),
        (b"GIF89a" + bytes(100), "PNG"),
        (png()[:-20], "damaged"),
        (png()[:50], "damaged"),
        (png()[:40] + b"!" + png()[41:], "damaged"),
        (png(2000, 10), "2000 x 10"),
        (rewritten(png(), 4, (1000).to_bytes(4, "big")), "pixels are missing"),
        (rewritten(png(), 8, (20).to_bytes(4, "big")), "pixels are missing"),
        (rewritten(png(), 12, b"\x07"), "colours"),
        (rewritten(png(), 16, b"\x01"), "interlaced"),
        (png() + bytes(PNG_MAX_BYTES), "at most"),
    ],
)
def test_anything_else_is_refused_with_a_word_about_why(data, word):
    with pytest.raises(PngError, match=word):
        check_png(data)


@given(st.binary(max_size=300), st.integers(0, 150))
def test_damage_is_the_documented_error_or_harmless(noise, at):
    data = png()
    data = data[:at] + noise + data[at + len(noise) :]
    try:
        check_png(data)
    except PngError:
        return
    assert parse_logo(data, 360).alpha.size


def test_a_logo_is_bounded_even_and_of_its_colour():
    logo = parse_logo(png(1000, 500), 360)
    assert logo.y.shape == (44, 90)
    canvas = Canvas(640, 360)
    canvas.draw_logo(logo, 10, 10)
    rgb = canvas.to_frame().to_ndarray(format="rgb24")
    assert rgb[30, 50] == pytest.approx([250, 20, 20], abs=12)
    assert max(rgb[100, 100]) < 60


def test_what_is_transparent_in_a_logo_shows_what_is_below():
    canvas, bare = Canvas(640, 360), Canvas(640, 360)
    canvas.draw_logo(parse_logo(png(colour=(250, 20, 20, 0)), 360), 10, 10)
    assert np.array_equal(canvas.to_frame().to_ndarray(), bare.to_frame().to_ndarray())
