"""The measurement of programs: pictures are counted in what came out, and the verdict follows them."""

from dataclasses import replace

import pytest

from bench.program import Figures, Made, hold
from tests.support.figures import tell

MADE = Made(people=12, cores=1.0, fps=30.0, longest_gap_ms=34.0, skipped=0, lowered="", rss_mib=200.0)
HELD = Figures(made=MADE, ffmpeg_cores=1.0, ratio=1.0)


def test_a_lower_rate_that_nobody_was_told_of_is_a_problem_and_one_that_was_said_is_none():
    assert HELD.problems() == []
    assert "and nothing is said" in replace(MADE, fps=20.0).problems()[0]
    assert replace(MADE, fps=15.0, lowered="15 of 30 pictures a second").problems() == []
    assert "1.30 of what the ffmpeg command takes" in replace(HELD, ratio=1.3).problems()[0]
    assert "nothing lowered" in HELD.lines()[1]


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_program_of_twelve_cameras_holds_its_rate_or_says_what_it_lowered():
    made = await hold(12, 5)
    tell(made.line())
    assert made.problems() == []
    assert made.fps > 4
