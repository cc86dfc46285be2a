import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.mixer import SAMPLE_RATE, Mixer


def tone(count, value):
    return np.full((count, 2), value, dtype=np.float32)


def test_a_source_comes_out_where_it_was_laid():
    mixer = Mixer()
    mixer.push(1, 5000, tone(100, 0.5))
    mix = mixer.pull(6000)
    assert np.all(mix[5000:5100] == 0.5)
    assert not mix[:5000].any()
    assert not mix[5100:].any()


def test_sources_add_up():
    mixer = Mixer()
    mixer.push(1, 0, tone(960, 0.25))
    mixer.push(2, 0, tone(960, 0.5))
    assert np.allclose(mixer.pull(960), 0.75)


def test_a_removed_source_is_silent_at_once():
    mixer = Mixer()
    mixer.push(1, 0, tone(960, 0.5))
    mixer.remove(1)
    assert not mixer.pull(960).any()


def test_late_samples_are_dropped_and_the_rest_kept():
    mixer = Mixer()
    mixer.pull(4000)
    mixer.push(1, 3000, tone(2000, 0.5))
    assert np.all(mixer.pull(1000) == 0.5)
    assert not mixer.pull(1000).any()


def test_a_few_milliseconds_of_clock_jitter_leave_no_gap():
    mixer = Mixer()
    for index in range(10):
        mixer.push(1, index * 960 + (17 if index % 2 else 0), tone(960, 0.5))
    assert np.all(mixer.pull(9600) == 0.5)


def test_what_lies_beyond_the_ring_is_refused_not_wrapped():
    mixer = Mixer()
    mixer.push(1, 10 * SAMPLE_RATE, tone(960, 0.5))
    assert not mixer.pull(SAMPLE_RATE).any()


def test_old_samples_do_not_come_round_again():
    mixer = Mixer()
    mixer.push(1, 0, tone(960, 0.5))
    assert mixer.pull(960).any()
    assert not mixer.pull(4 * SAMPLE_RATE).any()


def test_overload_is_turned_down_and_recovers():
    mixer = Mixer()
    for source in range(4):
        mixer.push(source, 0, tone(9600, 0.9))
    assert np.abs(mixer.pull(9600)).max() <= 1.0
    for _ in range(20):
        mixer.pull(4800)
    mixer.push(9, mixer.position, tone(960, 0.5))
    assert mixer.pull(960).max() == pytest.approx(0.5, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5000, 300_000), st.integers(0, 5000)), max_size=20))
def test_any_pushes_give_bounded_finite_sound(pushes):
    mixer = Mixer()
    for source, start, count in pushes:
        mixer.push(source, start, tone(count, 0.7))
        mix = mixer.pull(480)
        assert mix.shape == (480, 2)
        assert np.all(np.abs(mix) <= 1.0)
