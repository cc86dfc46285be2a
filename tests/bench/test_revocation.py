"""The bench of revocations: every sink shows the person, and is done with them in time."""

import pytest

from bench.revocation import revocations
from bench.revocation_figures import PROMISE_MS, SINKS, RevocationFigures
from tests.support.promises import assert_promised


@pytest.mark.slow
async def test_every_sink_is_done_with_who_revokes() -> None:
    found = await revocations(3)
    assert found.times == 3
    for name, what in SINKS.items():
        assert len(found.ms[name]) == 3
        assert_promised(what, max(found.ms[name]) / 1000, PROMISE_MS / 1000)


def test_a_sink_that_is_late_once_in_ten_is_told() -> None:
    found = RevocationFigures(times=10, ms={name: [20.0] * 10 for name in SINKS})
    assert found.late() == []
    found.ms["hls"] = [20.0] * 8 + [400.0] * 2
    (problem,) = found.late()
    assert problem.startswith("HLS, last answer")
    assert (
        "HLS, last answer with a segment that holds the person: p50 20, p99 400, longest 400 ms of 10"
        in found.lines()
    )
