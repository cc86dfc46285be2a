"""Eight rooms recorded at once on one server: each whole, and none in another's way."""

import asyncio
import contextlib
import itertools

import aiohttp
import pytest

from bench.studio.flash import av_offsets_ms, beep_times, flash_and_beep, flash_times
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer
from tests.attacks.call import terms_of
from tests.browser.parley import serve
from tests.recorder.opened import plain_copy
from tests.recorder.rig import decoded_times
from tests.support.promises import assert_promised
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.wide]

ROOMS = 8
RECORDED_S = 6.0
BEGINS_S = 1.0
STEP_MAX_S = 0.2
"""Between two pictures, or two packets of sound, of a file without a gap."""
OFFSET_S = 0.04
SETTLED = 3
"""Of the last flashes: the first come before the clocks have been told of each other."""
FINISHED_WITHIN_S = 90.0


@contextlib.asynccontextmanager
async def publishing(parley, http, room, media):
    """Somebody in a room of their own, whose picture flashes and whose sound beeps."""
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    token = parley.token(room, "dora", name="Dora", grants=("publish",), terms=await terms_of(http, parley))
    peer = RtpPeer(f"{parley.url}/whip/{room}", token)
    await peer.connect(http)
    playing = asyncio.create_task(RtpPlayer(peer, *media).run())
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.wait([playing])
        await peer.close()


async def test_eight_rooms_are_recorded_at_once_and_each_is_whole(tmp_path):
    rooms = [f"room-{number}" for number in range(ROOMS)]
    media = flash_and_beep(width=160, height=96)
    async with serve(tmp_path / "data") as parley, aiohttp.ClientSession() as http:
        async with contextlib.AsyncExitStack() as stack:
            for room in rooms:
                await stack.enter_async_context(publishing(parley, http, room, media))
            answers = await asyncio.gather(
                *(parley.api("POST", "/recordings", {"room": room}) for room in rooms)
            )
            assert [status for status, _ in answers] == [201] * ROOMS
            recordings = [info["id"] for _, info in answers]
            folders = [parley.data_dir / "blobs" / "recordings" / recording for recording in recordings]
            await until(
                lambda: all(len([*folder.glob("*-001.webm")]) == 2 for folder in folders), "sixteen files"
            )
            await asyncio.sleep(RECORDED_S)
            await asyncio.gather(
                *(parley.api("POST", f"/recordings/{recording}/stop") for recording in recordings)
            )

        async def are_finished():
            told = [await parley.api("GET", f"/recordings/{recording}") for recording in recordings]
            return all(info["state"] == "finished" for _, info in told)

        await until(are_finished, "eight finished recordings", FINISHED_WITHIN_S)
    for folder in folders:
        files = sorted(plain_copy(parley.data_dir, path) for path in folder.glob("*.webm"))
        camera, mic = files
        for file in files:
            times = decoded_times(file)
            assert_promised(f"the beginning of {file.name}", times[0], BEGINS_S)
            assert times[-1] - times[0] > RECORDED_S - 1
            assert max(after - before for before, after in itertools.pairwise(times)) < STEP_MAX_S
        offsets = av_offsets_ms(flash_times(camera), beep_times(mic))
        assert len(offsets) >= RECORDED_S - 2
        farthest_s = max(map(abs, offsets[-SETTLED:])) / 1000
        assert_promised(f"sound beside picture of {camera.name}", farthest_s, OFFSET_S)
