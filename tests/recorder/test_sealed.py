"""Recordings that are sealed on the disk: nothing shows, everything plays, a destroyed key is an erasure."""

import asyncio
import contextlib
import hashlib
import shutil
import subprocess
import time

import pytest

from media.clock_map import SECOND_NS
from media.sealed import SealError
from recorder.data_keys import DataKeys
from recorder.manifest import sign
from recorder.parts import open_part
from recorder.worker.messages import EraseConfig, Failed, Finished
from tests.media import encoded
from tests.recorder.rig import (
    WorkerRig,
    audio_records,
    finish,
    frame_times,
    key_access,
    loudness,
    lumas,
    picture,
    sound,
    video_records,
)
from tests.recorder.test_crash import KEY, LOST_S, RECORDED_S, draft, record_paced
from tests.support.promises import assert_promised

NAME, WORDS = "Ada Canary", "words of a canary"


@pytest.fixture
async def rig(tmp_path):
    folder = tmp_path / "rec_test"
    folder.mkdir()
    rig = WorkerRig(folder, keys=key_access(tmp_path))
    await rig.start()
    yield rig
    await rig.close()


def on_disk(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def record(rig, person, name, slot, codec="vp8"):
    gate = rig.join(person, name, slot)
    camera = rig.open(rig.tap(person, "camera", codec, gate))
    mic = rig.open(rig.tap(person, "mic", "opus", gate))
    frames = picture(codec, 2)
    rig.chat(person, name, WORDS, gate)
    await rig.send(video_records(camera, frames))
    await rig.send(audio_records(mic, sound(2)))
    await rig.sent()
    return frames


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_nothing_shows_on_the_disk_and_everything_plays(rig, codec):
    frames = await record(rig, "u_ada", NAME, 1, codec)
    assert await rig.stop() == 0
    for _ in range(2):  # as it was written, then as it was finished
        everything = on_disk(rig.folder)
        for canary in (frames[0].data[-40:], NAME.encode(), WORDS.encode(), b"camera-canary"):
            assert canary not in everything
        await rig.finish()
    camera = next(name for name in rig.media_names() if "camera" in name)
    plain = rig.plain(camera).read()
    assert frames[0].data[-40:] in plain
    assert WORDS.encode() in rig.plain("chat.jsonl").read()
    assert rig.events("person_joined")[0]["name"] == NAME
    assert len(lumas(rig.plain(camera))) == 50
    assert len(loudness(rig.plain("u_ada-mic-001.webm"))) >= 98
    manifest = draft(rig.folder)
    for entry in manifest.files:
        assert entry.is_plain
        content = rig.plain(entry.name).read()
        assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        stored = (rig.folder / entry.name).read_bytes()
        assert entry.stored_sha256 == hashlib.sha256(stored).hexdigest()
    assert manifest.people[0].name == ""
    assert manifest.people[0].sealed_name


async def test_kill_9_of_a_sealed_recording_loses_less_than_the_last_second(rig):
    gate = rig.join("u_ada", NAME, 1)
    start_ns = time.monotonic_ns()
    camera = rig.open(rig.tap("u_ada", "camera", "h264", gate, start_ns=start_ns))
    await record_paced(rig, camera, video_records(camera, picture("h264", RECORDED_S)))
    rig.worker.kill()
    killed_s = (time.monotonic_ns() - rig.origin_ns) / SECOND_NS
    await rig.worker.wait()
    with (rig.folder / "u_ada-camera-001.mp4").open("ab") as file:
        file.write(b"\0\0\1\0torn")
    messages = await rig.finish()
    assert any(isinstance(message, Finished) for message in messages)
    times = frame_times(rig.plain("u_ada-camera-001.mp4"))
    assert_promised("kill -9 lost of a sealed file", killed_s - times[-1], LOST_S)
    assert draft(rig.folder).state == "interrupted"


async def test_a_destroyed_key_erases_every_copy_and_nobody_else(rig, tmp_path):
    await record(rig, "u_ada", "Ada", 1)
    frames = await record(rig, "u_eve", NAME, 2)
    await rig.stop()
    await rig.finish()
    (rig.folder / "manifest.json").write_bytes(sign(draft(rig.folder), KEY))
    copy = shutil.copytree(rig.folder, tmp_path / "backup")
    keys = DataKeys(rig.keys)
    # What shows that the search finds: before the erasure the copy opens.
    assert frames[0].data[-40:] in open_part(copy / "u_eve-camera-001.webm", keys).read()
    assert NAME.encode() in open_part(copy / "events.jsonl", keys).read()
    erase = EraseConfig(str(rig.folder), "u_eve", rig.keys)
    assert isinstance((await finish(rig.supervisor, rig.folder, erase))[-1], Finished)
    keys = DataKeys(rig.keys)
    with pytest.raises(SealError, match="no key"):
        open_part(copy / "u_eve-camera-001.webm", keys)
    for name in ("events.jsonl", "chat.jsonl"):
        text = open_part(copy / name, keys).read()
        assert NAME.encode() not in text
        assert b"u_ada" in text
    (rig.folder / "manifest.json").unlink()
    assert b"u_eve" not in on_disk(rig.folder)
    assert len(lumas(rig.plain("u_ada-camera-001.webm"))) == 50


async def test_a_part_without_its_key_is_put_aside_and_costs_no_other(rig):
    await record(rig, "u_ada", "Ada", 1)
    await record(rig, "u_eve", NAME, 2)
    await rig.stop()
    DataKeys(rig.keys).destroy("u_eve")
    messages = await rig.finish()
    assert messages[-1].quarantined == 2
    assert {file.person for file in draft(rig.folder).files} == {"u_ada"}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_leaves_a_sealed_file_that_plays(small_disk, tmp_path):
    folder = small_disk / "rec_test"
    folder.mkdir()
    rig = WorkerRig(folder, keys=key_access(tmp_path))
    await rig.start()
    try:
        gate = rig.join("u_ada", "Ada", 1)
        camera = rig.open(rig.tap("u_ada", "camera", "h264", gate))
        frames = encoded.video("h264", (100,) * 100, width=320, height=240, noise=True, bit_rate=8_000_000)
        with contextlib.suppress(ConnectionError):
            await rig.send(video_records(camera, frames))
        await asyncio.wait_for(rig.worker.wait(), 20)
        await asyncio.wait_for(rig._reader, 20)
        assert [message.reason for message in rig.messages if isinstance(message, Failed)] == ["disk_full"]
        await rig.finish()
        (entry,) = draft(folder).files
        assert not entry.is_plain
        assert len(lumas(rig.plain(entry.name))) == entry.frames >= 25
    finally:
        await rig.close()
