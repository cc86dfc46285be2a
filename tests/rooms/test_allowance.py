"""What may still be sent: a burst, then the rate; one message may overdraw it, and is paid back."""

import pytest

from rooms.allowance import Allowance


def test_a_burst_passes_at_once_and_the_rate_holds_after_it() -> None:
    allowance = Allowance(per_s=10, burst=3, now=0.0)
    for _ in range(3):
        assert allowance.wait_s(0.0) == 0
        allowance.spend(1)
    wait_s = allowance.wait_s(0.0)
    assert 0 < wait_s < 0.01
    assert allowance.wait_s(wait_s) == 0
    passed = 0
    for tick in range(1_000):
        if allowance.wait_s(tick / 100) == 0:
            allowance.spend(1)
            passed += 1
    assert passed == pytest.approx(100, abs=3)


def test_what_is_dearer_than_the_burst_passes_once_and_is_paid_back() -> None:
    allowance = Allowance(per_s=10, burst=3, now=0.0)
    assert allowance.wait_s(0.0) == 0
    allowance.spend(50)
    assert allowance.wait_s(0.0) == pytest.approx(4.7, abs=0.01)
    assert allowance.wait_s(4.0) > 0
    assert allowance.wait_s(4.8) == 0


def test_nothing_is_gained_beyond_the_burst() -> None:
    allowance = Allowance(per_s=10, burst=3, now=0.0)
    assert allowance.wait_s(1_000.0) == 0
    allowance.spend(3)
    assert allowance.wait_s(1_000.0) > 0
