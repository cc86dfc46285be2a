"""Passthrough: one publisher's H.264 goes out as it is, and a placeholder where it may not."""

import av
import numpy as np
import pytest

from media.clock_map import SECOND_NS
from media.gates import GatePage
from media.h264 import parse_sps
from rebroadcast.worker import flv
from rebroadcast.worker.encode import AudioEncoder, EncodedVideo, VideoEncoder
from rebroadcast.worker.messages import CloseTap, MuteTap, OpenTap, ProgramConfig
from rebroadcast.worker.passthrough import Passthrough
from tests.media import encoded
from tests.media.tapped import TapWriter

FPS = 25
EPOCH, GATE = 1, 2
TAP = 7
START_NS = 10**12
CONFIG = ProgramConfig(epoch_slot=EPOCH, mode="passthrough", fps=FPS, delay_ms=200, segment_s=2.0)
LIGHT, DARK = 200, 40


class Stage:
    """A passthrough maker fed with real H.264 at exact times."""

    def __init__(self, page, audio):
        self.page = page
        self.maker = Passthrough(CONFIG, audio, page, start_ns=START_NS)
        self.writer = TapWriter(TAP, "h264", slot=GATE, start_ns=START_NS)
        self.index = 0
        self.wishes = []

    @property
    def now_ns(self):
        return START_NS + self.index * SECOND_NS // FPS

    def open(self, version=1):
        self.page.store_open(GATE, version)
        self.writer.version = version
        self.maker.apply(OpenTap(TAP, "ada", "p_ada", "video", "camera", GATE, version), START_NS)

    def run(self, frames=(), *, lost=(), writer=None):
        """One picture time for each frame (None: nothing arrives); the video that came out.

        `lost`: which of the frames lose their packets on the way.
        """
        writer = writer or self.writer
        out = []
        for number, frame in enumerate(frames):
            at_ns = self.index * SECOND_NS // FPS
            records = writer.video(frame, at_ns) if frame is not None else ()
            for record in () if number in lost else records:
                wanted = self.maker.receive(record, self.now_ns)
                if wanted is not None:
                    self.wishes.append((self.index, wanted))
            items = self.maker.make(self.index, self.now_ns, is_skipped=False)
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


def camera(count=50, luma=LIGHT, **options):
    return encoded.video("h264", (luma,) * count, width=320, height=240, fps=FPS, **options)


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


def shown(items):
    return [item for item in items if item.persons]


def placeholders(items):
    return [item for item in items if not item.persons]


def sps_of(item):
    units = flv.split_annex_b(item.frame.format.parameters)
    return parse_sps(next(unit for unit in units if unit[0] & 0x1F == 7))


def test_the_publishers_frames_go_out_as_they_are(stage):
    stage.open()
    frames = camera()
    passed = stage.run(frames)
    assert len(passed) > 35
    assert passed[0].frame.is_keyframe
    sent = {slices(frame.data) for frame in frames}
    assert all(slices(item.frame.data) in sent for item in passed)
    assert all(item.persons == {"ada"} for item in passed)
    assert last_picture(passed).mean() == pytest.approx(LIGHT, abs=15)
    assert stage.maker.slate is None


def test_parameter_sets_stand_in_the_format_once_and_not_in_the_frames(stage):
    stage.open()
    for item in stage.run(camera()):
        assert not {unit[0] & 0x1F for unit in flv.split_annex_b(item.frame.data)} & {7, 8, 9}
        assert flv.avc_configuration(bytes(item.frame.format.stream.codec_context.extradata))[5] == 0xE1


def test_times_only_grow_across_every_change(stage):
    stage.open()
    items = stage.run(camera()) + stage.run([None] * 60)
    times = [item.frame.pts for item in items]
    assert times == sorted(set(times))


def test_before_any_grant_an_anonymous_placeholder_keeps_the_session_alive(stage):
    items = stage.run([None] * 75)
    assert 4 <= len(items) <= 6
    assert all(item.frame.is_keyframe and not item.persons for item in items)
    assert "not agreed" in stage.maker.slate


def test_after_a_cut_nothing_of_the_person_goes_out_and_the_placeholder_stands_in_at_once(stage):
    stage.open()
    frames = camera(100)
    before = stage.run(frames[:50])
    stage.page.store_closed(GATE, 2)
    stage.page.store_open(EPOCH, 2)
    stage.maker.cut("ada")
    (first,) = stage.run(frames[50:51])
    after = [first, *stage.run(frames[51:])]
    sent = {slices(frame.data) for frame in frames}
    assert not any(slices(item.frame.data) in sent for item in after)
    assert all(item.epoch == 2 and not item.persons and item.frame.is_keyframe for item in after)
    assert last_picture(after).shape == (240, 320)
    assert np.abs(last_picture(after).mean() - LIGHT) > 50
    assert (sps_of(after[0]).profile_idc, sps_of(after[0]).level_idc) == (
        sps_of(before[0]).profile_idc,
        sps_of(before[0]).level_idc,
    )


def test_the_placeholder_is_of_the_publishers_profile(stage):
    stage.open()
    encoder = VideoEncoder(width=640, height=480, fps=FPS, bps=500_000, profile="high")
    picture = av.VideoFrame(640, 480, "yuv420p")
    key = next(encoder.encode(picture, 0, is_keyframe=True)).data
    frame = encoded.Encoded(encoder.format.parameters + key, 0, is_keyframe=True)
    items = stage.run([frame, *[None] * 50])
    encoder.close()
    picture, slate = shown(items)[0], placeholders(items)[0]
    assert sps_of(slate).profile_idc == sps_of(picture).profile_idc == 100
    assert slate.frame.format.size == picture.frame.format.size == (640, 480)


def test_who_comes_back_with_a_grant_is_seen_from_their_next_keyframe_on(stage):
    stage.open()
    stage.run(camera(60)[:50])
    stage.page.store_closed(GATE, 2)
    stage.page.store_open(EPOCH, 2)
    stage.maker.cut("ada")
    stage.run([None] * 30)
    stage.open(version=3)
    frames = camera()
    stage.writer.seq += 500
    items = stage.run([*camera(60)[50:], *frames])
    first = items.index(shown(items)[0])
    assert slices(items[first].frame.data) == slices(frames[0].data)
    assert items[first].frame.is_keyframe
    assert all(item.persons for item in items[first:])
    assert stage.maker.slate is None


def test_a_frame_of_an_older_version_of_the_grant_goes_nowhere(stage):
    stage.open(version=3)
    stage.writer.version = 1
    assert not shown(stage.run(camera()))


def test_another_picture_size_is_another_format(stage):
    stage.open()
    first = shown(stage.run(camera()))
    large = encoded.video("h264", (DARK,) * 50, width=640, height=480, fps=FPS)
    second = shown(stage.run(large))
    formats = {id(item.frame.format) for item in first[-1:] + second[-1:]}
    assert len(formats) == 2
    begin = next(item for item in second if item.frame.format is second[-1].frame.format)
    assert begin.frame.is_keyframe
    assert last_picture([i for i in second if i.frame.format is begin.frame.format]).shape == (480, 640)


def test_behind_a_hole_nothing_goes_out_before_a_keyframe(stage):
    stage.open()
    frames = [*camera(20), *camera(30)]
    items = shown(stage.run([*frames, *[None] * 10], lost={3}))
    passed = [slices(item.frame.data) for item in items]
    assert passed == [slices(frame.data) for frame in (*frames[:3], *frames[20:])]
    assert stage.wishes


def test_a_hole_behind_a_keyframe_that_still_waits_is_a_hole_all_the_same(stage):
    stage.open()
    key, *others = camera(20)
    for record in (*stage.writer.video(key, 0), stage.writer.lost(5, 0)):
        stage.maker.receive(record, stage.now_ns)
    stage.index = 1
    passed = [slices(item.frame.data) for item in shown(stage.run([*others, *camera(30), *[None] * 10]))]
    assert passed == [slices(frame.data) for frame in (key, *camera(30))]


def test_while_a_keyframe_is_awaited_the_last_picture_stands_for_a_second_at_most(stage):
    stage.open()
    items = stage.run(camera(100), lost={30})
    first = placeholders(items)[0]
    last = shown(items)[-1]
    assert 0.9 <= (first.frame.pts - last.frame.pts) / 90_000 <= 1.2
    assert stage.maker.slate == "no keyframe of the publisher has come yet"


def test_keyframes_are_asked_for_on_the_segment_clock(stage):
    stage.open()
    stage.run([frame for _ in range(8) for frame in camera(25)])
    assert [index // (2 * FPS) for index, _ in stage.wishes[-3:]] == [1, 2, 3]
    assert all(index % (2 * FPS) <= 1 for index, _ in stage.wishes[-3:])


def test_keyframes_are_asked_for_again_and_again_while_there_is_no_picture(stage):
    stage.open()
    stage.run(camera(100)[1:])
    assert 6 <= len(stage.wishes) <= 12


def test_a_camera_that_is_switched_off_gives_way_to_the_placeholder(stage):
    stage.open()
    stage.run(camera())
    stage.maker.apply(MuteTap(TAP, True), stage.now_ns)
    assert placeholders(stage.run([None]))
    assert stage.maker.slate == "the publisher's camera is off"
    stage.maker.apply(MuteTap(TAP, False), stage.now_ns)
    assert shown(stage.run(camera()))


def test_of_two_cameras_the_older_goes_out_and_then_the_other(stage):
    stage.open()
    second = TapWriter(8, "h264", slot=GATE, start_ns=START_NS, ssrc=0x2000)
    stage.maker.apply(OpenTap(8, "ada", "p_ada", "video", "camera", GATE, 1), START_NS)
    stage.run(camera())
    assert not shown(stage.run(camera(luma=DARK), writer=second))[10:]
    stage.maker.apply(CloseTap(TAP), stage.now_ns)
    items = shown(stage.run(camera(luma=DARK), writer=second))
    assert last_picture(items).mean() == pytest.approx(DARK, abs=15)


def test_sound_that_waits_in_the_mixer_still_counts_as_the_publishers(stage):
    stage.open()
    stage.maker.apply(OpenTap(9, "ada", "p_ada", "audio", "mic", GATE, 1), START_NS)
    writer = TapWriter(9, "opus", slot=GATE, start_ns=START_NS, ssrc=0x3000)
    for number, packet in enumerate(encoded.opus((0.5,) * 60)):
        for record in writer.audio(packet, number * 20_000_000):
            stage.maker.receive(record, START_NS + number)
    heard = []
    for _ in range(2 * FPS):
        items = stage.maker.make(stage.index, stage.now_ns, is_skipped=False)
        heard += [item for item in items if not isinstance(item.frame, EncodedVideo)]
        stage.index += 1
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = stage.maker._audio.parameters
    for item in heard:
        for frame in decoder.decode(av.Packet(item.frame.data)):
            assert np.abs(frame.to_ndarray()).max() < 0.01 or item.persons == {"ada"}


def test_a_codec_that_cannot_be_passed_is_named(stage):
    stage.open()
    vp8 = TapWriter(TAP, "vp8", slot=GATE, start_ns=START_NS)
    frames = encoded.video("vp8", (LIGHT,) * 40, fps=FPS)
    assert not shown(stage.run(frames, writer=vp8))
    assert stage.maker.slate == "the publisher sends VP8, and passthrough needs H.264"


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(b"\0\0\0\1\x67\x42\xc0\x0d\xff", id="torn"),
        pytest.param(b"", id="no picture parameter set"),
    ],
)
def test_a_keyframe_whose_parameters_cannot_be_carried_does_not_go_out(stage, parameters):
    stage.open()
    (key, *_) = camera()
    sps = next(unit for unit in flv.split_annex_b(key.data) if unit[0] & 0x1F == 7)
    idr = next(unit for unit in flv.split_annex_b(key.data) if unit[0] & 0x1F == 5)
    broken = (parameters or b"\0\0\0\1" + sps) + b"\0\0\0\1" + idr
    items = stage.run([encoded.Encoded(broken, 0, is_keyframe=True)] * 50)
    assert not shown(items)
    assert placeholders(items)


def test_frames_far_ahead_of_their_time_are_bounded(stage):
    stage.open()
    stage.run(camera())
    key, *others = camera()
    for number in range(1000):
        frame = others[number % len(others)]
        for record in stage.writer.video(frame, stage.index * SECOND_NS // FPS + SECOND_NS + number * 1000):
            stage.maker.receive(record, stage.now_ns)
    assert len(stage.maker._waiting) <= 257
    stage.index += 2 * FPS
    passed = [slices(item.frame.data) for item in shown(stage.run([key, *others]))]
    assert passed[0] == slices(key.data)
