"""kill -9 of the whole server while a WHIP publisher is recorded: the next start finishes the folder."""

import asyncio
import os
import signal
import time

import aiohttp
import pytest

from bench.studio.flash import av_offset_ms, beep_times, flash_and_beep, flash_times
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer
from tests.browser.parley import serve
from tests.recorder.opened import plain_copy
from tests.recorder.rig import frame_times
from tests.support.figures import tell
from tests.support.promises import STARVED_FACTOR, assert_promised

ROOM = "killed"
LOST_S = 1.0
RECORDED_S = LOST_S * STARVED_FACTOR + 1
"""Longer than what may be lost, so that something must be there."""


@pytest.fixture(scope="module")
def media():
    return flash_and_beep(width=160, height=96)


async def publish(parley, session):
    async with session.get(f"{parley.url}/api/v1/terms") as response:
        version = (await response.json())["version"]
    terms = {"version": version, "uses": ["live", "record", "replay"]}
    token = parley.token(ROOM, "dora", name="Dora", grants=("publish",), terms=terms)
    peer = RtpPeer(f"{parley.url}/whip/{ROOM}", token)
    await peer.connect(session)
    return peer


async def until(check, what, patience_s=25.0):
    deadline = time.monotonic() + patience_s
    while not (found := await check()):
        assert time.monotonic() < deadline, f"never came: {what}"
        await asyncio.sleep(0.05)
    return found


def parts(data_dir, source):
    return sorted(data_dir.rglob(f"*-{source}-*.webm"))


async def test_kill_9_of_the_server_costs_less_than_a_second_and_the_next_start_finishes(tmp_path, media):
    data_dir = tmp_path / "data"
    async with aiohttp.ClientSession() as session:
        async with serve(data_dir) as parley:
            await parley.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
            peer = await publish(parley, session)
            playing = asyncio.create_task(RtpPlayer(peer, *media).run())
            status, info = await parley.api("POST", "/recordings", {"room": ROOM})
            assert status == 201, info

            async def is_written():
                found = [*parts(data_dir, "camera"), *parts(data_dir, "mic")]
                return len(found) == 2 and all(path.stat().st_size > 1_000 for path in found)

            await until(is_written, "both files")
            await asyncio.sleep(RECORDED_S)
            os.kill(parley.process.pid, signal.SIGKILL)
            killed_ms = time.time() * 1000
            await parley.process.wait()
            playing.cancel()
            await asyncio.wait([playing])
            await peer.close()
        (video,), (audio,) = parts(data_dir, "camera"), parts(data_dir, "mic")
        for path in (video, audio):
            lost_s = (killed_ms - info["started_ms"]) / 1000 - frame_times(plain_copy(data_dir, path))[-1]
            assert_promised(f"kill -9 of the server lost of {path.name}", lost_s, LOST_S)

        async with serve(data_dir) as parley:

            async def is_finished():
                _, found = await parley.api("GET", f"/recordings/{info['id']}")
                return found if found["state"] == "interrupted" else None

            found = await until(is_finished, "the finished recording")
            assert found["reason"] == "the server ended while it ran"
            _, page = await parley.api("GET", f"/recordings/{info['id']}/files")
            names = {item["name"] for item in page["items"]}
            assert names == {video.name, audio.name, "events.jsonl"}
        assert (video.parent / "manifest.json").exists()
        seen, heard = plain_copy(data_dir, video), plain_copy(data_dir, audio)
        offset_ms = av_offset_ms(flash_times(seen), beep_times(heard))
        tell(f"A/V offset: {offset_ms:.0f} ms")
        assert abs(offset_ms) <= 60
