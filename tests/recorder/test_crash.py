"""kill -9, torn files, full disks: what was recorded plays, and the folder is finished."""

import asyncio
import bisect
import contextlib
import itertools
import json
import os
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media.clock_map import SECOND_NS
from media.tap_record import RtpRecord
from recorder.manifest import parse_draft, sign, verify
from recorder.worker.messages import EraseConfig, Failed, Finished, FinishProgress
from server.supervise import Supervisor
from tests.media import encoded
from tests.recorder.rig import (
    WorkerRig,
    audio_records,
    finish,
    frame_times,
    loudness,
    lumas,
    picture,
    sound,
    video_records,
)
from tests.support.promises import STARVED_FACTOR, assert_promised

LOST_S = 1.0
RECORDED_S = int(LOST_S * STARVED_FACTOR) + 1
"""Longer than what may be lost, so that something must be there."""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def draft(folder):
    return parse_draft((folder / "manifest.draft.json").read_bytes())


def run(*command):
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


async def record_paced(rig, tapped, records):
    """Send records at the pace of their arrival times."""
    for record in records:
        wait_s = (record.header.arrival_ns - time.monotonic_ns()) / SECOND_NS
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await rig.send([record])


async def record_a_while(rig):
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate))
    rig.chat("u_ada", "Ada", "hello", gate)
    await rig.send(video_records(camera, picture("vp8", 2)))
    await rig.send(audio_records(mic, sound(2)))
    await rig.sent()


@pytest.mark.parametrize("codec", ["vp8", pytest.param("h264", marks=pytest.mark.wide)])
async def test_kill_9_loses_less_than_the_last_second(rig, codec):
    frames, packets = picture(codec, RECORDED_S), sound(RECORDED_S)
    gate = rig.join("u_ada", "Ada", 1)
    start_ns = time.monotonic_ns()
    camera = rig.open(rig.tap("u_ada", "camera", codec, gate, start_ns=start_ns))
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate, start_ns=start_ns))
    records = video_records(camera, frames) + audio_records(mic, packets)
    await record_paced(rig, camera, sorted(records, key=lambda record: record.header.arrival_ns))
    rig.worker.kill()
    killed_s = (time.monotonic_ns() - rig.origin_ns) / SECOND_NS
    await rig.worker.wait()
    extension = "mp4" if codec == "h264" else "webm"
    video, audio = rig.folder / f"u_ada-camera-001.{extension}", rig.folder / "u_ada-mic-001.webm"
    messages = await rig.finish()
    assert any(isinstance(message, Finished) for message in messages)
    for path in (video, audio):
        assert_promised(f"kill -9 lost of {path.name}", killed_s - frame_times(path)[-1], LOST_S)
    assert len(lumas(video)) >= 20
    assert len(loudness(audio)) >= 40
    manifest = draft(rig.folder)
    assert manifest.state == "interrupted"
    assert [file.name for file in manifest.files] == [video.name, audio.name]


async def test_kill_9_while_a_lost_packet_is_waited_for_loses_less_than_the_last_second(rig):
    gate = rig.join("u_ada", "Ada", 1)
    start_ns = time.monotonic_ns()
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate, start_ns=start_ns))
    mic = rig.open(rig.tap("u_ada", "mic", "opus", gate, start_ns=start_ns))
    # The packet that never comes is lost just before the kill: what follows it is still held back then.
    lost_ns = start_ns + (RECORDED_S - 1) * SECOND_NS + SECOND_NS * 7 // 10
    records = []
    for made in (
        video_records(camera, picture("vp8", RECORDED_S, gop=1)),
        audio_records(mic, sound(RECORDED_S)),
    ):
        lost = next(
            index
            for index, record in enumerate(made)
            if isinstance(record, RtpRecord) and record.header.arrival_ns >= lost_ns
        )
        records += made[:lost] + made[lost + 1 :]
    await record_paced(rig, camera, sorted(records, key=lambda record: record.header.arrival_ns))
    rig.worker.kill()
    killed_s = (time.monotonic_ns() - rig.origin_ns) / SECOND_NS
    await rig.worker.wait()
    await rig.finish()
    files = (rig.folder / "u_ada-camera-001.webm", rig.folder / "u_ada-mic-001.webm")
    for path in files:
        assert_promised(f"kill -9 behind a gap lost of {path.name}", killed_s - frame_times(path)[-1], LOST_S)


async def test_a_second_worker_goes_on_in_a_new_part(rig):
    await record_a_while(rig)
    await rig.until(lambda: len(rig.media_names()) == 2, "both files")
    rig.worker.kill()
    await rig.worker.wait()
    await asyncio.wait([rig._reader])
    await rig.worker.control.close()
    rig._near.close()
    await rig.start()
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
    await rig.send(video_records(camera, picture("vp8", 1), first=100))
    await rig.sent()
    await rig.stop()
    await rig.finish()
    manifest = draft(rig.folder)
    assert [file.name for file in manifest.files] == [
        "u_ada-camera-001.webm",
        "u_ada-camera-002.webm",
        "u_ada-mic-001.webm",
    ]
    assert manifest.worker_starts == 2
    assert manifest.files[1].start_ms == pytest.approx(4000, abs=10)
    assert manifest.state == "finished"


async def test_a_stopped_recording_is_finished_with_a_manifest_that_verifies(rig):
    await record_a_while(rig)
    await rig.stop()
    messages = await rig.finish()
    assert messages[0] == FinishProgress(0, 2)
    content = sign(draft(rig.folder), KEY)
    manifest = verify(content, KEY.public_key().public_bytes_raw())
    assert (manifest.recording, manifest.room, manifest.state) == ("rec_test", "rm_test", "finished")
    video, audio = manifest.files
    assert (video.codec, video.width, video.height, video.frames) == ("vp8", 160, 120, 50)
    assert (audio.codec, audio.frames) == ("opus", 100)
    assert (video.start_ms, video.end_ms) == (0, 1960)
    assert all(file.is_plain for file in manifest.files)
    (person,) = manifest.people
    assert (person.person, person.name, person.chat_lines) == ("u_ada", "Ada", 1)
    assert person.grants[0].terms_version == "2026-11"
    assert {track.source for track in manifest.tracks} == {"camera", "mic"}
    assert manifest.tracks[0].clock
    assert [other.name for other in manifest.others] == ["chat.jsonl", "events.jsonl"]
    for entry in (*manifest.files, *manifest.others):
        path = rig.folder / entry.name
        assert path.stat().st_size == entry.size_bytes
        assert run("sha256sum", path).split()[0] == entry.sha256
    show = ("-show_entries", "format=duration", "-of", "json")
    shown = run("ffprobe", "-v", "error", *show, rig.folder / video.name)
    assert float(json.loads(shown)["format"]["duration"]) == pytest.approx(2.0, abs=0.1)


async def test_finishing_twice_changes_nothing(rig):
    await record_a_while(rig)
    await rig.stop()
    await rig.finish()
    before = {path.name: path.read_bytes() for path in rig.folder.iterdir()}
    await rig.finish()
    assert {path.name: path.read_bytes() for path in rig.folder.iterdir()} == before


async def test_finishing_that_is_killed_is_done_by_the_next(rig):
    await record_a_while(rig)
    await rig.stop()
    fragmented = (rig.folder / "u_ada-camera-001.webm").read_bytes()
    await rig.finish()
    # As if killed after the note was written and before the file was replaced.
    (rig.folder / "u_ada-camera-001.webm").write_bytes(fragmented)
    (rig.folder / "u_ada-camera-001.webm.tmp").write_bytes(b"half")
    (rig.folder / "manifest.draft.json").unlink()
    await rig.finish()
    assert len(lumas(rig.folder / "u_ada-camera-001.webm")) == 50
    assert "u_ada-camera-001.webm.tmp" not in rig.names()
    assert draft(rig.folder).files[0].frames == 50


@pytest.mark.parametrize("codec", ["vp8", pytest.param("h264", marks=pytest.mark.wide)])
async def test_a_torn_file_is_finished_up_to_its_last_whole_fragment(rig, codec):
    gate = rig.join("u_ada", "Ada", 1)
    camera = rig.open(rig.tap("u_ada", "camera", codec, gate))
    await rig.send(video_records(camera, picture(codec, 4)))
    await rig.sent()
    await rig.stop()
    (name,) = rig.media_names()
    path = rig.folder / name
    os.truncate(path, path.stat().st_size - 20)
    with (rig.folder / "events.jsonl").open("ab") as events:
        events.write(b'{"at_ms":1,"eve')
    await rig.finish()
    assert 80 <= len(lumas(path)) < 100
    assert draft(rig.folder).files[0].frames == len(lumas(path))


async def test_a_file_that_cannot_be_read_is_put_aside_and_costs_no_other(rig):
    await record_a_while(rig)
    await rig.stop()
    (rig.folder / "u_ada-camera-001.webm").write_bytes(os.urandom(5000))
    (rig.folder / "u_eve-camera-001.mp4").write_bytes(b"")
    messages = await rig.finish()
    assert isinstance(messages[-1], Finished)
    manifest = draft(rig.folder)
    assert [file.name for file in manifest.files] == ["u_ada-mic-001.webm"]
    assert manifest.quarantined == ["u_ada-camera-001.webm"]
    assert [path.name for path in (rig.folder / "quarantine").iterdir()] == ["u_ada-camera-001.webm"]
    assert not (rig.folder / "u_eve-camera-001.mp4").exists()


async def test_a_folder_without_events_is_refused(tmp_path):
    supervisor = Supervisor()
    messages = await finish(supervisor, tmp_path)
    await supervisor.close()
    assert [message.reason for message in messages if isinstance(message, Failed)] == ["no_events"]


async def record_eve_too(rig):
    """A finished recording, but for its signature, of ada and of eve, who is a canary."""
    await record_a_while(rig)
    gate = rig.join("u_eve", "Eve Canary", 2)
    camera = rig.open(rig.tap("u_eve", "camera", "vp8", gate))
    rig.chat("u_eve", "Eve Canary", "canary words", gate)
    await rig.send(video_records(camera, picture("vp8", 1)))
    await rig.sent()
    await rig.stop()
    await rig.finish()


async def test_an_erased_person_is_in_no_file_and_the_new_manifest_supersedes_the_old(rig):
    await record_eve_too(rig)
    (rig.folder / "manifest.json").write_bytes(sign(draft(rig.folder), KEY))
    messages = await finish(rig.supervisor, rig.folder, EraseConfig(str(rig.folder), "u_eve"))
    assert isinstance(messages[-1], Finished)
    manifest = draft(rig.folder)
    assert (manifest.version, len(manifest.supersedes)) == (2, 64)
    assert [person.person for person in manifest.people] == ["u_ada"]
    (rig.folder / "manifest.json").write_bytes(sign(manifest, KEY))
    (rig.folder / "manifest.draft.json").unlink()
    everything = b"".join(path.read_bytes() for path in rig.folder.iterdir())
    assert b"Canary" not in everything
    assert b"canary words" not in everything
    assert b"u_eve" not in everything
    assert len(lumas(rig.folder / "u_ada-camera-001.webm")) == 50
    assert b"hello" in (rig.folder / "chat.jsonl").read_bytes()


DAMAGED = {
    "missing": None,
    "torn": b'{"manifest": {"format": "parley-rec',
    "nested": b'{"other": ' + b"[" * 200_000,
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
async def test_without_a_manifest_that_can_be_read_a_person_is_erased_all_the_same(rig, damage):
    await record_eve_too(rig)
    manifest = sign(draft(rig.folder), KEY)
    (rig.folder / "manifest.draft.json").unlink()
    if damage is not None:
        (rig.folder / "manifest.json").write_bytes(damage)
    eve = EraseConfig(str(rig.folder), "u_eve")
    (failed,) = await finish(rig.supervisor, rig.folder, eve)
    assert (type(failed), failed.reason) == (Failed, "no_manifest")
    assert "put it back from a copy" in failed.detail
    everything = b"".join(path.read_bytes() for path in rig.folder.iterdir())
    assert b"Canary" not in everything
    assert b"u_eve" not in everything
    assert b"hello" in (rig.folder / "chat.jsonl").read_bytes()
    (rig.folder / "manifest.json").write_bytes(manifest)
    messages = await finish(rig.supervisor, rig.folder, eve)
    assert isinstance(messages[-1], Finished)
    assert [person.person for person in draft(rig.folder).people] == ["u_ada"]
    assert len(lumas(rig.folder / "u_ada-camera-001.webm")) == 50


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_full_disk_ends_the_recording_cleanly_and_what_was_written_plays(small_disk, tmp_path):
    folder = small_disk / "rec_test"
    folder.mkdir()
    rig = WorkerRig(folder)
    await rig.start()
    try:
        gate = rig.join("u_ada", "Ada", 1)
        camera = rig.open(rig.tap("u_ada", "camera", "h264", gate))
        frames = encoded.video("h264", (100,) * 100, width=320, height=240, noise=True, bit_rate=8_000_000)
        with contextlib.suppress(ConnectionError):  # the worker ends while it is still sent to
            await rig.send(video_records(camera, frames))
        code = await asyncio.wait_for(rig.worker.wait(), 20)
        await asyncio.wait_for(rig._reader, 20)
        assert code == 1
        assert [message.reason for message in rig.messages if isinstance(message, Failed)] == ["disk_full"]
        assert rig.events("recording_ended")[-1]["reason"] == "disk_full"
        messages = await rig.finish()
        assert any(isinstance(message, Finished) for message in messages)
        (entry,) = draft(folder).files
        assert not entry.is_plain
        assert len(lumas(folder / entry.name)) == entry.frames >= 25
    finally:
        await rig.close()


@pytest.fixture
def still_disk(tmp_path):
    """A file system that `fsfreeze` makes stand still; needs root."""
    image, folder = tmp_path / "image", tmp_path / "still"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
async def test_a_disk_that_stands_still_for_too_long_leaves_a_gap_that_is_written_down(still_disk):
    """What the queue holds is kept, the rest costs whole fragments; what was recorded plays on both sides."""
    folder = still_disk / "rec_test"
    folder.mkdir()
    rig = WorkerRig(folder, queue_max_bytes=1 << 20)
    await rig.start()
    try:
        gate = rig.join("u_ada", "Ada", 1)
        camera = rig.open(rig.tap("u_ada", "camera", "vp8", gate))
        frames = encoded.video(
            "vp8", (100,) * 225, width=320, height=240, noise=True, gop=25, bit_rate=4_000_000
        )
        records = video_records(camera, frames)
        still, again = (rig.origin_ns + at_s * SECOND_NS for at_s in (2, 7))
        arrivals = [record.header.arrival_ns for record in records]
        first, last = bisect.bisect(arrivals, still), bisect.bisect(arrivals, again)
        await record_paced(rig, camera, records[:first])
        await asyncio.to_thread(subprocess.run, ["fsfreeze", "--freeze", still_disk], check=True)
        try:
            await record_paced(rig, camera, records[first:last])
        finally:
            await asyncio.to_thread(subprocess.run, ["fsfreeze", "--unfreeze", still_disk], check=True)
        await record_paced(rig, camera, records[last:])
        await rig.sent()
        assert await rig.stop() == 0
        await rig.finish()
        manifest = draft(folder)
        (track,) = manifest.tracks
        assert {gap["reason"] for gap in track.gaps} == {"disk_slow"}
        (file,) = manifest.files
        shown = lumas(folder / file.name)
        assert len(shown) == file.frames
        holes = [
            (before, after) for (before, _), (after, _) in itertools.pairwise(shown) if after - before > 0.1
        ]
        assert holes
        assert all(before >= 2 and after <= 9 for before, after in holes), holes
        assert shown[0][0] < 0.2
        assert shown[-1][0] > 8.5
    finally:
        await rig.close()
