"""Broadcasts in the whole house: real publishers, real program processes, real partner sites."""

import asyncio
import io
import os
import signal
from dataclasses import replace

import pytest

from bench.studio.decoded import colours, samples, tone_level
from policy import LIVE, NameRefused
from rebroadcast import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    DestinationUnregistered,
    LookChange,
    PartnerChange,
)
from rooms import JoinRequest, Refused
from store import BroadcastRow, BroadcastState, NotFound
from tests.rebroadcast.house import ACCEPTED, CONFIG, PERSON, ROOM, house, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


async def test_a_broadcast_goes_live_tells_the_truth_and_stops(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", hz=440)
        site = await home.site()
        chosen = [await home.destination(site), await home.destination()]
        started = await home.broadcasts.start(ROOM, chosen)
        assert (started.state, started.mode) == ("starting", "program")
        assert [status.state for status in started.destinations] == ["idle", "connecting"]
        await ada.acknowledge()
        await home.live(started)
        assert all(status.reason is None for status in home.running(started).destinations)
        before = [status.bytes_acknowledged for status in home.running(started).destinations]
        await until(
            lambda: all(
                status.bytes_acknowledged > first
                for status, first in zip(home.running(started).destinations, before, strict=True)
            ),
            "more bytes acknowledged",
        )
        await until(lambda: len(home.segments(started)) >= 3, "segments")
        sound = samples(io.BytesIO(home.segments(started)[-1][1]))
        assert tone_level(sound, 440) > 0.05

        stopped = await home.broadcasts.stop(started.id)
        assert (stopped.state, stopped.reason) == ("stopped", None)
        assert {status.state for status in stopped.destinations} == {"stopped"}
        assert all(status.bytes_acknowledged > 0 for status in stopped.destinations)
        assert not home.workers()
        assert home.rooms.room(ROOM).activities() == ()
        assert home.fetch(started, "video.m3u8") == "gone"
        again = await home.broadcasts.stop(started.id)
        assert (again.id, again.state, again.ended_ms) == (started.id, "stopped", stopped.ended_ms)
        await site.stop()
        assert len(colours(str(site.recordings[0]))) > 15


async def test_a_start_that_is_refused_leaves_nothing(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        await home.rooms.join(
            JoinRequest(room=ROOM, identity="dark", permissions=PERSON, accept=ACCEPTED, choices={LIVE: True})
        )
        hls = await home.destination()
        for refusal, room, destinations, options in (
            (BroadcastNotFound, "nowhere", [hls], {}),
            (DestinationUnregistered, ROOM, ["dst_none"], {}),
            (BroadcastInvalid, ROOM, [], {}),
            (BroadcastInvalid, ROOM, [hls, hls], {}),
            (BroadcastInvalid, ROOM, [hls], {"look": LookChange(layout="round")}),
            (BroadcastInvalid, ROOM, [hls], {"mode": "copy"}),
            (BroadcastInvalid, ROOM, [hls], {"mode": "passthrough"}),
            (BroadcastInvalid, ROOM, [hls], {"publisher": "ada"}),
            (BroadcastNotFound, ROOM, [hls], {"mode": "passthrough", "publisher": "nobody"}),
            (BroadcastConflict, ROOM, [hls], {"mode": "passthrough", "publisher": "dark"}),
            (NameRefused, ROOM, [hls], {"mode": "passthrough", "publisher": "\u202e"}),
            (Refused, ROOM, [hls], {"started_by": ada.participant.id}),
        ):
            with pytest.raises(refusal):
                await home.broadcasts.start(room, destinations, **options)
        with pytest.raises(BroadcastNotFound):
            await home.broadcasts.stop("bc_aaaaaaaaaaaaaaaa")
        assert await home.broadcasts.status("bc_aaaaaaaaaaaaaaaa") is None
        assert await home.broadcasts.broadcasts() == []
        assert home.rooms.room(ROOM).activities() == ()
        assert ada.participant.pending_notices() == ()
        assert not home.workers()


async def test_what_a_partner_agrees_to_no_more_ends_at_once_and_comes_back_with_it(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        await ada.acknowledge()
        (program,) = home.running(info).programs
        partner = await home.partner()

        async def goes_on(change):
            await home.broadcasts.partners.change(partner, change)
            return any(grant.gate is not None for grant in program.activity.grants.values())

        assert await goes_on(PartnerChange(terms_version="2"))
        assert not await goes_on(PartnerChange(uses=["replay"]))
        assert await goes_on(PartnerChange(uses=["live"]))
        assert not await goes_on(PartnerChange(until_ms=1))
        assert await goes_on(PartnerChange(until_ms=None))


async def test_a_start_that_is_given_up_leaves_no_activity(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        starting = asyncio.create_task(home.broadcasts.start(ROOM, [await home.destination()]))
        while not home.rooms.room(ROOM).activities():  # noqa: ASYNC110 (to the very turn of the loop)
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait({starting})
        assert starting.cancelled()
        assert home.rooms.room(ROOM).activities() == ()
        assert home.broadcasts._running == {}


async def test_a_stop_at_any_moment_of_a_start_leaves_nothing(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        chosen = [await home.destination(await home.site())]
        for after_s in (0, 0.002, 0.01, 0.03, 0.1, 0.3, 0.6):
            info = await home.broadcasts.start(ROOM, chosen)
            await asyncio.sleep(after_s)
            stops = await asyncio.gather(*(home.broadcasts.stop(info.id) for _ in range(3)))
            assert {(stop.state, stop.reason) for stop in stops} == {("stopped", None)}
            assert home.rooms.room(ROOM).activities() == ()
            await until(lambda: not home.workers(), "the program's end")
        assert home.broadcasts._running == {}


async def test_several_broadcasts_of_a_room_are_apart_and_bounded(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        site, other = await home.site("one"), await home.site("two")
        first = await home.broadcasts.start(ROOM, [await home.destination(site)])
        second = await home.broadcasts.start(ROOM, [await home.destination(other), await home.destination()])
        await ada.acknowledge()
        await home.live(first)
        await home.live(second)
        assert len({worker.pid for worker in home.workers()}) == 2
        await home.broadcasts.stop(first.id)
        parts = home.playlist(second).count("#EXT-X-MAP")
        last = home.segments(second)[-1][0]
        await until(lambda: last not in [name for name, _ in home.segments(second)], "newer segments", 30)
        assert home.playlist(second).count("#EXT-X-MAP") == parts == 1
        assert home.states(second) == ["live", "live"]

        hls = await home.destination()
        starts = [home.broadcasts.start(ROOM, [hls]) for _ in range(4)]
        results = await asyncio.gather(*starts, return_exceptions=True)
        assert [type(result) for result in results if isinstance(result, Exception)] == [BroadcastConflict]
        with pytest.raises(BroadcastConflict):
            await home.broadcasts.remove_destination(hls)
        listed = [info.id for info in await home.broadcasts.broadcasts(room=ROOM)]
        assert set(listed) == {first.id, second.id, *(r.id for r in results if hasattr(r, "id"))}
        page = await home.broadcasts.broadcasts(limit=2)
        rest = await home.broadcasts.broadcasts(after=page[-1].id)
        assert [info.id for info in page + rest] == listed
        with pytest.raises(BroadcastNotFound):
            await home.broadcasts.broadcasts(after="bc_none")


async def test_two_destinations_of_kind_hls_are_one_playlist(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination(), await home.destination()])
        await home.live(info)
        await until(lambda: len(home.segments(info)) >= 4, "segments")
        assert home.playlist(info).count("#EXT-X-MAP") == 1
        one, two = home.running(info).destinations
        assert one.bytes_acknowledged == two.bytes_acknowledged > 0


async def test_a_room_that_closes_ends_its_broadcasts(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        await home.live(info)
        await home.rooms.close_room(ROOM)
        await until(lambda: info.id not in home.broadcasts._running, "the end")
        ended = await home.broadcasts.status(info.id)
        assert (ended.state, ended.reason) == ("stopped", None)
        assert not home.workers()


async def test_a_broadcast_of_a_room_that_everybody_left_ends_after_a_while_and_says_why(tmp_path):
    async with house(tmp_path, replace(CONFIG, empty_s=2.0)) as home:
        await home.rooms.create_room(ROOM)
        ada = await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        await home.live(info)
        await asyncio.sleep(2.5)
        assert home.states(info) == ["live"], "the control: while somebody is there it goes on"
        await ada.leave()
        assert home.rooms.room(ROOM) is not None
        await until(lambda: info.id not in home.broadcasts._running, "the end")
        ended = await home.broadcasts.status(info.id)
        assert (ended.state, ended.reason) == ("stopped", "nobody was in the room for 2 seconds")
        assert home.rooms.room(ROOM).activities() == ()
        assert not home.workers()


async def test_what_a_crash_of_the_server_ended_is_told_as_failed(tmp_path):
    async with house(tmp_path) as home:
        row = BroadcastRow(
            id="bc_crashed",
            room="rm_1",
            room_name=ROOM,
            state=BroadcastState.RUNNING,
            started_at_ms=1,
            destinations=(await home.destination(),),
            started_by="",
            details={"mode": "program"},
        )
        await home.store.broadcasts.add(row)
        await home.broadcasts.close()
        await home.broadcasts.open()
        info = await home.broadcasts.status("bc_crashed")
        assert (info.state, info.reason) == ("failed", "the server ended while it ran")
        assert [status.state for status in info.destinations] == ["stopped"]
        with pytest.raises(NotFound):
            await home.store.broadcasts.get("bc_none")


async def test_a_program_that_misses_a_cut_is_killed_and_comes_back_without_the_person(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", luma=200, hz=440)
        bob = await home.enter("bob", luma=60, hz=880)
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        for person in (ada, bob):
            await person.acknowledge()
        await home.live(info)
        (worker,) = home.workers()
        os.kill(worker.pid, signal.SIGSTOP)
        _, revocation = await bob.revoke()
        assert revocation.killed == (info.id,)
        assert home.segments(info) == []
        await home.live(info)
        (again,) = home.workers()
        assert again.pid != worker.pid
        await until(lambda: len(home.segments(info)) >= 3, "segments of the new program")
        sound = samples(io.BytesIO(home.segments(info)[-1][1]))
        assert tone_level(sound, 440) > 0.05
        assert tone_level(sound, 880) < 0.005
