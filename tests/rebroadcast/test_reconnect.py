"""A publisher who connects anew, or goes and comes back, while a program runs: players go on."""

import asyncio
import contextlib
import io
import itertools
import re
import time

import pytest

from bench.studio.decoded import colours
from tests.rebroadcast.house import ROOM, house, until
from tests.support.promises import assert_promised

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

NEXT_SEGMENT_S = 1.0
"""Two segments: one is cut short where somebody goes."""


class Player:
    """Reads the playlist again and again, and keeps which segment came when."""

    def __init__(self, home, info):
        self._home, self._info = home, info
        self.came = {}

    async def follow(self):
        while True:
            playlist = self._home.playlist(self._info)
            assert "#EXT-X-ENDLIST" not in playlist
            for name in re.findall(r"(?m)^[^#\s].*\.m4s$", playlist):
                self.came.setdefault(name, time.monotonic())
            await asyncio.sleep(0.05)

    def longest_wait_s(self):
        times = list(self.came.values())
        return max(later - earlier for earlier, later in itertools.pairwise(times))


def shows(home, info, luma):
    """Whether the newest segment shows a grey level (as video stores it)."""
    segments = home.segments(info)
    if not segments:
        return False
    picture = colours(io.BytesIO(segments[-1][1]))[-1]
    middle = float(picture[70:110, 140:180].mean())
    return abs(middle - (luma - 16) * 255 / 219) < 15


async def test_players_go_on_while_a_publisher_connects_anew_goes_and_comes_back(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", luma=160)
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        await ada.acknowledge()
        await home.live(info)
        player = Player(home, info)
        following = asyncio.create_task(player.follow())
        try:
            await until(lambda: shows(home, info, 160), "ada")

            await ada.silence()
            ada = await home.publish(ada.participant, luma=220)
            await until(lambda: shows(home, info, 220), "ada's new connection")

            await ada.leave()
            await until(lambda: home.segments(info) and not shows(home, info, 220), "her placeholder")
            await home.enter("ada", luma=100)
            await until(lambda: shows(home, info, 100), "ada, who is back")
            count = len(player.came)
            await until(lambda: len(player.came) >= count + 3, "segments that follow")
            assert not following.done(), following.exception()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        numbers = [int(re.search(r"(\d+)\.m4s", name)[1]) for name in player.came]
        assert numbers == sorted(numbers)
        assert_promised("players wait for the next segment", player.longest_wait_s(), NEXT_SEGMENT_S)
        assert home.states(info) == ["live"]
        assert len(home.workers()) == 1
