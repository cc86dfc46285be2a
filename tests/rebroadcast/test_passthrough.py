"""Passthrough: one publisher's H.264 goes out as it is, and a placeholder where it may not."""

import av
import numpy as np
import pytest

from media.clock_map import SECOND_NS
from media.gates import GatePage
from rebroadcast.worker import flv
from rebroadcast.worker.encode import AudioEncoder, EncodedVideo
from rebroadcast.worker.messages import OpenTap, ProgramConfig
from rebroadcast.worker.passthrough import Passthrough
from tests.media import encoded
from tests.media.tapped import TapWriter

FPS = 25
EPOCH, GATE = 1, 2
START_NS = 10**12
CONFIG = ProgramConfig(epoch_slot=EPOCH, mode="passthrough", publisher="p_ada", fps=FPS, delay_ms=200)
LIGHT, DARK = 200, 40


class Stage:
    """A passthrough maker fed with real H.264 at exact times."""

    def __init__(self, page, audio):
        self.page = page
        self.maker = Passthrough(CONFIG, audio, page, start_ns=START_NS)
        self.writer = TapWriter(7, "h264", slot=GATE, start_ns=START_NS)
        self.index = 0

    def open(self):
        self.page.store_open(GATE, 1)
        self.maker.apply(OpenTap(7, "ada", "p_ada", "video", "camera", GATE, 1), START_NS)

    def run(self, frames=()):
        """One picture time for each frame (None: nothing arrives); the video that came out."""
        out = []
        for frame in frames:
            at_ns = self.index * SECOND_NS // FPS
            for record in self.writer.video(frame, at_ns) if frame is not None else ():
                self.maker.receive(record, START_NS + at_ns)
            items = self.maker.make(self.index, START_NS + at_ns, is_skipped=False)
            out += [item for item in items if isinstance(item.frame, EncodedVideo)]
            self.index += 1
        return out


@pytest.fixture
def stage():
    page, audio = GatePage.create(8), AudioEncoder(bps=64_000)
    page.store_open(EPOCH, 1)
    yield Stage(page, audio)
    audio.close()
    page.close()


def camera(count=50, luma=LIGHT):
    return encoded.video("h264", (luma,) * count, width=320, height=240, fps=FPS)


def slices(data):
    """The coded pictures in an access unit, whatever start codes and parameter sets stand around them."""
    return tuple(unit for unit in flv.split_annex_b(data) if unit[0] & 0x1F in {1, 5})


def last_picture(items):
    decoder = av.CodecContext.create("h264", "r")
    first, *rest = (item.frame.data for item in items)
    pictures = decoder.decode(av.Packet(items[0].frame.format.parameters + first))
    for data in rest:
        pictures += decoder.decode(av.Packet(data))
    pictures += decoder.decode(None)
    return pictures[-1].to_ndarray(format="gray")


def test_the_publishers_frames_go_out_as_they_are(stage):
    stage.open()
    frames = camera()
    passed = [item for item in stage.run(frames) if item.persons]
    assert len(passed) > 35
    assert passed[0].frame.is_keyframe
    sent = {slices(frame.data) for frame in frames}
    assert all(slices(item.frame.data) in sent for item in passed)
    assert all(item.persons == {"ada"} for item in passed)
    assert last_picture(passed).mean() == pytest.approx(LIGHT, abs=15)


def test_times_only_grow_across_every_change(stage):
    stage.open()
    items = stage.run(camera()) + stage.run([None] * 60)
    times = [item.frame.pts for item in items]
    assert times == sorted(set(times))


def test_before_any_grant_an_anonymous_placeholder_keeps_the_session_alive(stage):
    items = stage.run([None] * 50)
    assert 3 <= len(items) <= 6
    assert all(item.frame.is_keyframe and not item.persons for item in items)


def test_after_a_cut_nothing_of_the_person_goes_out_and_the_placeholder_has_their_size(stage):
    stage.open()
    frames = camera(100)
    stage.run(frames[:50])
    stage.page.store_closed(GATE, 2)
    stage.page.store_open(EPOCH, 2)
    stage.maker.cut("ada")
    after = stage.run(frames[50:])
    sent = {slices(frame.data) for frame in frames}
    assert after
    assert not any(slices(item.frame.data) in sent for item in after)
    assert all(item.epoch == 2 and not item.persons for item in after)
    assert last_picture(after).shape == (240, 320)
    assert np.abs(last_picture(after).mean() - LIGHT) > 50


def test_another_picture_size_is_another_format(stage):
    stage.open()
    small = camera()
    large = encoded.video("h264", (DARK,) * 50, width=640, height=480, fps=FPS)
    first = [item for item in stage.run(small) if item.persons]
    second = [item for item in stage.run(large) if item.persons]
    formats = {id(item.frame.format) for item in first[-1:] + second[-1:]}
    assert len(formats) == 2
    begin = next(item for item in second if item.frame.format is second[-1].frame.format)
    assert begin.frame.is_keyframe
    assert last_picture([i for i in second if i.frame.format is begin.frame.format]).shape == (480, 640)


def test_somebody_elses_tap_is_not_looked_at(stage):
    stage.page.store_open(GATE, 1)
    stage.maker.apply(OpenTap(7, "bob", "p_bob", "video", "camera", GATE, 1), START_NS)
    assert not any(item.persons for item in stage.run(camera()))
