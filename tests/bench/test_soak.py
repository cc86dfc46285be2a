"""The bench against a whole server: a minute of coming and going."""

import pytest

from bench.soak import soak
from bench.soak_figures import judge
from tests.support.figures import tell

SECONDS = 60.0
JOINS_PER_S = 16.0
"""More than in the hour: the more people come, the less for each of them is what is filled once."""
JOINS = 450
"""So many a starved machine is waited for: memory settles by people, not by time."""


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_minute_of_coming_and_going_leaves_nothing_behind() -> None:
    found = await soak(SECONDS, joins_per_s=JOINS_PER_S, least_joins=JOINS)
    assert found.joins >= JOINS
    assert found.recordings >= 2
    tell(found.line())
    assert judge(found) == ()
