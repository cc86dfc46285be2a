"""Guests are told of each site whether it takes what is sent: when one dies, is tried again, is back."""

import asyncio
import time

import pytest

from policy import Permission
from rooms import JoinRequest
from store import Secret
from tests.rebroadcast.house import ROOM, house, until
from tests.support.promises import STARVED_FACTOR, assert_promised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

TRUTH_S = 2.0
RETRIED_S = 4.0


class Guest:
    """Somebody who only watches, and what they are told."""

    def __init__(self, participant):
        self._participant = participant

    @classmethod
    async def enter(cls, home):
        permissions = frozenset({Permission.JOIN, Permission.SUBSCRIBE})
        return cls(await home.rooms.join(JoinRequest(room=ROOM, identity="guest", permissions=permissions)))

    def told(self):
        """By site: whether it is reached."""
        return {
            site.name: site.id not in activity.unreached
            for activity in self._participant.room.activities()
            for site in activity.sites
        }

    async def hears(self, wanted, what, *, since=None):
        began = since or time.monotonic()
        await until(lambda: self.told() == wanted, f"{what}, only {self.told()}", STARVED_FACTOR * TRUTH_S)
        assert_promised(f"guests are told: {what}", time.monotonic() - began, TRUTH_S)

    async def hears_nothing_else(self, wanted, for_s):
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            assert self.told() == wanted
            await asyncio.sleep(0.05)


async def taken(site):
    """When a site has been sent something, since now."""
    known = {path: path.stat().st_size for path in site.recordings}
    await until(
        lambda: any(path.stat().st_size > known.get(path, 2000) for path in site.recordings), "media", 40
    )
    return time.monotonic()


async def test_the_list_of_sites_is_that_of_the_real_receivers(tmp_path):
    async with house(tmp_path) as home:
        guest = await Guest.enter(home)
        ada = await home.enter("ada")
        one, two = await home.site("one"), await home.site("two")
        chosen = [
            await home.destination(one, site="one.example"),
            await home.destination(two, site="two.example"),
            await home.destination(site="web.example"),
        ]
        info = await home.broadcasts.start(ROOM, chosen)
        assert guest.told() == {"one.example": False, "two.example": False, "web.example": False}
        await ada.acknowledge()
        everything = {"one.example": True, "two.example": True, "web.example": True}
        await asyncio.gather(taken(one), taken(two))
        await guest.hears(everything, "all three are there")

        began = time.monotonic()
        await one.stop()
        without = everything | {"one.example": False}
        await guest.hears(without, "one is dead", since=began)
        await guest.hears_nothing_else(without, RETRIED_S)

        await one.start()
        await guest.hears(everything, "it is there again", since=await taken(one))

        began = time.monotonic()
        two.freeze()
        try:
            await guest.hears(everything | {"two.example": False}, "another one reads no more", since=began)
        finally:
            two.thaw()
        await guest.hears(everything, "it reads again")

        await home.broadcasts.take_out(info.id, chosen[0])
        del everything["one.example"]
        await guest.hears(everything, "one was taken out")
        await home.broadcasts.stop(info.id)
        assert guest.told() == {}


async def test_a_site_that_may_not_be_served_is_told_as_unreached(tmp_path):
    async with house(tmp_path) as home:
        guest = await Guest.enter(home)
        await home.enter("ada")
        lost = await home.store.destinations.add(
            name="Lost",
            partner=await home.partner("lost.example"),
            kind="rtmp",
            url="rtmp://nowhere.invalid/live",
            key=Secret("stream-key"),
        )
        await home.broadcasts.start(ROOM, [await home.destination(site="web.example"), lost.id])
        await guest.hears({"web.example": True, "lost.example": False}, "one cannot be found")
        await guest.hears_nothing_else({"web.example": True, "lost.example": False}, 1.0)
