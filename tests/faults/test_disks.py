"""Disks that stand still or fill up under a whole server: what a recording loses, and that no call does."""

import asyncio
import contextlib
import itertools
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.studio.flash import flash_and_beep
from tests.attacks.call import Call, call
from tests.browser.parley import Parley, serve
from tests.faults.test_kill import ROOM, parts, publishing, record
from tests.recorder.opened import plain_copy
from tests.recorder.rig import decoded_times
from tests.recorder.test_full_disk import fill
from tests.support.waiting import until

pytestmark = pytest.mark.slow

DISK_BYTES = 48 << 20
STANDS_STILL_S = 4.0
STEP_MAX_S = 0.2
"""Between two pictures, or two packets of sound, of a file without a gap."""


@pytest.fixture(scope="module")
def media() -> Any:
    return flash_and_beep(width=160, height=96)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose media lie on a file system of their own; needs root."""
    image, blobs = tmp_path / "image", tmp_path / "data" / "blobs"
    blobs.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, blobs], check=True)
    (tmp_path / "data").chmod(0o700)
    blobs.chmod(0o700)
    yield tmp_path / "data"
    subprocess.run(["umount", "-l", blobs], check=True)


@contextlib.asynccontextmanager
async def standing_still(folder: Path) -> AsyncIterator[None]:
    """The file system takes no write until the end: whoever writes waits."""
    await asyncio.to_thread(subprocess.run, ["fsfreeze", "--freeze", folder], check=True)
    try:
        yield
    finally:
        await asyncio.to_thread(subprocess.run, ["fsfreeze", "--unfreeze", folder], check=True)


@contextlib.asynccontextmanager
async def recorded_beside_a_call(
    data_dir: Path, media: Any, **environment: str
) -> AsyncIterator[tuple[Parley, Call, dict[str, Any]]]:
    """Somebody who is recorded, and two who talk in another room."""
    small = {"PARLEY_RECORDER_MIN_FREE_MIB": "1"}
    async with serve(data_dir, environment=small | environment) as parley, aiohttp.ClientSession() as http:
        await parley.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
        async with publishing(parley, http, media), call(parley) as running:
            yield parley, running, await record(parley)


async def finished(parley: Parley, recording: str) -> dict[str, Any]:
    """What is told of a recording that is over."""

    async def is_over() -> Any:
        _, found = await parley.api("GET", f"/recordings/{recording}")
        return found if isinstance(found, dict) and found["state"] in {"finished", "interrupted"} else None

    found: dict[str, Any] = await until(is_over, "the finished recording")
    return found


def steps_of(data_dir: Path, path: Path) -> list[tuple[float, float]]:
    """Where each picture, or packet of sound, of a file stands, and how long before the next one."""
    times = decoded_times(plain_copy(data_dir, path))
    return [(before, after - before) for before, after in itertools.pairwise(times)]


async def test_a_disk_that_stands_still_costs_no_call_a_packet_and_a_recording_nothing_that_its_queue_holds(
    data_dir: Path, media: Any
) -> None:
    async with recorded_beside_a_call(data_dir, media) as (parley, running, info):
        assert await running.talk(1.0) == 0
        async with standing_still(data_dir / "blobs"):
            assert await running.talk(STANDS_STILL_S) == 0
        assert await running.talk(1.0) == 0
        await parley.api("POST", f"/recordings/{info['id']}/stop")
        assert (await finished(parley, info["id"]))["state"] == "finished"
        for source in ("camera", "mic"):
            (path,) = parts(data_dir, source)
            steps = steps_of(data_dir, path)
            assert sum(step for _, step in steps) > STANDS_STILL_S + 1
            assert max(step for _, step in steps) < STEP_MAX_S, source


async def test_a_disk_that_fills_up_ends_the_recording_and_costs_no_call_a_packet(
    data_dir: Path, media: Any
) -> None:
    async with recorded_beside_a_call(data_dir, media) as (parley, running, info):
        assert await running.talk(1.0) == 0
        await asyncio.to_thread(fill, data_dir / "blobs" / "ballast")

        async def is_ended() -> bool:
            _, found = await parley.api("GET", f"/recordings/{info['id']}")
            return isinstance(found, dict) and found["state"] != "recording"

        while not await is_ended():
            assert await running.talk(0.5) == 0
        assert await running.talk(1.0) == 0
        (data_dir / "blobs" / "ballast").unlink()
        told = await finished(parley, info["id"])
        assert (told["state"], told["reason"]) == ("interrupted", "disk_full")
        assert await running.talk(1.0) == 0
        for source in ("camera", "mic"):
            (path,) = parts(data_dir, source)
            assert len(steps_of(data_dir, path)) > 5, source
