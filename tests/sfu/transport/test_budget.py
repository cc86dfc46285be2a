"""A token bucket."""

from sfu.transport.budget import Budget


def test_the_burst_is_allowed_and_then_the_rate() -> None:
    budget = Budget(per_s=2.0, burst=3, now=0.0)
    assert [budget.allow(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert budget.refused == 2
    assert budget.allow(0.5)
    assert not budget.allow(0.5)
    assert [budget.allow(100.0) for _ in range(4)] == [True, True, True, False]
