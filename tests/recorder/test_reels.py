"""Finished recordings for whoever plays them: nothing of anybody is opened unless it is asked for."""

import asyncio
import base64
import json
import os
from pathlib import Path

import msgspec
import pytest

from media.reel import ReelRefused
from media.sealed import SealedReader, seal
from recorder.installation import signing_key
from recorder.journal import seal_line
from recorder.manifest import NAME_CONTEXT, sign
from store import RecordingRow, RecordingState
from tests.rebroadcast.shelf import seal_parts
from tests.recorder import finished
from tests.recorder.house import SEALED, house

RECORDING = "rec_shelfshelfshelfs"


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def shelve(home, *, is_sealed=False, state=RecordingState.FINISHED):
    folder = home.store.blobs.folder("recordings", RECORDING)
    manifest = finished.recording(folder)
    keys = home.recorder._keys.of(RECORDING)
    if is_sealed:
        text = base64.b64encode(seal(keys.make("bob"), b"Bob", NAME_CONTEXT)).decode()
        people = [
            msgspec.structs.replace(entry, name="", sealed_name=text) if entry.person == "bob" else entry
            for entry in manifest.people
        ]
        manifest = msgspec.structs.replace(manifest, people=people)
        chat = folder / "chat.jsonl"
        chat.write_bytes(seal_line(chat.read_bytes(), "bob", keys.make("bob")))
    (folder / "manifest.json").write_bytes(sign(manifest, signing_key(home.store)))
    await home.store.recordings.add(
        RecordingRow(
            id=RECORDING,
            room="rm_1",
            room_name="shown",
            state=state,
            started_at_ms=7,
            details={"people": ["ada", "bob"]},
        )
    )
    return folder


async def test_a_reel_tells_who_was_there_when_and_what_there_is_of_them(tmp_path):
    async with house(tmp_path, SEALED) as home:
        await shelve(home)
        reel = await home.recorder.reels.reel(RECORDING)
        assert (reel.room, reel.room_name, reel.started_ms, reel.duration_ms) == ("rm_1", "shown", 7, 4_000)
        assert {who.person: who.spans for who in reel.people} == {
            "ada": ((0, 4_000),),
            "bob": ((1_000, 4_000),),
        }
        assert [part.name for part in reel.parts if part.person == "bob"] == [
            "bob-camera-001.webm",
            "bob-mic-001.webm",
            "bob-camera-002.webm",
        ]


async def test_names_lines_and_files_are_opened_for_those_alone_who_are_asked_for(tmp_path):
    async with house(tmp_path, SEALED) as home:
        folder = await shelve(home, is_sealed=True)
        reels, keys = home.recorder.reels, home.recorder._keys.of(RECORDING)
        assert await reels.names(RECORDING, {"ada"}) == {"ada": "Ada"}
        assert await reels.names(RECORDING, {"bob"}) == {"bob": "Bob"}
        assert await reels.lines(RECORDING, {"ada"}) == []
        (line,) = await reels.lines(RECORDING, {"ada", "bob"})
        assert (line.person, line.at_ms, line.text) == ("bob", 2_000, "hello <b> & all")
        part = next(part for part in (await reels.reel(RECORDING)).parts if part.person == "bob")
        opened = await reels.open(RECORDING, part)
        with os.fdopen(opened.fd, "rb") as file:
            assert (file.read(), opened.key) == ((folder / part.name).read_bytes(), b"")
        keys.destroy("bob")
        assert await reels.names(RECORDING, {"bob"}) == {"bob": ""}
        assert await reels.lines(RECORDING, {"ada", "bob"}) == []


async def test_a_sealed_part_comes_with_its_own_key_and_without_one_not_at_all(tmp_path):
    async with house(tmp_path, SEALED) as home:
        folder = await shelve(home)
        plain = (folder / "bob-mic-001.webm").read_bytes()
        seal_parts(home, RECORDING, folder)
        reels = home.recorder.reels
        part = next(p for p in (await reels.reel(RECORDING)).parts if p.name == "bob-mic-001.webm")
        opened = await reels.open(RECORDING, part)
        with SealedReader(os.fdopen(opened.fd, "rb"), opened.key) as file:
            assert file.read() == plain
        assert home.recorder._keys.of(RECORDING).destroy("bob")
        before = descriptors()
        with pytest.raises(ReelRefused, match="key was destroyed"):
            await reels.open(RECORDING, part)
        (folder / "ada-mic-001.webm").unlink()
        gone = next(p for p in (await reels.reel(RECORDING)).parts if p.name == "ada-mic-001.webm")
        with pytest.raises(ReelRefused, match="cannot be opened"):
            await reels.open(RECORDING, gone)
        assert descriptors() == before


async def test_opening_that_is_given_up_leaves_no_file_open(tmp_path):
    async with house(tmp_path, SEALED) as home:
        await shelve(home)
        reels = home.recorder.reels
        part = (await reels.reel(RECORDING)).parts[0]
        before = descriptors()
        for _ in range(20):
            opening = asyncio.ensure_future(reels.open(RECORDING, part))
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait({opening})
        await asyncio.sleep(0.1)
        assert descriptors() == before


async def test_of_whoever_has_withdrawn_there_is_nothing(tmp_path):
    async with house(tmp_path, SEALED) as home:
        folder = await shelve(home)
        (folder / "erase.bob").touch()
        reel = await home.recorder.reels.reel(RECORDING)
        assert {who.person for who in reel.people} == {part.person for part in reel.parts} == {"ada"}


async def test_a_manifest_that_does_not_verify_is_not_played(tmp_path):
    async with house(tmp_path, SEALED) as home:
        folder = await shelve(home)
        path = folder / "manifest.json"
        signed = json.loads(path.read_text())
        signed["manifest"]["duration_ms"] += 1
        path.write_text(json.dumps(signed))
        with pytest.raises(ReelRefused, match="cannot be trusted"):
            await home.recorder.reels.reel(RECORDING)
