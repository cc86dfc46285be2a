"""A run fails for what it shows; only on a machine that did not keep time it may be run again, once."""

import asyncio
import os
import signal
import time

import pytest

from tests.support.control_loop import MISS_MS, ControlLoop, Starved, unless_starved


def starve(control):
    """Keeps the loop from waking, as a machine without time for it does."""
    os.kill(control.pid, signal.SIGSTOP)
    time.sleep((MISS_MS + 100) / 1000)
    os.kill(control.pid, signal.SIGCONT)


class Scenario:
    """Fails in the runs that `fails` names, and starves the machine in those that `starves` names."""

    def __init__(self, *, fails=(), starves=()):
        self.fails = fails
        self.starves = starves
        self.runs = 0

    async def __call__(self, number, control):
        self.runs += 1
        if number in self.starves:
            starve(control)
        if number in self.fails:
            raise TimeoutError(f"run {number}")


def test_a_loop_that_was_not_run_tells_of_its_misses():
    control = ControlLoop()
    starve(control)
    control.stop()
    assert control.misses >= 1
    assert MISS_MS <= control.worst_ms < MISS_MS * 40
    assert control.p99_ms <= control.worst_ms


def test_a_loop_that_ran_counts_its_wakes_and_no_miss():
    control = ControlLoop()
    time.sleep(0.2)
    control.stop()
    assert control.worst_ms > 0
    assert control.misses == (control.worst_ms >= MISS_MS)


async def test_a_scenario_that_passes_is_run_once():
    scenario = Scenario(starves=[1])
    await unless_starved(scenario)
    assert scenario.runs == 1


async def test_a_failure_on_a_machine_that_kept_time_stands_at_once():
    scenario = Scenario(fails=[1])
    with pytest.raises(TimeoutError, match="run 1"):
        await unless_starved(scenario)
    assert scenario.runs == 1


async def test_a_failure_of_a_starved_run_is_run_again():
    scenario = Scenario(fails=[1], starves=[1])
    await unless_starved(scenario)
    assert scenario.runs == 2


async def test_a_second_starved_failure_names_starvation_and_what_failed():
    scenario = Scenario(fails=[1, 2], starves=[1, 2])
    with pytest.raises(Starved, match="missed its schedule twice") as caught:
        await unless_starved(scenario)
    assert scenario.runs == 2
    assert str(caught.value.__cause__) == "run 2"


async def test_a_second_failure_on_a_machine_that_kept_time_stands_as_it_is():
    scenario = Scenario(fails=[1, 2], starves=[1])
    with pytest.raises(TimeoutError, match="run 2"):
        await unless_starved(scenario)


async def test_a_run_without_an_end_fails_in_time_and_starvation_is_named():
    runs = []

    async def scenario(number, control):
        runs.append(number)
        starve(control)
        await asyncio.Event().wait()

    with pytest.raises(Starved) as caught:
        await unless_starved(scenario, within_s=MISS_MS / 1000 + 0.2)
    assert runs == [1, 2]
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_what_is_excused_is_run_again_once_on_a_machine_that_kept_time():
    once = Scenario(fails=[1])
    await unless_starved(once, excused=TimeoutError)
    assert once.runs == 2
    with pytest.raises(TimeoutError, match="run 2"):
        await unless_starved(Scenario(fails=[1, 2]), excused=TimeoutError)
