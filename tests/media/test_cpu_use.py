import pytest

from media.cpu_use import CpuUse, CpuWindow


def window(*samples, window_s=10.0):
    made = CpuWindow(window_s)
    for at_s, cpu_s in samples:
        made.add(at_s, cpu_s)
    return made.uses()


def test_nothing_is_told_before_the_second_sample():
    assert window() == {}
    assert window((5.0, {1: 3.0})) == {}


def test_cores_are_cpu_time_by_time():
    assert window((0.0, {1: 100.0, 2: 7.0}), (4.0, {1: 102.0, 2: 7.0})) == {
        1: CpuUse(0.5, is_settled=False),
        2: CpuUse(0.0, is_settled=False),
    }


def test_what_is_older_than_the_window_counts_no_more():
    busy_then_idle = [(float(s), {1: min(float(s), 20.0)}) for s in range(41)]
    assert window(*busy_then_idle[:16])[1] == CpuUse(1.0, is_settled=True)
    assert window(*busy_then_idle[:26])[1] == CpuUse(0.5, is_settled=True)
    assert window(*busy_then_idle)[1] == CpuUse(0.0, is_settled=True)


def test_a_process_that_begins_is_settled_after_a_whole_window():
    samples = [(float(s), {1: 0.0} | ({2: 2.0 * (s - 19)} if s > 19 else {})) for s in range(40)]
    assert 2 not in window(*samples[:20])
    assert window(*samples[:21])[2] == CpuUse(2.0, is_settled=False)
    assert window(*samples[:29])[2] == CpuUse(2.0, is_settled=False)
    assert window(*samples[:30])[2] == CpuUse(2.0, is_settled=True)


def test_a_process_that_ended_is_gone_and_the_next_of_its_id_is_another():
    assert set(window((0.0, {1: 1.0, 2: 50.0}), (1.0, {1: 1.0}))) == {1}
    assert window((0.0, {2: 50.0}), (1.0, {2: 1.0}))[2].cores == 0.0


@pytest.mark.parametrize("count", [2, 1_000])
def test_late_samples_are_spread_over_the_time_they_took(count):
    cores = window(*[(3.0 * number, {1: 0.75 * number}) for number in range(count)])[1].cores
    assert cores == pytest.approx(0.25)
