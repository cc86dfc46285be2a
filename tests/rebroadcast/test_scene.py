"""Names, placeholders and chat lines: what is drawn of whom, looked at in the pixels."""

import numpy as np
import pytest

from media.canvas import Canvas
from media.gates import GatePage
from media.mixer import Mixer
from rebroadcast.worker.messages import ChatShown, OpenTap, Person, ProgramConfig
from rebroadcast.worker.scene import Scene

WIDTH, HEIGHT = 640, 360
ADA, NOW_NS, SECOND_NS = 2, 10**12, 10**9


@pytest.fixture
def page():
    page = GatePage.create(8)
    yield page
    page.close()


@pytest.fixture
def scene(page):
    config = ProgramConfig(epoch_slot=1, width=WIDTH, height=HEIGHT, chat_shown_s=15)
    scene = Scene(config, page, Mixer(), origin_ns=NOW_NS)
    scene.apply(Person("ada", "p_ada", None, True), NOW_NS)
    return scene


def drawn(scene, now_ns=NOW_NS):
    canvas = Canvas(WIDTH, HEIGHT)
    persons = scene.draw(canvas, now_ns, now_ns)
    return canvas.to_frame().to_ndarray(format="gray"), persons


def grant(scene, page):
    page.store_open(ADA, 1)
    scene.apply(Person("ada", "p_ada", "Ada", True), NOW_NS)
    scene.apply(OpenTap(5, "ada", "p_ada", "video", "camera", ADA, 1), NOW_NS)


def bottom(picture):
    return picture[HEIGHT - 20 :, :200]


def test_without_a_grant_a_person_is_the_same_placeholder_as_anybody(scene):
    one, persons = drawn(scene)
    scene.apply(Person("ada", "p_ada", None, False), NOW_NS)
    scene.apply(Person("bob", "p_bob", None, True), NOW_NS)
    other, _ = drawn(scene)
    assert not persons
    assert np.array_equal(one, other)
    assert bottom(one).max() < 100


def test_a_granted_person_is_named_and_counted(scene, page):
    before, _ = drawn(scene)
    grant(scene, page)
    after, persons = drawn(scene)
    assert persons == {"ada"}
    assert bottom(after).max() > 200
    assert np.array_equal(before[: HEIGHT - 40], after[: HEIGHT - 40])


def test_a_closed_gate_takes_the_name_away_before_any_message(scene, page):
    before, _ = drawn(scene)
    grant(scene, page)
    page.store_closed(ADA, 2)
    after, persons = drawn(scene)
    assert np.array_equal(before, after)
    assert not persons


def test_a_chat_line_is_drawn_for_its_time_while_its_gate_is_open(scene, page):
    grant(scene, page)
    silent, _ = drawn(scene)
    scene.apply(ChatShown("1", "ada", "Ada", "hello outside", ADA, 1), NOW_NS)
    spoken, _ = drawn(scene)
    assert np.abs(spoken.astype(int) - silent).max() > 100
    late, _ = drawn(scene, NOW_NS + 16 * SECOND_NS)
    assert np.array_equal(late, silent)


def test_a_cut_takes_name_and_chat_with_it(scene, page):
    placeholder, _ = drawn(scene)
    grant(scene, page)
    scene.apply(ChatShown("1", "ada", "Ada", "hello outside", ADA, 1), NOW_NS)
    scene.cut("ada")
    after, persons = drawn(scene)
    assert np.array_equal(after, placeholder)
    assert not persons


def test_sound_that_waits_is_taken_back_when_the_gate_closes_before_any_message(page):
    mixer = Mixer()
    scene = Scene(ProgramConfig(epoch_slot=1), page, mixer, origin_ns=NOW_NS)
    page.store_open(ADA, 1)
    scene.apply(OpenTap(6, "ada", "p_ada", "audio", "mic", ADA, 1), NOW_NS)
    mixer.push(6, 0, np.full((960, 2), 0.5, dtype=np.float32))
    scene.silence_closed()
    assert mixer.pull(480).any()
    page.store_closed(ADA, 2)
    scene.silence_closed()
    assert not mixer.pull(480).any()
