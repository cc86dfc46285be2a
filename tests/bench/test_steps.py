"""How long each step of a join took, out of when each was done."""

from bench.steps import NAMES, JoinSteps, medians_ms, told

_MS = 1_000_000


def steps(*done_ms: float) -> JoinSteps:
    moments = zip(("called", *NAMES), (5.0, *(5.0 + done for done in done_ms)), strict=True)
    return JoinSteps(**{name: int(moment * _MS) for name, moment in moments})


def test_a_step_lasts_from_the_one_before_it() -> None:
    durations = steps(3, 4, 5, 6, 9, 10, 10.5).durations_ms()
    assert list(durations.values()) == [3, 1, 1, 1, 3, 1, 0.5]


def test_a_step_that_was_done_early_took_no_time() -> None:
    durations = steps(3, 4, 5, 6, 9, 10, 9.5).durations_ms()
    assert durations["first"] == 0
    assert sum(durations.values()) == 10


def test_medians_are_over_the_joins_that_were_done() -> None:
    undone = JoinSteps(called=1, answered=2)
    joins = [steps(1, 2, 3, 4, 5, 6, 7), steps(3, 4, 5, 6, 7, 8, 9), steps(2, 3, 4, 5, 6, 7, 8), undone]
    assert medians_ms(joins) == {**dict.fromkeys(NAMES, 1.0), "answered": 2.0}
    assert medians_ms([undone]) == {}


def test_the_steps_are_told_in_words() -> None:
    assert told({"answered": 3.14, "first": 0.2}) == "call answered 3.1, first packet 0.2"
