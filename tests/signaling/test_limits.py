"""Token buckets in a bounded table."""

import pytest

from signaling.limits import Limiter, Rate, address_key, truncated


def test_a_burst_is_allowed_then_the_rate() -> None:
    limiter = Limiter(Rate(per_s=2, burst=3))
    assert [limiter.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limiter.take("a", 0.0) == pytest.approx(0.5)
    assert limiter.take("a", 0.5) == 0.0
    assert limiter.take("a", 0.6) > 0.0


def test_one_address_does_not_use_up_anothers() -> None:
    limiter = Limiter(Rate(per_s=1, burst=1))
    assert limiter.take("a", 0.0) == 0.0
    assert limiter.take("b", 0.0) == 0.0


def test_the_table_is_bounded_and_the_busy_are_not_forgiven() -> None:
    limiter = Limiter(Rate(per_s=0.001, burst=1), capacity=100)
    limiter.take("busy", 0.0)
    for number in range(1_000):
        limiter.take(f"new{number}", 0.0)
        assert limiter.take("busy", 0.0) > 0.0
    assert len(limiter) <= 100


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limiter = Limiter(Rate(per_s=1, burst=1))
    limiter.take("a", 100.0)
    assert limiter.take("a", 50.0) > 0.0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_limits_are_counted_by_household(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("", "-"),
        ("x\r\ny", "-"),
    ],
)
def test_logs_keep_a_part_of_an_address_only(address: str, shown: str) -> None:
    assert truncated(address) == shown
