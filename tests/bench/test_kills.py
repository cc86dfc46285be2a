"""The measurement of what kill -9 costs a recording."""

import pytest

from bench import house_kills
from bench.kills import LOST_MAX_S, line, measure, problems
from tests.support.promises import assert_promised


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codecs", "is_sealed"),
    [(("vp8", "h264"), True), pytest.param(("vp9", "av1"), False, marks=pytest.mark.wide)],
    ids=["sealed", "plain"],
)
async def test_killed_recorders_lose_less_than_a_second_and_every_file_plays(codecs, is_sealed):
    notes = []
    kills = await measure(len(codecs), 3, is_sealed=is_sealed, note=notes.append, codecs=codecs)
    assert tuple(kill.codec for kill in kills) == codecs
    for kill, note in zip(kills, notes, strict=True):
        assert kill.problems == []
        assert kill.files == 4
        assert_promised(f"kill -9 of {kill.codec} lost", kill.lost_s, LOST_MAX_S)
        assert "all play" in note
    assert "lost by kill -9: median" in line(kills)
    assert [p for p in problems(kills) if "were lost" not in p] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim", [*(pytest.param(one, marks=pytest.mark.wide) for one in ("server", "recorder")), "program"]
)
async def test_a_killed_server_or_recorder_loses_less_than_a_second_and_a_killed_program_comes_back(victim):
    notes = []
    (kill,) = await house_kills.measure(victim, 1, 3, notes.append)
    assert kill.problems == []
    assert_promised("kill -9 lost", kill.lost_s, LOST_MAX_S)
    assert (kill.away_s > 0) == (victim == "program")
    assert ("off the air" in notes[0]) == (victim == "program")
