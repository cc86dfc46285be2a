"""A paused recording keeps nothing, says so to everyone, and goes on in new parts of the same time line."""

import asyncio

import pytest

from recorder.errors import RecordingConflict
from recorder.worker.messages import Pause
from tests.recorder.house import ROOM, house, until
from tests.recorder.rig import audio_records, frame_times, picture, sound, video_records
from tests.recorder.test_crash import draft

RED = (200, 30, 30)


async def test_nothing_of_a_pause_is_kept_and_the_rest_is_on_one_time_line(rig):
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate))
    shown, hidden = picture("vp8", 1), picture("vp8", 1, luma=40)
    await rig.send(video_records(camera, shown) + audio_records(mic, sound(1)))
    await rig.holds("u_ada-camera-001.webm", shown[0])
    await rig.sent()
    for paused in (True, True):
        rig.tell(Pause(paused))
    await rig.until(lambda: rig.events("paused"), "the pause")
    await asyncio.sleep(1.1)  # a part begins a second after the one before, at the earliest
    rig.chat("u_ada", "Ada", "a paused canary", gate)
    await rig.send(video_records(camera, hidden, first=25) + audio_records(mic, sound(1), first=50))
    await rig.sent()
    rig.tell(Pause(False))
    await rig.until(lambda: rig.events("resumed"), "the end of the pause")
    await rig.send(video_records(camera, shown, first=50) + audio_records(mic, sound(1), first=100))
    await rig.sent()
    assert await rig.stop() == 0
    everything = b"".join(path.read_bytes() for path in rig.folder.iterdir())
    assert hidden[0].data not in everything
    assert b"a paused canary" not in everything
    await rig.finish()
    manifest = draft(rig.folder)
    assert [file.name for file in manifest.files] == [
        "u_ada-camera-001.webm",
        "u_ada-camera-002.webm",
        "u_ada-mic-001.webm",
        "u_ada-mic-002.webm",
    ]
    assert manifest.files[1].start_ms == pytest.approx(2000, abs=20)
    assert manifest.files[3].start_ms == pytest.approx(2000, abs=50)
    assert len(frame_times(rig.folder / "u_ada-camera-002.webm")) == 25
    (pause,) = manifest.pauses
    assert 0 <= pause["from_ms"] <= pause["to_ms"] <= manifest.duration_ms
    assert [len(rig.events(kind)) for kind in ("paused", "resumed", "gap")] == [1, 1, 0]


async def test_a_tap_that_opens_in_a_pause_waits_for_its_end(rig):
    gate = rig.join("u_ada", "Ada", 1)
    rig.tell(Pause(True))
    await rig.until(lambda: rig.events("paused"), "the pause")
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    await rig.send(video_records(camera, picture("vp8", 1)))
    await rig.sent()
    assert rig.keyframes_wanted(camera) == 0
    rig.tell(Pause(False))
    await rig.until(lambda: rig.keyframes_wanted(camera), "the wish for a keyframe")
    await rig.send(video_records(camera, picture("vp8", 1), first=25))
    await rig.sent()
    await rig.stop()
    await rig.finish()
    assert [file.start_ms for file in draft(rig.folder).files] == [pytest.approx(1000, abs=20)]


async def test_everyone_is_told_and_a_worker_that_dies_in_a_pause_leaves_it_paused(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        assert (await home.recorder.pause(info.id, is_paused=True)).state == "paused"
        assert [activity.is_paused for activity in ada.participant.room.activities()] == [True]
        worker = home.worker()
        worker.kill()
        await until(lambda: home.supervisor.workers and home.worker() is not worker, "another worker")
        await asyncio.sleep(1.5)
        assert not [path for path in home.media(info, ada.person, "camera") if "-002" in path.name]
        assert (await home.recorder.pause(info.id, is_paused=False)).state == "recording"
        assert [activity.is_paused for activity in ada.participant.room.activities()] == [False]
        await home.grows(info, ada.person, "camera", number=2)
        assert (await home.recorder.stop(info.id)).state == "finished"
        with pytest.raises(RecordingConflict, match="finished"):
            await home.recorder.pause(info.id, is_paused=True)
