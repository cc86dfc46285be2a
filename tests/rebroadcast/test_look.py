"""The look of a program: what may be set, and that a change at run time breaks nothing."""

import io

import numpy as np
import pytest

from bench.studio.decoded import pictures, samples, tone_level
from policy import NameRefused
from rebroadcast import BroadcastConflict, BroadcastInvalid, BroadcastNotFound, LookChange
from rebroadcast.look import GAINS_MOST, ProgramLook
from tests.media.test_png import png
from tests.rebroadcast.house import ROOM, house, until


def test_a_change_touches_what_it_names_and_nothing_else():
    look = ProgramLook().changed(LookChange(layout="speaker", person="Ada", gains={"bob": 0.5}))
    again = look.changed(LookChange(chat=False, gains={"cal": 2, "bob": 1}))
    assert (again.layout, again.person, again.has_chat, again.gains) == (
        "speaker",
        look.person,
        False,
        {"cal": 2},
    )
    assert again.changed(LookChange(person="")).person == ""
    assert look.gain("bob") == 0.5
    assert look.gain(None) == look.gain("cal") == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (LookChange(layout="round"), "use grid, speaker, single, screen"),
        (LookChange(corner="middle"), "use top_left"),
        (LookChange(logo=b"GIF89a"), "PNG"),
        (LookChange(gains={"ada": -0.1}), "0 .silent. to 4"),
        (LookChange(gains={"ada": float("nan")}), "0 .silent. to 4"),
        (LookChange(gains={f"p{n}": 0.5 for n in range(GAINS_MOST + 1)}), "at most"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_what_can(change, word):
    with pytest.raises(BroadcastInvalid, match=word):
        ProgramLook().changed(change)


def test_nobody_can_be_named_who_cannot_be():
    with pytest.raises(NameRefused):
        ProgramLook().changed(LookChange(person="\u202e"))


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_program_changes_its_look_while_it_runs_without_a_break(tmp_path):
    async with house(tmp_path) as home:
        ada, bob = await home.enter("ada", luma=70, hz=440), await home.enter("bob", luma=200, hz=880)
        info = await home.broadcasts.start(ROOM, [await home.destination()])
        for person in (ada, bob):
            await person.acknowledge()
        seen = {}

        def gather():
            seen.update(home.segments(info))
            return seen

        def shares(data):
            *_, (_, picture) = pictures(io.BytesIO(data))
            grey = picture.mean(axis=2)
            return [float((np.abs(grey - of) < 25).mean()) for of in (63, 214)]

        def last_shows(ada_more_than, bob_more_than):
            dark, light = shares(list(gather().values())[-1]) if gather() else (0, 0)
            return dark > ada_more_than and light > bob_more_than

        await until(lambda: last_shows(0.15, 0.15), "both in the grid")
        change = LookChange(layout="single", person="ada", names=False, logo=png(), gains={"bob": 0})
        changed = await home.broadcasts.change(info.id, change)
        assert (changed.look.layout, changed.look.person, changed.look.has_logo) == ("single", "ada", True)
        await until(lambda: last_shows(0.8, -1), "ada alone")
        mark = len(gather())
        await until(lambda: len(gather()) > mark + 2, "more segments")
        *_, after = seen.values()
        sound = samples(io.BytesIO(after))
        assert tone_level(sound, 440) > 0.05
        assert tone_level(sound, 880) < 0.005
        assert home.playlist(info).count("#EXT-X-MAP") == 1
        times = [time for data in seen.values() for time, _ in pictures(io.BytesIO(data))]
        steps = np.diff(times)
        assert np.allclose(steps[steps < 0.5], 1 / 15, atol=0.002), "no picture was left out or sent twice"
        assert len(steps[steps >= 0.5]) == 0, "segments follow each other"

        with pytest.raises(BroadcastInvalid):
            await home.broadcasts.change(info.id, LookChange(layout="round", chat=False))
        assert (await home.broadcasts.status(info.id)).look == changed.look
        await home.broadcasts.stop(info.id)
        with pytest.raises(BroadcastConflict):
            await home.broadcasts.change(info.id, LookChange(chat=False))
        with pytest.raises(BroadcastNotFound):
            await home.broadcasts.change("bc_none", LookChange(chat=False))
