"""Stills of renditions: where each lies, how many, and that nobody is on them who is not in the picture."""

import contextlib
import io

import av
import numpy as np
import pytest
from PIL import Image

from recorder.render.job import render
from recorder.render.messages import RenderConfig
from recorder.render.stills import POSTER, STILLS, STILLS_MOST, Stills, take_all
from tests.recorder.finished import recording

BOB_GREY = 120


class Folder:
    """Keeps what is written by its name."""

    def __init__(self):
        self.files = {}

    @contextlib.contextmanager
    def written(self, name):
        file = io.BytesIO()
        yield file
        self.files[name] = file.getvalue()

    def picture(self, name):
        return Image.open(io.BytesIO(self.files[name]))


def grey(level, width=320, height=180):
    return av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), "rgb24")


def with_somebody(frame, level):
    """The picture with a square of another grey in the middle."""
    pixels = frame.to_ndarray()
    pixels[60:120, 120:200] = level
    return av.VideoFrame.from_ndarray(pixels, "rgb24")


def cues(text):
    """(start, sheet, x, y, width, height) of each."""
    blocks = text.split("\n\n")[1:]
    found = []
    for block in blocks:
        times, place = block.strip().splitlines()
        sheet, _, area = place.partition("#xywh=")
        found.append((times.split(" --> ")[0], sheet, *map(int, area.split(","))))
    return found


def test_each_cue_names_the_place_of_its_picture():
    folder = Folder()
    frames = [(n * 4000, grey(n * 2)) for n in range(112)]
    names = take_all(frames, Stills((320, 180), 448_000, folder.written))
    assert names == ("stills-000.jpg", "stills-001.jpg", STILLS, POSTER)
    assert set(folder.files) == set(names)
    found = cues(folder.files[STILLS].decode())
    assert len(found) == 112
    assert found[0] == ("00:00:00.000", "stills-000.jpg", 0, 0, 160, 90)
    assert found[101] == ("00:06:44.000", "stills-001.jpg", 160, 0, 160, 90)
    assert folder.picture("stills-001.jpg").size == (1600, 180)
    for n in (0, 37, 99, 111):
        _, sheet, x, y, width, height = found[n]
        middle = folder.picture(sheet).crop((x, y, x + width, y + height)).convert("L").getpixel((80, 45))
        assert middle == pytest.approx(n * 2, abs=4)


def test_a_long_recording_has_no_more_than_fits_and_a_short_one_keeps_a_distance():
    for step_ms, duration_ms, most in ((1000, 10_000_000, STILLS_MOST), (500, 10_000, 5)):
        folder = Folder()
        frames = ((at_ms, grey(9, 32, 18)) for at_ms in range(0, duration_ms, step_ms))
        take_all(frames, Stills((32, 18), duration_ms, folder.written))
        assert len(cues(folder.files[STILLS].decode())) == most


def test_the_poster_is_of_a_time_when_people_are_there():
    folder = Folder()
    pictures = [grey(10), with_somebody(grey(40), 90), with_somebody(grey(40), 250), grey(200)]
    frames = [(number * 20_000, picture) for number, picture in enumerate(pictures)]
    take_all(frames, Stills((320, 180), 60_000, folder.written))
    assert folder.picture(POSTER).size == (320, 180)
    assert folder.picture(POSTER).convert("L").getpixel((160, 90)) == pytest.approx(250, abs=6)


def test_without_a_picture_there_is_nothing():
    folder = Folder()
    assert take_all([], Stills((320, 180), 0, folder.written)) == ()
    assert folder.files == {}


@pytest.mark.parametrize(("people", "least", "most"), [(("ada", "bob"), 0.1, 1), (("ada",), 0, 0.01)])
def test_somebody_who_may_not_be_in_it_is_on_no_still(tmp_path, monkeypatch, people, least, most):
    monkeypatch.setattr("recorder.render.job.CHUNK_S", 1)
    source = tmp_path / "rec_1"
    source.mkdir()
    recording(source)
    config = RenderConfig(
        id="rnd_1", keys=None, recording=str(source), folder=str(tmp_path / "out"), people=people,
        layout="single", main="bob", width=320, height=180,
    )  # fmt: skip
    made = render(config, lambda _: None)
    sheet = np.asarray(Image.open(made.path.parent / made.beside[0]).convert("L")).astype(int)
    shown = float((np.abs(sheet - (BOB_GREY - 16) * 255 / 219) < 8).mean())
    assert least <= shown <= most
