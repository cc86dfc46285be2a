"""The main job, end to end: browsers meet in a room, and what they agreed to is recorded and goes live.

A and B (Chromium) agree to be recorded and broadcast, C (Firefox) does not. D (grants) and E (none) publish
by WHIP. A partner's RTMP server, HLS and a page that frames the embed are the witnesses outside.
"""

import pytest

from tests.browser.page import BrowserHungError
from tests.main_job import meeting
from tests.main_job.cast import AGREED, A, B, C, D
from tests.main_job.files import canaries_are_where_they_may_be, files_hold_who_agreed
from tests.main_job.outage import partner_restarts
from tests.main_job.outside import Outside
from tests.main_job.revocation import b_revokes
from tests.main_job.stage import set_up
from tests.support.control_loop import unless_starved

ATTEMPT_S = 170
"""An attempt takes half of it on a machine with two cores."""

pytestmark = [pytest.mark.browser, pytest.mark.timeout(2 * ATTEMPT_S + 90)]


async def test_what_people_agreed_to_goes_out_and_nothing_else(tmp_path):
    async def run(number, _control):
        async with set_up(tmp_path / str(number)) as stage:
            await main_job(stage)
        canaries_are_where_they_may_be(stage.watch)

    await unless_starved(run, within_s=ATTEMPT_S, excused=BrowserHungError)


async def main_job(stage):
    await stage.open_room()
    await stage.whip_publishers_come()
    await stage.browsers_come()
    await meeting.everyone_meets(stage.people)

    await stage.record()
    await stage.go_live()
    outside = await Outside.open(stage)
    await outside.program_shows(AGREED, placeholders=2)
    await outside.program_flashes_and_sounds()
    await outside.embed_shows(A, muted=[B])
    await outside.embed_shows(D, muted=[A, B])

    await meeting.chat(stage.people, {C: meeting.SAID_BY_C, A: meeting.SAID_BY_A})
    await outside.chat_is_read()

    await partner_restarts(stage, outside)

    await outside.embed_shows(B, muted=[A])
    revocation = await b_revokes(stage, outside)
    await outside.program_shows([A, D], placeholders=3)
    await stage.people[A].sees(stage.people[B])
    await stage.people[A].hears(stage.people[B])
    await outside.never_showed_who_refused()

    await outside.stop()
    await stage.stop()
    files_hold_who_agreed(stage, revocation)
