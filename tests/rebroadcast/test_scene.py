"""Names, placeholders and chat lines: what is drawn of whom, looked at in the pixels."""

import time

import numpy as np
import pytest

from media.canvas import Canvas
from media.gates import GatePage
from media.mixer import Mixer
from rebroadcast.worker.decoding import DecodeThreads
from rebroadcast.worker.messages import ChatDeleted, ChatShown, Look, OpenTap, Person, ProgramConfig, Speaking
from rebroadcast.worker.scene import Scene
from tests.media.encoded import VIDEO_CODECS, video
from tests.media.tapped import TapWriter
from tests.media.test_png import png

WIDTH, HEIGHT = 640, 360
ADA, NOW_NS, SECOND_NS = 2, 10**12, 10**9
LUMAS = {"ada": 60, "bob": 120, "cal": 180, "dee": 220}


@pytest.fixture
def page():
    page = GatePage.create(32)
    yield page
    page.close()


class Decoders(DecodeThreads):
    """The real threads, which can be waited for."""

    def __init__(self):
        super().__init__(2)
        self.tracks = []

    def track(self):
        self.tracks.append(super().track())
        return self.tracks[-1]

    def settle(self):
        while any(track._is_scheduled for track in self.tracks):
            time.sleep(0.001)


class Stage:
    """Makes scenes on a page."""

    def __init__(self, page, decoders):
        self.page, self.decoders = page, decoders

    def scene(self, config, mixer=None):
        canvas = Canvas(WIDTH, HEIGHT)
        return Scene(config, self.page, mixer or Mixer(), canvas, self.decoders, origin_ns=NOW_NS)


@pytest.fixture
def stage(page):
    decoders = Decoders()
    yield Stage(page, decoders)
    decoders.close()


@pytest.fixture
def scene(stage):
    scene = stage.scene(ProgramConfig(epoch_slot=1, width=WIDTH, height=HEIGHT, chat_shown_s=15))
    scene.apply(Person("ada", "p_ada", None, True), NOW_NS)
    return scene


def drawn(scene, now_ns=NOW_NS):
    persons = scene.draw(now_ns, now_ns)
    return scene.canvas.to_frame().to_ndarray(format="gray"), persons


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


def test_a_line_that_was_deleted_is_drawn_no_more(scene, page):
    grant(scene, page)
    silent, _ = drawn(scene)
    scene.apply(ChatShown("1", "ada", "Ada", "hello outside", ADA, 1), NOW_NS)
    scene.apply(ChatDeleted("1"), NOW_NS)
    after, _ = drawn(scene)
    assert np.array_equal(after, silent)


def test_a_cut_takes_name_and_chat_with_it(scene, page):
    placeholder, _ = drawn(scene)
    grant(scene, page)
    scene.apply(ChatShown("1", "ada", "Ada", "hello outside", ADA, 1), NOW_NS)
    scene.cut("ada")
    after, persons = drawn(scene)
    assert np.array_equal(after, placeholder)
    assert not persons


def test_sound_that_waits_is_taken_back_when_the_gate_closes_before_any_message(stage, page):
    mixer = Mixer()
    scene = stage.scene(ProgramConfig(epoch_slot=1), mixer)
    page.store_open(ADA, 1)
    scene.apply(OpenTap(6, "ada", "p_ada", "audio", "mic", ADA, 1), NOW_NS)
    mixer.push(6, 0, np.full((960, 2), 0.5, dtype=np.float32))
    scene.silence_closed()
    assert mixer.pull(480).any()
    page.store_closed(ADA, 2)
    scene.silence_closed()
    assert not mixer.pull(480).any()


def crowd(stage, *people, layout="grid", sharing=(), **look):
    """A scene of granted people whose cameras show one grey level each; shared screens are nearly white."""
    config = ProgramConfig(epoch_slot=1, width=WIDTH, height=HEIGHT, look=Look(layout=layout, **look))
    scene = stage.scene(config)
    for slot, name in enumerate(people, start=2):
        stage.page.store_open(slot, 1)
        scene.apply(Person(name, f"p_{name}", name.title(), True), NOW_NS)
        show(scene, name, slot, 10 + slot, LUMAS.get(name, 40), "camera")
        if name in sharing:
            show(scene, name, slot, 100 + slot, 235, "screen")
    return scene


def show(scene, name, slot, tap, luma, source):
    scene.apply(OpenTap(tap, name, f"p_{name}", "video", source, slot, 1), NOW_NS)
    writer = TapWriter(tap, "vp8", slot=slot, ssrc=tap, start_ns=NOW_NS)
    for frame in video("vp8", (luma,) * 3):
        for record in writer.video(frame, frame.index * SECOND_NS // 25):
            scene.receive(record, NOW_NS + frame.index * SECOND_NS // 25 + SECOND_NS // 2)
    scene._decoders.settle()


def seen(scene, at_s=0.2):
    picture, persons = drawn(scene, NOW_NS + int(at_s * SECOND_NS))
    shares = {
        name: round(float((np.abs(picture.astype(int) - (luma - 16) * 255 / 219) < 5).mean()), 2)
        for name, luma in {**LUMAS, "screen": 235}.items()
    }
    return shares, persons


def test_a_grid_shows_everyone_alike(stage):
    shares, persons = seen(crowd(stage, "ada", "bob", "cal", "dee"))
    assert persons == {"ada", "bob", "cal", "dee"}
    assert max(shares[name] for name in LUMAS) < 1.2 * min(shares[name] for name in LUMAS)


def test_the_speaker_is_large_and_the_place_follows_the_voice(stage):
    scene = crowd(stage, "ada", "bob", "cal", layout="speaker")
    shares, _ = seen(scene)
    assert shares["ada"] > 5 * shares["cal"]
    scene.apply(Speaking(("p_cal",)), NOW_NS)
    seen(scene, 0.5)
    shares, _ = seen(scene, 2.5)
    assert shares["cal"] > 5 * shares["ada"] > 0


def test_a_named_person_is_alone_and_when_absent_nobody_takes_their_place(stage):
    scene = crowd(stage, "ada", "bob", layout="single", is_bound=True)
    shares, persons = seen(scene)
    assert (shares["ada"], shares["bob"], persons) == (0, 0, frozenset())
    scene.apply(Person("bob", "p_bob", "Bob", True, is_main=True), NOW_NS)
    shares, persons = seen(scene)
    assert shares["bob"] > 0.6
    assert persons == {"bob"}


def test_a_shared_screen_stands_beside_the_speaker_alone(stage):
    scene = crowd(stage, "ada", "bob", "cal", layout="screen", sharing=("bob",))
    shares, persons = seen(scene)
    assert shares["screen"] > 0.3
    assert shares["screen"] > shares["ada"] > 0.02
    assert shares["cal"] == 0
    assert persons == {"ada", "bob"}


def test_a_look_is_changed_between_two_pictures(stage):
    scene = crowd(stage, "ada", "bob")
    named, _ = drawn(scene, NOW_NS + SECOND_NS // 5)
    scene.apply(Look(layout="grid", has_names=False), NOW_NS)
    bare, _ = drawn(scene, NOW_NS + SECOND_NS // 5)
    assert np.count_nonzero(named != bare) > 200
    scene.apply(ChatShown("1", "ada", "Ada", "hello outside", ADA, 1), NOW_NS)
    spoken, _ = drawn(scene, NOW_NS + SECOND_NS // 5)
    scene.apply(Look(layout="grid", has_names=False, has_chat=False), NOW_NS)
    silent, _ = drawn(scene, NOW_NS + SECOND_NS // 5)
    assert np.array_equal(silent, bare)
    assert not np.array_equal(spoken, bare)
    scene.apply(
        Look(layout="grid", has_names=False, has_chat=False, logo=png(colour=(255, 255, 255, 255))), NOW_NS
    )
    branded, _ = drawn(scene, NOW_NS + SECOND_NS // 5)
    changed = np.argwhere(branded != bare)
    assert changed[:, 0].max() < HEIGHT // 4
    assert changed[:, 1].min() > WIDTH // 2


def test_a_closed_gate_takes_a_picture_away_in_every_layout(stage, page):
    for layout in ("grid", "speaker", "single", "screen"):
        scene = crowd(stage, "ada", layout=layout)
        assert seen(scene)[0]["ada"] > 0.2
        page.store_closed(ADA, 2)
        shares, persons = seen(scene)
        assert (shares["ada"], persons) == (0, frozenset())


def test_twelve_are_shown_and_a_thirteenth_who_speaks_takes_the_last_place(stage):
    people = [f"n{n}" for n in range(12)] + ["dee"]
    scene = crowd(stage, *people)
    assert seen(scene)[0]["dee"] == 0
    scene.apply(Speaking(("p_dee",)), NOW_NS)
    seen(scene, 0.5)
    shares, persons = seen(scene, 2.5)
    assert shares["dee"] > 0.02
    assert "n11" not in persons


def greys(scene, at_ns):
    """The grey level (as video stores it) of most of the one picture that is shown."""
    scene._decoders.settle()
    scene.draw(at_ns, at_ns)
    picture = scene.canvas.to_frame().to_ndarray(format="gray")
    values, counts = np.unique(picture[40 : HEIGHT - 60, WIDTH // 3 : WIDTH // 2], return_counts=True)
    return round(int(values[counts.argmax()]) * 219 / 255 + 16)


@pytest.mark.parametrize("first", VIDEO_CODECS)
def test_a_program_follows_a_person_through_codecs_sizes_damage_and_silence(stage, page, first):
    page.store_open(ADA, 1)
    config = ProgramConfig(epoch_slot=1, width=WIDTH, height=HEIGHT, look=Look(has_names=False))
    scene = stage.scene(config)
    scene.apply(Person("ada", "p_ada", "Ada", True), NOW_NS)
    scene.apply(OpenTap(5, "ada", "p_ada", "video", "camera", ADA, 1), NOW_NS)
    placeholder = greys(scene, NOW_NS)
    at_ns, seq = 0, 0
    sizes = [(160, 120), (320, 240), (120, 160), (64, 36)]
    rest = [codec for codec in VIDEO_CODECS if codec != first]
    for number, (codec, (width, height)) in enumerate(zip([first, *rest], sizes, strict=True)):
        luma = 60 + 40 * number
        writer = TapWriter(5, codec, slot=ADA, start_ns=NOW_NS, seq=seq)
        for frame in video(codec, (luma,) * 5, width=width, height=height):
            for record in writer.video(frame, at_ns):
                scene.receive(record, NOW_NS + at_ns + SECOND_NS // 2)
            at_ns += SECOND_NS // 25
        broken = writer.packet(bytes([0xFF]) * 40, at_ns, marker=True)
        scene.receive(broken, NOW_NS + at_ns + SECOND_NS // 2)
        seq = writer.seq
        at_ns += SECOND_NS // 25
        assert greys(scene, NOW_NS + at_ns) == pytest.approx(luma, abs=4), codec
    assert greys(scene, NOW_NS + at_ns + 2 * SECOND_NS) == pytest.approx(180, abs=4)
    assert greys(scene, NOW_NS + at_ns + 4 * SECOND_NS) == placeholder, "a camera that stands still is gone"
    scene.apply(Person("ada", "p_ada", None, False), NOW_NS)
    scene.draw(NOW_NS + at_ns + 4 * SECOND_NS, NOW_NS)
    assert len(np.unique(scene.canvas.to_frame().to_ndarray(format="gray"))) == 1
