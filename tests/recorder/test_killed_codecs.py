"""kill -9 of the recorder's worker, codec by codec: what it leaves plays and seeks in Chromium."""

import time

import pytest

from media.clock_map import SECOND_NS
from tests.browser.seeking import assert_chromium_seeks
from tests.media import encoded
from tests.recorder.rig import audio_records, frame_times, lumas, sound, video_records
from tests.recorder.test_crash import LOST_S, RECORDED_S, draft, record_paced
from tests.support.promises import assert_promised

pytestmark = pytest.mark.slow

FPS = 25
BRIGHTENING = tuple(range(40, 40 + FPS * RECORDED_S))
"""A level for each picture: each time has one of its own."""


@pytest.fixture
def media(codec):
    """Made before the recording begins."""
    return encoded.video(codec, BRIGHTENING, fps=FPS, gop=FPS), sound(RECORDED_S)


@pytest.mark.parametrize(
    "codec",
    ["h264", pytest.param("vp9", marks=pytest.mark.wide), pytest.param("av1", marks=pytest.mark.wide)],
)
async def test_what_a_killed_recorder_leaves_plays_and_seeks_in_chromium(media, rig, codec):
    frames, packets = media
    gate = rig.join("u_ada", "Ada", 1)
    # From the recording's first moment on: of an MP4 that begins later Chromium does not reach the end.
    camera = rig.open(rig.tap("u_ada", "camera", codec, gate))
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate))
    records = video_records(camera, frames) + audio_records(mic, packets)
    await record_paced(rig, camera, sorted(records, key=lambda record: record.header.arrival_ns))
    rig.worker.kill()
    killed_s = (time.monotonic_ns() - rig.origin_ns) / SECOND_NS
    await rig.worker.wait()
    await rig.finish()
    manifest = draft(rig.folder)
    assert (manifest.state, manifest.quarantined) == ("interrupted", [])
    video, _ = manifest.files
    assert (video.codec, len(lumas(rig.folder / video.name))) == (codec, video.frames)
    for file in manifest.files:
        lost_s = killed_s - frame_times(rig.folder / file.name)[-1]
        assert_promised(f"kill -9 lost of {file.name}, {codec}", lost_s, LOST_S)
    await assert_chromium_seeks(rig.folder / video.name)
