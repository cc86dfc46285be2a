"""Pacing over hours of virtual time, and what gives way when time is short."""

import itertools
import random
from dataclasses import replace

import pytest

from media.clock_map import SECOND_NS
from media.mixer import SAMPLE_RATE
from rebroadcast.worker.pacing import LATE_PICTURES, STRIDES, Pacer, Work

START_NS = 987_654_321_012


class Machine:
    """A program's loop on a clock of its own: each picture costs `draw_ns`, each period `other_ns`."""

    def __init__(self, fps, *, draw_ns, other_ns=0, encode_ns=0, decode_ns=0):
        self.pacer, self.fps = Pacer(START_NS, fps), fps
        self.draw_ns, self.other_ns = draw_ns, other_ns
        self.encode_ns, self.decode_ns = encode_ns, decode_ns
        self.work = Work()
        self.now_ns = START_NS
        self.drawn = []
        self.late_ns = 0

    def run(self, seconds, *, stall=lambda index: 0):
        end = self.pacer.index + int(seconds * self.fps)
        while self.pacer.index < end:
            pacer = self.pacer
            self.now_ns += self.other_ns + stall(pacer.index)
            waited_ns = max(pacer.due_ns - self.now_ns, 0)
            self.now_ns += waited_ns
            drew_ns = 0
            if pacer.is_due(self.now_ns):
                self.drawn.append(pacer.index)
                self.late_ns = max(self.late_ns, self.now_ns - pacer.due_ns)
                drew_ns = self.draw_ns
                self.work = replace(self.work, encoding_ns=self.work.encoding_ns + self.encode_ns)
            self.work = replace(self.work, decoding_ns=self.work.decoding_ns + self.decode_ns)
            self.now_ns += drew_ns
            pacer.done(self.now_ns, waited_ns=waited_ns, drew_ns=drew_ns, work=self.work)


@pytest.mark.parametrize("fps", [24, 50])
def test_six_hours_neither_drift_nor_drop(fps):
    machine = Machine(fps, draw_ns=SECOND_NS // fps // 2)
    jitter = random.Random(7)
    machine.run(6 * 3600, stall=lambda _: jitter.randrange(SECOND_NS // fps // 4))
    pacer = machine.pacer
    assert machine.drawn == list(range(6 * 3600 * fps))
    assert pacer.due_ns == START_NS + 6 * 3600 * SECOND_NS
    assert pacer.left_out == 0
    samples = sum((n + 1) * SAMPLE_RATE // fps - n * SAMPLE_RATE // fps for n in range(pacer.index))
    assert samples == 6 * 3600 * SAMPLE_RATE, "sound and picture stay together to the sample"
    assert pacer.lowered == ""


def test_a_stall_leaves_pictures_out_and_moves_no_time():
    machine = Machine(30, draw_ns=5_000_000)
    machine.run(60, stall=lambda index: SECOND_NS if index == 600 else 0)
    assert 0 < machine.pacer.left_out <= 31
    assert machine.late_ns * 30 <= LATE_PICTURES * SECOND_NS
    assert machine.pacer.due_ns == START_NS + 60 * SECOND_NS
    assert machine.drawn[-1] == 60 * 30 - 1
    assert machine.pacer.lowered == "", "one stall is no lack of time"


@pytest.mark.parametrize(("cost", "stride"), [(0.5, 1), (1.3, 2), (2.4, 3), (4.0, 6)])
def test_a_program_that_is_too_dear_lowers_its_rate_until_it_holds_it(cost, stride):
    machine = Machine(30, draw_ns=int(cost * SECOND_NS / 30))
    machine.run(60)
    settled = [index for index in machine.drawn if index > 30 * 30]
    assert settled == list(range(settled[0], 60 * 30, stride))
    assert machine.pacer.fps == 30 / stride
    assert ("pictures a second" in machine.pacer.lowered) == (stride > 1)
    assert machine.late_ns * 30 <= LATE_PICTURES * SECOND_NS


def test_the_rate_comes_back_when_there_is_time_again():
    machine = Machine(30, draw_ns=int(1.3 * SECOND_NS / 30))
    machine.run(20)
    assert machine.pacer.fps == 15
    machine.draw_ns = SECOND_NS // 100
    machine.run(30)
    assert machine.pacer.fps == 30
    assert machine.pacer.lowered == ""


def test_a_load_at_the_edge_does_not_make_the_rate_swing():
    machine = Machine(30, draw_ns=int(0.97 * SECOND_NS / 30))
    jitter = random.Random(3)
    rates = []
    for _ in range(300):
        machine.run(2, stall=lambda _: jitter.randrange(SECOND_NS // 300))
        rates.append(machine.pacer.fps)
    assert sum(a != b for a, b in itertools.pairwise(rates)) <= 10


def test_nothing_helps_a_program_whose_intake_alone_is_too_much_and_it_stays_at_the_lowest():
    machine = Machine(30, draw_ns=1_000_000, other_ns=SECOND_NS // 28)
    machine.run(120)
    assert "of 30 pictures a second" in machine.pacer.lowered
    assert machine.pacer.fps <= 30 / STRIDES[-1]


def test_an_encoder_that_is_busy_all_the_time_lowers_the_rate_and_one_that_is_not_brings_it_back():
    machine = Machine(30, draw_ns=1_000_000, encode_ns=int(0.98 * SECOND_NS / 30))
    machine.run(10)
    assert machine.pacer.fps == 15
    machine.run(60)
    assert machine.pacer.fps == 15, "at the whole rate it would be busy again"
    machine.encode_ns = SECOND_NS // 100
    machine.run(60)
    assert machine.pacer.lowered == ""


def test_decoders_that_are_busy_all_the_time_lower_the_rate():
    machine = Machine(30, draw_ns=1_000_000, decode_ns=int(0.99 * SECOND_NS / 30))
    machine.run(10)
    assert machine.pacer.fps < 30


def test_a_picture_without_room_to_encode_it_is_left_out():
    pacer = Pacer(START_NS, 30)
    assert not pacer.is_due(START_NS, has_room=False)
    pacer.done(START_NS, waited_ns=0, drew_ns=0)
    assert pacer.is_due(pacer.due_ns)
    assert (pacer.left_out, pacer.drawn) == (1, 1)
