"""A broadcast of a room that everybody has left: how long it goes on, and that it ends."""

import time
from dataclasses import replace

import pytest

from rebroadcast.deserted import LOOK_S, Deserted
from tests.rebroadcast.house import CONFIG, ROOM, house, until
from tests.support.promises import assert_promised

EMPTY_S = 2.0


def test_a_broadcast_ends_when_nobody_was_in_its_room_for_so_long():
    deserted = Deserted(1800.0)
    assert deserted.look(["bc_1"], 100.0) == []
    assert deserted.look(["bc_1", "bc_2"], 1899.9) == []
    assert deserted.look(["bc_1", "bc_2"], 1900.0) == ["bc_1"]
    assert deserted.reason == "nobody was in the room for 1800 seconds"


def test_somebody_who_comes_back_begins_the_time_anew():
    deserted = Deserted(60.0)
    assert deserted.look(["bc_1"], 0.0) == []
    assert deserted.look([], 59.0) == []
    assert deserted.look(["bc_1"], 61.0) == []
    assert deserted.look(["bc_1"], 120.9) == []
    assert deserted.look(["bc_1"], 121.0) == ["bc_1"]


def test_without_a_bound_it_goes_on():
    deserted = Deserted(0.0)
    assert deserted.look(["bc_1"], 0.0) == deserted.look(["bc_1"], 1e9) == []


@pytest.mark.slow
async def test_a_site_is_sent_nothing_more_when_the_room_stayed_empty(tmp_path):
    async with house(tmp_path, replace(CONFIG, empty_s=EMPTY_S)) as home:
        site = await home.site()
        ada = await home.enter("ada")
        info = await home.broadcasts.start(ROOM, [await home.destination(site)])
        await ada.acknowledge()
        await home.live(info)
        assert site.connections == 1
        left = time.monotonic()
        await ada.leave()
        await until(lambda: site.connections == 0, "the end at the site")
        lasted_s = time.monotonic() - left
        assert lasted_s >= EMPTY_S
        assert_promised("a broadcast of an empty room went on for", lasted_s, EMPTY_S + LOOK_S)
        await until(lambda: not home.broadcasts._running, "the end")
        over = await home.broadcasts.status(info.id)
        assert (over.state, over.reason) == ("stopped", "nobody was in the room for 2 seconds")
