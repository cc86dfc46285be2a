"""Destinations that come and go while a broadcast runs, and the kill switch of a partner."""

import asyncio
import itertools
import time
from functools import partial

import pytest

from rebroadcast import BroadcastConflict, BroadcastInfo, BroadcastNotFound
from store import BroadcastState, LedgerKind, StoreUnavailable
from tests.rebroadcast.house import ROOM, house, until
from tests.support.meanwhile import Meanwhile, outcome
from tests.support.promises import assert_promised

pytestmark = pytest.mark.slow


def by_id(home, info):
    return {status.destination: status for status in home.running(info).destinations}


async def test_a_destination_comes_and_goes_and_the_others_do_not_notice(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        one, two = await home.site("one"), await home.site("two")
        first, second = await home.destination(one), await home.destination(two)
        info = await home.broadcasts.start(ROOM, [first])
        await ada.acknowledge()
        await home.live(info)
        await home.broadcasts.add_to(info.id, second)
        assert ada.participant.pending_notices() == (), "the site was in the notice already"
        await home.live(info, "live", "live")
        assert len(home.workers()) == 1, "what goes to the same site at the same time is made once"
        with pytest.raises(BroadcastConflict, match="already"):
            await home.broadcasts.add_to(info.id, second)
        acknowledged = by_id(home, info)[first].bytes_acknowledged
        await home.broadcasts.take_out(info.id, second)
        assert by_id(home, info)[second].state == "stopped"
        await until(lambda: by_id(home, info)[first].bytes_acknowledged > acknowledged + 20_000, "the other")
        assert len(one.recordings) == 1, "its session was never broken"
        with pytest.raises(BroadcastConflict, match="last"):
            await home.broadcasts.take_out(info.id, first)
        with pytest.raises(BroadcastNotFound):
            await home.broadcasts.take_out(info.id, second)
        await home.broadcasts.add_to(info.id, second)
        await home.live(info, "live", "live")
        await home.broadcasts.stop(info.id)
        row = await home.store.broadcasts.get(info.id)
        assert row.destinations == (first, second)


async def test_a_site_that_nobody_was_told_of_gets_a_notice_of_its_own(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        one, two = await home.site("one"), await home.site("two")
        info = await home.broadcasts.start(ROOM, [await home.destination(one)])
        await ada.acknowledge()
        await home.live(info)
        other = await home.destination(two, site="other.example")
        await home.broadcasts.add_to(info.id, other)
        (notice,) = ada.participant.pending_notices()
        assert [site.name for site in notice.sites] == ["other.example"]
        await home.live(info, "live", "live")
        new = home.running(info).programs[1]
        assert [grant.gate for grant in new.activity.grants.values()] in ([], [None]), "not agreed to yet"
        await ada.acknowledge()
        await until(lambda: any(g.gate for g in new.activity.grants.values()), "the agreement")
        assert [site.name for site in home.running(info).programs[0].activity.sites] == ["partner.example"]
        await home.broadcasts.take_out(info.id, other)
        assert new.is_ending, "a program that goes nowhere ends"
        assert [a.sites[0].name for a in home.rooms.room(ROOM).activities()] == ["partner.example"]


async def test_the_kill_switch_ends_what_goes_to_a_partner_and_nothing_else(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        one, two = await home.site("one"), await home.site("two")
        mine, theirs = await home.destination(one), await home.destination(two, site="other.example")
        hls = await home.destination(site="other.example")
        info = await home.broadcasts.start(ROOM, [mine, theirs, hls])
        await ada.acknowledge()
        await home.live(info)
        other = await home.broadcasts.start(ROOM, [hls])
        began = time.monotonic()
        blocked = await home.broadcasts.partners.block(home.partners["other.example"], is_blocked=True)
        await until(lambda: two.connections == 0, "the end of the connection")
        assert_promised("the kill switch", time.monotonic() - began, 1.0)
        assert blocked.is_blocked
        states = by_id(home, info)
        assert {states[theirs].state, states[hls].state} == {"stopped"}
        assert states[theirs].reason == "the partner was blocked"
        assert home.fetch(info, "index.m3u8") == "gone"
        acknowledged = states[mine].bytes_acknowledged
        await until(lambda: by_id(home, info)[mine].bytes_acknowledged > acknowledged + 20_000, "the other")
        assert len(one.recordings) == 1
        program = home.running(info).programs[0].activity
        assert [site.name for site in program.sites] == ["partner.example"]
        assert all(grant.gate for grant in program.grants.values()), "nobody was cut"
        ended = await home.broadcasts.status(other.id)
        assert (ended.state, ended.reason) == ("stopped", "the partner was blocked")
        with pytest.raises(BroadcastConflict, match="blocked"):
            await home.broadcasts.start(ROOM, [hls])
        with pytest.raises(BroadcastConflict, match="blocked"):
            await home.broadcasts.add_to(info.id, theirs)
        await home.broadcasts.partners.block(home.partners["other.example"], is_blocked=False)
        await home.broadcasts.add_to(info.id, hls)
        with pytest.raises(BroadcastNotFound):
            await home.broadcasts.partners.block("pt_none", is_blocked=True)


async def activities(home, kind):
    return sorted([row.activity async for row in home.store.ledger.each(kind=kind)])


async def nothing_is_left(home):
    """Nothing runs, and the ledger has the end of all that began."""
    assert home.broadcasts._running == {}
    assert home.rooms.room(ROOM).activities() == ()
    await until(lambda: not home.workers(), "the programs' end")
    began = await activities(home, LedgerKind.ACTIVITY_STARTED)
    async with asyncio.timeout(20):
        while await activities(home, LedgerKind.ACTIVITY_STOPPED) != began:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("holds", [True, False], ids=["stopped", "stopping"])
@pytest.mark.timeout(180)
async def test_a_stop_at_any_moment_of_an_addition_leaves_nothing(tmp_path, holds):
    async with house(tmp_path) as home:
        await home.enter("ada")
        first, other = await home.destination(), await home.destination(site="other.example")
        for at in itertools.count():
            info = await home.broadcasts.start(ROOM, [first])
            stop = partial(home.broadcasts.stop, info.id)
            race = Meanwhile(home.broadcasts.add_to(info.id, other), at, stop, holds=holds)
            answer = await outcome(race, BroadcastNotFound)
            if race.task is None:
                break
            assert (await race.task).state == "stopped"
            assert isinstance(answer, (BroadcastInfo, BroadcastNotFound))
            assert home.rooms.room(ROOM).activities() == ()
            assert (await home.store.broadcasts.get(info.id)).state is BroadcastState.STOPPED
        assert at > 3, "the control: it waits"
        assert [status.destination for status in answer.destinations] == [first, other]
        await home.broadcasts.stop(info.id)
        await nothing_is_left(home)


async def test_a_destination_that_is_added_twice_at_once_is_in_it_once(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        other = await home.destination(site="other.example")
        answers = await asyncio.gather(
            *(outcome(home.broadcasts.add_to(info.id, other), BroadcastConflict) for _ in range(3))
        )
        assert [type(answer) for answer in answers].count(BroadcastConflict) == 2
        assert len(home.running(info).programs) == len(home.rooms.room(ROOM).activities()) == 2
        await home.broadcasts.stop(info.id)
        await nothing_is_left(home)


@pytest.mark.parametrize("holds", [True, False], ids=["blocked", "blocking"])
@pytest.mark.parametrize("what", ["start", "addition"])
@pytest.mark.timeout(180)
async def test_a_kill_switch_at_any_moment_lets_nothing_begin_there(tmp_path, what, holds):
    async with house(tmp_path) as home:
        await home.enter("ada")
        mine, theirs = await home.destination(), await home.destination(site="other.example")
        partner = home.partners["other.example"]
        block = partial(home.broadcasts.partners.block, partner, is_blocked=True)
        running = None if what == "start" else await home.broadcasts.start(ROOM, [mine])
        for at in itertools.count():
            began = (
                home.broadcasts.start(ROOM, [mine, theirs])
                if running is None
                else home.broadcasts.add_to(running.id, theirs)
            )
            race = Meanwhile(began, at, block, holds=holds)
            answer = await outcome(race, BroadcastConflict)
            if race.task is None:
                break
            await race.task
            assert home.goes_to(partner) == []
            named = [site.name for activity in home.rooms.room(ROOM).activities() for site in activity.sites]
            assert "other.example" not in named
            if isinstance(answer, BroadcastConflict):
                assert "is blocked" in str(answer)
            if running is None:
                for bundle in list(home.broadcasts._running.values()):
                    await home.broadcasts.stop(bundle.id)
            await home.broadcasts.partners.block(partner, is_blocked=False)
        assert at > 3, "the control: it waits"
        assert home.goes_to(partner) == [theirs], "the control: unblocked, it goes there"
        for bundle in list(home.broadcasts._running.values()):
            await home.broadcasts.stop(bundle.id)
        await nothing_is_left(home)


async def test_a_kill_switch_that_fails_shuts_nobody_out(tmp_path, monkeypatch):
    async with house(tmp_path) as home:
        await home.enter("ada")
        hls = await home.destination()

        async def failed(*_, **__):
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(home.store.partners, "block", failed)
            with pytest.raises(StoreUnavailable):
                await home.broadcasts.partners.block(home.partners["partner.example"], is_blocked=True)
        await home.broadcasts.start(ROOM, [hls])
