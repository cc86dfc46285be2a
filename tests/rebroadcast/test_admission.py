from dataclasses import replace

import pytest

from media.cpu_use import CpuUse, Machine
from rebroadcast import RebroadcastConfig
from rebroadcast.admission import Load, Running, admit, expected_cores, lack, load_of
from rebroadcast.errors import BroadcastTooDear
from rebroadcast.worker.messages import Encoding
from signaling.errors import problem_of

HD = Encoding(1280, 720, 30, 2_500_000)
SD = Encoding(640, 360, 30, 800_000)
ONE = expected_cores([HD])
IDLE = Load(cores=4.0, reserve=1.0, most=None, live=0.0)
MORE = expected_cores([HD, SD]) - ONE
"""What a smaller encoding adds to a program."""


def programs(*measured):
    return [Running(ONE, cores) for cores in measured]


@pytest.mark.parametrize(
    ("load", "wanted", "is_admitted"),
    [
        pytest.param(IDLE, ONE, True, id="the first, on an idle machine"),
        pytest.param(replace(IDLE, live=2.5), ONE, False, id="the first, where rooms leave too little"),
        pytest.param(replace(IDLE, live=2.4), ONE, True, id="the first, where rooms leave just enough"),
        pytest.param(replace(IDLE, live=3.5), ONE, False, id="the first, where rooms use the reserve too"),
        pytest.param(IDLE, 9.0, True, id="a dear first one, which lowers its rate"),
        pytest.param(replace(IDLE, live=1.6), 9.0, False, id="a dear first one beside rooms"),
        pytest.param(replace(IDLE, most=0.01), ONE, True, id="the first, however few cores are allowed"),
        pytest.param(replace(IDLE, running=programs(0.4)), ONE, True, id="one more than a cheap one"),
        pytest.param(replace(IDLE, running=programs(1.6)), ONE, False, id="one more than a dear one"),
        pytest.param(
            replace(IDLE, live=2.0, running=programs(0.5)), ONE, True, id="one more, beside some rooms"
        ),
        pytest.param(
            replace(IDLE, live=2.1, running=programs(0.5)), ONE, False, id="one more, beside more rooms"
        ),
        pytest.param(replace(IDLE, running=programs(*[None] * 4)), ONE, True, id="the fifth, none measured"),
        pytest.param(replace(IDLE, running=programs(*[None] * 5)), ONE, False, id="the sixth, none measured"),
        pytest.param(
            replace(IDLE, running=programs(1.2, None)), ONE, False, id="what is not measured is dear too"
        ),
        pytest.param(replace(IDLE, most=1.2, running=programs(0.4)), ONE, True, id="as many as are allowed"),
        pytest.param(replace(IDLE, most=1.2, running=programs(0.7)), ONE, False, id="more than are allowed"),
        pytest.param(replace(IDLE, running=programs(2.2)), MORE, True, id="another encoding"),
        pytest.param(replace(IDLE, running=programs(2.8)), MORE, False, id="another encoding, too dear"),
    ],
)
def test_a_program_begins_only_within_what_rooms_and_programs_leave(load, wanted, is_admitted):
    if is_admitted:
        admit(load, wanted)
        return
    with pytest.raises(BroadcastTooDear):
        admit(load, wanted)


def test_the_refusal_tells_the_figures_what_to_do_and_when_to_try_again():
    load = replace(IDLE, live=2.2, most=2.0, running=programs(0.6))
    with pytest.raises(BroadcastTooDear) as refused:
        admit(load, ONE, what="another encoding")
    text = str(refused.value)
    for words in (
        "of 4.0 cores live rooms use 2.2, 1 programs need 0.6, 1.0 stay free and broadcast.cores allows 2.0",
        "another encoding needs about 0.60 and 0.20 are left",
        "broadcast.reserve",
    ):
        assert words in text
    problem = problem_of(refused.value)
    assert (problem.code, problem.status, problem.retry_after_s) == ("unavailable", 503, 30.0)


def test_a_smaller_program_is_expected_to_cost_less_and_each_encoding_counts():
    assert expected_cores([SD]) == pytest.approx(ONE / 4)
    both = expected_cores([HD, SD])
    assert ONE < both < ONE + expected_cores([SD]), "the picture is composed once"


@pytest.mark.parametrize(
    ("load", "begins", "goes_on"),
    [
        (IDLE, True, True),
        (replace(IDLE, live=2.4), True, True),
        (replace(IDLE, live=2.6), False, True),
        (replace(IDLE, live=3.1), False, False),
        (replace(IDLE, running=programs(2.6)), False, True),
        (replace(IDLE, live=2.0, running=programs(1.1)), False, False),
        (replace(IDLE, most=0.2), True, True),
        (replace(IDLE, most=0.2, running=programs(0.15)), False, True),
    ],
)
def test_a_rendition_waits_for_half_a_core_and_gives_way_when_there_is_none(load, begins, goes_on):
    assert (lack(load) is None) is begins
    assert (lack(load, has_begun=True) is None) is goes_on


def test_a_rendition_that_waits_says_why():
    waiting = lack(replace(IDLE, live=2.9, running=programs(0.6, None)))
    assert waiting == (
        "there is no CPU time for it: of 4.0 cores live rooms use 2.9, 2 programs need 1.2, 1.0 stay free"
    )


def test_what_is_measured_is_live_unless_it_is_a_program():
    uses = {1: CpuUse(0.5, True), 2: CpuUse(0.25, True), 7: CpuUse(0.75, True), 8: CpuUse(0.125, False)}
    machine = Machine(4.0, lambda: uses)
    made = [(7, {HD}), (8, {HD, SD}), (None, {SD})]
    load = load_of(machine, RebroadcastConfig(cores=2.0, reserve=0.5), made, [0.1])
    assert load == Load(
        cores=4.0,
        reserve=2.0,
        most=2.0,
        live=0.75,
        running=[
            Running(ONE, 0.75),
            Running(expected_cores({HD, SD})),  # it began a moment ago
            Running(expected_cores({SD})),
            Running(0.1),
        ],
    )
    assert set(uses) == {1, 2, 7, 8}
