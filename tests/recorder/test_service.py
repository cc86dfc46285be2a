"""The recorder in the whole house: aiortc publishers through the native core to files."""

import asyncio
import hashlib
import json
import os
import signal
import time

import pytest

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from policy import RECORD
from recorder import RecorderConfig, RecorderUnavailable, RecordingConflict, RecordingNotFound
from recorder.manifest import verify
from rooms import Refused
from tests.recorder.house import CONFIG, ROOM, SEALED, house, until
from tests.recorder.rig import frame_times
from tests.support.figures import tell

RED, BLUE = (200, 30, 30), (30, 30, 200)


async def fetched(home, info, name):
    """A file as a download gets it."""
    about, file = await home.recorder.file(info.id, name)
    content = b""
    while piece := await file.read(len(content), 100_000):
        content += piece
    await file.close()
    assert len(content) == file.size_bytes
    assert about.sha256 in {None, hashlib.sha256(content).hexdigest()}
    return content


async def test_a_sealed_recording_shows_nothing_on_the_disk_and_is_fetched_as_it_was(tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada-canary", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await ada.participant.chat("hello from ada")
        regretted = await ada.participant.chat("words that ada regrets")
        video = await home.grows(info, ada.person, "camera")
        await asyncio.sleep(1)
        await ada.participant.delete_chat(regretted.id)
        await home.recorder.stop(info.id)
        on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"hello from ada" not in on_disk
        folder = b"".join(path.read_bytes() for path in home.folder(info).iterdir())
        assert b"ada-canary" not in folder
        chat = await fetched(home, info, "chat.jsonl")
        assert b"hello from ada" in chat
        assert b"regrets" not in chat
        assert regretted.id.encode() not in chat
        assert b"ada-canary" in await fetched(home, info, "events.jsonl")
        copy = tmp_path / "copy.webm"
        copy.write_bytes(await fetched(home, info, video.name))
        assert share_of_colour(colours(str(copy))[-1], RED) > 0.9
        await home.recorder.delete(info.id)
        assert not list((tmp_path / "recording-keys").rglob("*.key"))


async def test_what_people_agreed_to_is_recorded_and_nothing_else(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED, hz=440)
        eve = await home.enter("zoe-canary", agrees=False, colour=BLUE, hz=880)
        info = await home.recorder.start(ROOM)
        assert info.state == "recording"
        for person in (ada, eve):
            await person.acknowledge()
        await ada.participant.chat("hello from ada")
        await eve.participant.chat("eve stays inside")
        video = await home.grows(info, ada.person, "camera")
        audio = await home.grows(info, ada.person, "mic")
        await asyncio.sleep(2)
        running = await home.recorder.files(info.id)
        assert {file.name for file in running} >= {video.name, audio.name}
        stopped = await home.recorder.stop(info.id)
        assert stopped.state == "finished"
        assert (stopped.reason, stopped.room) == (None, ROOM)
        assert stopped.size_bytes > 10_000

        pictures = colours(str(video))
        assert len(pictures) > 20
        assert share_of_colour(pictures[-1], RED) > 0.9
        assert tone_level(samples(str(audio))[24_000:], 440) > 0.1
        folder = home.folder(info)
        assert not home.media(info, eve.person, "camera")
        everything = b"".join(path.read_bytes() for path in folder.iterdir())
        assert eve.person.encode() not in everything
        assert b"zoe-canary" not in everything
        assert b"hello from ada" in (folder / "chat.jsonl").read_bytes()

        content = (folder / "manifest.json").read_bytes()
        manifest = verify(content, home.recorder.public_key)
        assert (manifest.recording, manifest.state) == (info.id, "finished")
        assert [person.name for person in manifest.people] == ["ada"]
        files = {file.name: file for file in await home.recorder.files(info.id)}
        assert set(files) == {video.name, audio.name, "chat.jsonl", "events.jsonl"}
        assert files[video.name].content_type == "video/webm"
        assert await fetched(home, info, video.name) == video.read_bytes()
        for name in ("../manifest.json", "reserve.tmp", "nothing.webm"):
            assert await home.recorder.file(info.id, name) is None

        with pytest.raises(RecordingNotFound):
            await home.recorder.stop("rec_aaaaaaaaaaaaaaaa")
        assert [one.id for one in await home.recorder.recordings(room=ROOM)] == [info.id]
        assert await home.recorder.recordings(after=info.id) == []
        await home.recorder.delete(info.id)
        assert not folder.exists()
        assert await home.recorder.status(info.id) is None


async def test_a_revocation_ends_the_files_of_that_person_only(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        bea = await home.enter("bea", colour=BLUE, hz=880)
        info = await home.recorder.start(ROOM)
        for person in (ada, bea):
            await person.acknowledge()
            await home.grows(info, person.person, "camera")
        await asyncio.sleep(1)
        called = time.monotonic()
        _, revocation = await bea.participant.consent({RECORD: False})
        wall_ms = (time.monotonic() - called) * 1000
        sizes = {path: path.stat().st_size for path in home.media(info, bea.person, "*")}
        hers = home.media(info, ada.person, "camera")[0]
        before = hers.stat().st_size
        tell(f"revocation done in {revocation.latency_ms:.1f} ms ({wall_ms:.1f} ms at the caller)")
        assert revocation.killed == ()
        assert revocation.latency_ms < 4 * 250
        await until(lambda: hers.stat().st_size > before, "ada goes on")
        await asyncio.sleep(1)
        assert {path: path.stat().st_size for path in home.media(info, bea.person, "*")} == sizes
        await bea.participant.consent({RECORD: True})
        again = await home.grows(info, bea.person, "camera", 2)
        await home.recorder.stop(info.id)
        manifest = verify((home.folder(info) / "manifest.json").read_bytes(), home.recorder.public_key)
        grants = next(person.grants for person in manifest.people if person.person == bea.person)
        assert [grant.ended for grant in grants] == ["revoked", ""]
        assert again.name in {file.name for file in manifest.files}


async def test_somebody_who_comes_back_goes_on_on_the_same_time_line(tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        await ada.participant.leave()
        await ada.pc.close()
        await asyncio.sleep(1)
        again = await home.enter("ada")
        assert again.person == ada.person
        await again.acknowledge()
        await again.publish(BLUE, 440)
        await home.grows(info, ada.person, "camera", number=2)
        await asyncio.sleep(0.5)
        await home.recorder.stop(info.id)
        manifest = verify((home.folder(info) / "manifest.json").read_bytes(), home.recorder.public_key)
        (person,) = manifest.people
        first, second = person.grants
        assert first.ended == "left"
        assert second.from_ms >= first.to_ms + 900
        parts = [file for file in manifest.files if file.kind == "video"]
        assert [file.name[-8:-5] for file in parts] == ["001", "002"]
        assert parts[0].end_ms <= first.to_ms + 100
        assert parts[1].start_ms >= second.from_ms - 100
        copy = tmp_path / "copy.webm"
        copy.write_bytes(await fetched(home, info, parts[1].name))
        times = frame_times(copy)
        assert times[0] * 1000 == pytest.approx(parts[1].start_ms, abs=2)
        assert share_of_colour(colours(str(copy))[-1], BLUE) > 0.9


async def test_a_worker_that_is_killed_is_started_again_and_goes_on_in_a_new_part(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        first = await home.grows(info, ada.person, "camera")
        await asyncio.sleep(1)
        killed = time.monotonic()
        worker = home.worker()
        worker.kill()
        second = await home.grows(info, ada.person, "camera", 2)
        tell(f"recording again {time.monotonic() - killed:.2f} s after kill -9")
        await asyncio.sleep(1)
        stopped = await home.recorder.stop(info.id)
        assert stopped.state == "finished"
        manifest = verify((home.folder(info) / "manifest.json").read_bytes(), home.recorder.public_key)
        assert manifest.worker_starts == 2
        parts = [file for file in manifest.files if file.source == "camera"]
        assert [part.name for part in parts] == [first.name, second.name]
        assert parts[1].start_ms > parts[0].end_ms
        assert all(len(frame_times(path)) > 5 for path in (first, second))
        assert colours(str(second))


async def test_a_worker_that_does_not_acknowledge_a_cut_is_killed_and_recording_goes_on(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        bea = await home.enter("bea-canary", colour=BLUE)
        info = await home.recorder.start(ROOM)
        for person in (ada, bea):
            await person.acknowledge()
            await home.grows(info, person.person, "camera")
        worker = home.worker()
        os.kill(worker.pid, signal.SIGSTOP)
        _, revocation = await bea.participant.consent({RECORD: False})
        sizes = {path: path.stat().st_size for path in home.media(info, bea.person, "*")}
        assert revocation.killed == (info.id,)
        tell(f"a stuck worker costs {revocation.latency_ms:.0f} ms")
        assert revocation.latency_ms < 4 * 250
        await home.grows(info, ada.person, "camera", 2)
        assert {path: path.stat().st_size for path in home.media(info, bea.person, "*")} == sizes
        await home.recorder.stop(info.id)


async def test_a_room_that_closes_ends_its_recording(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        await home.rooms.close_room(ROOM)
        ended = await home.finished(info)
        assert (ended.state, ended.reason) == ("finished", "room_closed")


async def test_a_room_is_recorded_once_at_a_time(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.recorder.start(ROOM)
        with pytest.raises(RecordingConflict):
            await home.recorder.start(ROOM)
        with pytest.raises(RecordingConflict):
            await home.recorder.delete(info.id)
        await asyncio.gather(home.recorder.stop(info.id), home.recorder.stop(info.id))
        assert (await home.recorder.stop(info.id)).state == "finished"
        await home.recorder.stop((await home.recorder.start(ROOM)).id)
        assert len(await home.recorder.recordings()) == 2


async def test_a_start_that_cannot_be_is_refused_and_leaves_nothing(tmp_path):
    async with house(tmp_path, RecorderConfig(min_free_bytes=1 << 60)) as home:
        ada = await home.enter("ada")
        with pytest.raises(RecordingNotFound):
            await home.recorder.start("nowhere")
        with pytest.raises(RecorderUnavailable, match="make room"):
            await home.recorder.start(ROOM)
        home.recorder._runs._config = CONFIG
        with pytest.raises(Refused):
            await home.recorder.start(ROOM, started_by=ada.participant.id)
        assert not list((tmp_path / "blobs" / "recordings").iterdir())
        assert await home.recorder.recordings() == []


async def test_what_a_crash_left_is_finished_at_the_next_start(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        info = await home.recorder.start(ROOM)
        await ada.acknowledge()
        video = await home.grows(info, ada.person, "camera")
        await asyncio.sleep(1.5)
        await home.crash(info)
    orphan = tmp_path / "blobs" / "recordings" / "rec_aaaaaaaaaaaaaaaa"
    orphan.mkdir()
    async with house(tmp_path) as home:
        found = await home.finished(info)
        assert (found.state, found.reason) == ("interrupted", "the server ended while it ran")
        manifest = verify((home.folder(info) / "manifest.json").read_bytes(), home.recorder.public_key)
        assert manifest.state == "interrupted"
        assert len(colours(str(video))) > 10
        assert not orphan.exists()
        assert any(
            path.name.startswith(orphan.name) for path in (tmp_path / "blobs" / "quarantine").iterdir()
        )


async def test_a_folder_that_cannot_be_finished_is_put_aside(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.recorder.start(ROOM)
        await until((home.folder(info) / "events.jsonl").exists, "the worker")
        await home.crash(info)
        (home.folder(info) / "events.jsonl").write_bytes(b"garbage")
    async with house(tmp_path) as home:
        found = await home.finished(info)
        assert found.state == "failed"
        assert "put aside" in found.reason
        assert (await home.recorder.file(info.id, "manifest.json")) is None


async def test_a_changed_manifest_is_not_trusted(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.recorder.start(ROOM)
        await home.recorder.stop(info.id)
        path = home.folder(info) / "manifest.json"
        content = json.loads(path.read_text())
        content["manifest"]["room"] = "rm_other"
        path.write_text(json.dumps(content))
        with pytest.raises(RecordingConflict):
            await home.recorder.files(info.id)


async def test_a_worker_that_never_starts_fails_the_start(tmp_path, monkeypatch):
    async with house(tmp_path) as home:
        await home.enter("ada")

        async def refuse(*_):
            raise OSError("no more processes")

        monkeypatch.setattr(home.supervisor, "spawn", refuse)
        with pytest.raises(RecorderUnavailable):
            await home.recorder.start(ROOM)
        (row,) = await home.recorder.recordings()
        assert (row.state, row.reason) == ("failed", "no more processes")
        assert not home.rooms.room(ROOM).activities()
