"""Recordings that are started and stopped by several at once, and by those who do not wait for it."""

import asyncio
import contextlib
import time

import pytest

from bench.studio.decoded import colours, share_of_colour
from recorder import RecorderUnavailable, RecordingConflict, RecordingInfo
from recorder.manifest import verify
from tests.recorder.house import ROOM, house, until
from tests.support.promises import assert_promised

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200), "green": (30, 160, 30)}
BEGINS_WITHIN_S = 1.0


async def beginning(home):
    """A start that is under way: noted, and its worker is not there yet."""
    starting = asyncio.create_task(home.recorder.start(ROOM))
    while not (home.recorder._runs._running or starting.done()):  # noqa: ASYNC110 (to the very turn of the loop)
        await asyncio.sleep(0)
    (recording,) = home.recorder._runs._running
    return starting, recording


async def is_over(home):
    """Whether nothing is left of any recording that runs."""
    assert not home.rooms.room(ROOM).activities()
    await until(lambda: not home.supervisor.workers, "the workers' end")


async def test_of_several_starts_at_once_one_begins_and_the_others_are_refused(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        starts = (home.recorder.start(ROOM) for _ in range(5))
        results = await asyncio.gather(*starts, return_exceptions=True)
        (begun,) = [result for result in results if isinstance(result, RecordingInfo)]
        assert sum(isinstance(result, RecordingConflict) for result in results) == 4
        assert [activity.id for activity in home.rooms.room(ROOM).activities()] == [begun.id]
        stops = await asyncio.gather(*(home.recorder.stop(begun.id) for _ in range(5)))
        assert {info.state for info in stops} == {"finished"}
        await is_over(home)
        assert [info.id for info in await home.recorder.recordings()] == [begun.id]


async def test_a_stop_while_it_begins_is_the_end_of_it(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        starting, recording = await beginning(home)
        stopped, again = await asyncio.gather(home.recorder.stop(recording), home.recorder.stop(recording))
        assert (stopped.state, stopped.reason, again.state) == ("finished", None, "finished")
        assert (await starting).id == recording
        await is_over(home)
        assert verify((home.folder(stopped) / "manifest.json").read_bytes()).files == []
        # And the room can be recorded as before.
        await home.recorder.stop((await home.recorder.start(ROOM)).id)


async def test_a_room_that_closes_while_its_recording_begins_ends_it(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        starting, recording = await beginning(home)
        await home.rooms.close_room(ROOM)
        with contextlib.suppress(RecorderUnavailable):  # it was closed before there was a worker
            await starting
        ended = await home.finished(await home.recorder.status(recording))
        assert (ended.state, ended.reason) in {
            ("finished", "room_closed"),
            ("failed", "the room is closed already"),
        }
        await until(lambda: not home.supervisor.workers, "the workers' end")


async def test_a_server_that_ends_while_a_recording_begins_leaves_it_finished(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        starting, _ = await beginning(home)
        await home.recorder.close()
        info = await starting
        with pytest.raises(RecorderUnavailable, match="being stopped"):
            await home.recorder.start(ROOM)
        assert (await home.recorder.status(info.id)).state == "finished"


async def test_who_asks_and_does_not_wait_gets_it_done_all_the_same(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=COLOURS["red"])
        starting, recording = await beginning(home)
        (begun,) = home.recorder._runs._starting.values()
        starting.cancel()
        await asyncio.wait({starting})
        await begun.wait()
        info = await home.recorder.status(recording)
        await ada.acknowledge()
        await home.grows(info, ada.person, "camera")
        stopping = asyncio.create_task(home.recorder.stop(recording))
        while not (recording in home.recorder._runs._ending or stopping.done()):  # noqa: ASYNC110 (to the very turn of the loop)
            await asyncio.sleep(0)
        stopping.cancel()
        await asyncio.wait({stopping})
        assert (starting.cancelled(), stopping.cancelled()) == (True, True)
        assert (await home.finished(info)).state == "finished"
        await is_over(home)
        assert colours(str(home.media(info, ada.person, "camera")[0]))


async def test_rooms_are_recorded_beside_each_other_each_from_its_first_second_on(tmp_path):
    async with house(tmp_path) as home:
        people = {name: await home.enter(name, colour=COLOURS[name], room=name) for name in COLOURS}
        asked = time.time()
        infos = dict(zip(COLOURS, await asyncio.gather(*map(home.recorder.start, COLOURS)), strict=True))
        for person in people.values():
            await person.acknowledge()
        for name, person in people.items():
            await home.grows(infos[name], person.person, "camera")
        await asyncio.gather(*(home.recorder.stop(info.id) for info in infos.values()))
        for name, person in people.items():
            manifest = verify((home.folder(infos[name]) / "manifest.json").read_bytes())
            assert [entry.person for entry in manifest.people] == [person.person]
            (video,) = home.media(infos[name], person.person, "camera")
            assert share_of_colour(colours(str(video))[-1], COLOURS[name]) > 0.9
            first_ms = min(file.start_ms for file in manifest.files if file.kind == "video")
            begun_s = (manifest.started_unix_ms + first_ms) / 1000 - asked
            assert_promised(f"the recording of {name} begins", begun_s, BEGINS_WITHIN_S)
