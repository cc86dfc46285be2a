"""kill -9 during a recording, seen through a whole server: of the recorder's worker, and of both at once."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from bench.studio.flash import flash_and_beep
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer
from tests.attacks.call import call, terms_of
from tests.browser.parley import Parley, serve
from tests.browser.seeking import assert_chromium_seeks
from tests.recorder.opened import plain_copy
from tests.recorder.rig import decoded_times
from tests.support.promises import STARVED_FACTOR, assert_promised
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ROOM = "killed"
LOST_S = 1.0
RECORDED_S = LOST_S * STARVED_FACTOR + 1
"""Longer than what may be lost, so that something must be there."""


@pytest.fixture(scope="module")
def media() -> Any:
    return flash_and_beep(width=160, height=96)


def parts(data_dir: Path, source: str, recording: str = "") -> list[Path]:
    return sorted(path for path in data_dir.rglob(f"*-{source}-*.webm") if recording in str(path))


def worker_of(parley: Parley) -> psutil.Process:
    """The recorder's worker."""
    children = psutil.Process(parley.process.pid).children(recursive=True)
    [worker] = [child for child in children if any("recorder" in word for word in child.cmdline())]
    return worker


@contextlib.asynccontextmanager
async def publishing(parley: Parley, http: aiohttp.ClientSession, media: Any) -> AsyncIterator[None]:
    """Somebody with grants, whose picture flashes and whose sound beeps."""
    terms = await terms_of(http, parley)
    token = parley.token(ROOM, "dora", name="Dora", grants=("publish",), terms=terms)
    peer = RtpPeer(f"{parley.url}/whip/{ROOM}", token)
    await peer.connect(http)
    playing = asyncio.create_task(RtpPlayer(peer, *media).run())
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.wait([playing])
        await peer.close()


async def record(parley: Parley) -> dict[str, Any]:
    """Starts a recording; its description once both files grow."""
    status, info = await parley.api("POST", "/recordings", {"room": ROOM})
    assert status == 201, info
    assert isinstance(info, dict)

    async def are_written() -> bool:
        found = [*parts(parley.data_dir, "camera", info["id"]), *parts(parley.data_dir, "mic", info["id"])]
        return len(found) >= 2 and all(path.stat().st_size > 1_000 for path in found)

    await until(are_written, "both files")
    return info


def assert_plays_until(data_dir: Path, files: list[Path], info: dict[str, Any], killed_ms: float) -> None:
    """Fails unless each file's frames reach nearly to the kill."""
    for path in files:
        lost_s = (killed_ms - info["started_ms"]) / 1000 - decoded_times(plain_copy(data_dir, path))[-1]
        assert_promised(f"lost of {path.name}", lost_s, LOST_S)


async def test_a_killed_recorder_costs_a_second_of_its_own_and_no_packet_of_a_call(
    tmp_path: Path, media: Any
) -> None:
    async with serve(tmp_path / "data") as parley, aiohttp.ClientSession() as http:
        await parley.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        async with publishing(parley, http, media), call(parley) as running:
            info = await record(parley)
            assert await running.talk(RECORDED_S) == 0
            first = [*parts(parley.data_dir, "camera"), *parts(parley.data_dir, "mic")]
            worker_of(parley).kill()
            killed_ms = time.time() * 1000
            assert await running.talk(2.0) == 0

            async def goes_on() -> bool:
                found = [path for path in parts(parley.data_dir, "camera") if path not in first]
                return bool(found) and found[0].stat().st_size > 1_000

            await until(goes_on, "a new part")
            assert await running.talk(1.0) == 0
            assert_plays_until(parley.data_dir, first, info, killed_ms)
            status, _ = await parley.api("POST", f"/recordings/{info['id']}/stop")
            assert status in {200, 202}

            async def is_finished() -> bool:
                _, found = await parley.api("GET", f"/recordings/{info['id']}")
                return isinstance(found, dict) and found["state"] == "finished"

            await until(is_finished, "the finished recording")
        for path in (*parts(parley.data_dir, "camera"), *parts(parley.data_dir, "mic")):
            assert len(decoded_times(plain_copy(parley.data_dir, path))) > 5, path


async def test_server_and_recorder_killed_at_once_leave_a_folder_that_the_next_start_finishes(
    tmp_path: Path, media: Any
) -> None:
    """As a power cut does it: no process is left that could close a file."""
    data_dir = tmp_path / "data"
    async with aiohttp.ClientSession() as http:
        async with serve(data_dir) as parley:
            await parley.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
            async with publishing(parley, http, media):
                info = await record(parley)
                await asyncio.sleep(RECORDED_S)
                worker = worker_of(parley)
                for pid in (worker.pid, parley.process.pid):
                    os.kill(pid, signal.SIGKILL)
                killed_ms = time.time() * 1000
                await parley.process.wait()
        files = [*parts(data_dir, "camera"), *parts(data_dir, "mic")]
        assert len(files) == 2
        assert_plays_until(data_dir, files, info, killed_ms)

        async with serve(data_dir) as parley:

            async def is_recovered() -> Any:
                _, found = await parley.api("GET", f"/recordings/{info['id']}")
                return found if isinstance(found, dict) and found["state"] == "interrupted" else None

            await until(is_recovered, "the recovered recording")
            _, page = await parley.api("GET", f"/recordings/{info['id']}/files")
            assert isinstance(page, dict)
            assert {path.name for path in files} <= {item["name"] for item in page["items"]}
            assert (files[0].parent / "manifest.json").exists()
            assert_plays_until(data_dir, files, info, killed_ms)
            await assert_chromium_seeks(plain_copy(data_dir, files[0]))
            async with publishing(parley, http, media):
                again = await record(parley)
                assert again["id"] != info["id"]
