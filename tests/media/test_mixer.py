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


PACKET = 960


def play(mixer, packets, *, behind=0):
    """One packet and one pull at a time. `behind`: samples by which the packets claim to be too old.

    Returns the share of full samples in each pull.
    """
    heard = []
    for _ in range(packets):
        mixer.push(1, mixer.position + 12_000 - behind, tone(PACKET, 0.5))
        heard.append(float((mixer.pull(PACKET)[:, 0] > 0.4).mean()))
    return heard


def test_a_source_whose_clock_stood_still_is_heard_a_fifth_of_a_second_after_it_goes_on():
    mixer = Mixer()
    assert min(play(mixer, 50)[13:]) == 1.0
    mixer.pull(40_000)
    heard = play(mixer, 200, behind=40_000)
    assert max(heard[:5]) == 0.0, "what is late has no place at first"
    assert min(heard[9:]) == 1.0


def test_a_source_that_becomes_late_while_its_sound_is_laid_loses_none_of_that():
    mixer = Mixer()
    play(mixer, 50)
    assert min(play(mixer, 200, behind=40_000)) == 1.0


def test_a_source_that_is_in_time_again_goes_back_to_its_place():
    mixer = Mixer()
    play(mixer, 50)
    play(mixer, 100, behind=40_000)
    play(mixer, 150)
    start = mixer.position + 12_000
    mixer.push(1, start, tone(PACKET, 0.9))
    mix = mixer.pull(24_000)[:, 0]
    assert np.flatnonzero(mix > 0.8)[0] == pytest.approx(12_000, abs=2 * 1920)


def test_a_clock_that_is_set_right_leaves_no_hole_but_the_way_back_to_its_place():
    mixer = Mixer()
    play(mixer, 50)
    mixer.pull(40_000)
    play(mixer, 30, behind=40_000)
    heard = play(mixer, 60)
    assert sum(heard) >= 60 - 12_000 / PACKET
    assert min(heard[13:]) == 1.0


def test_one_late_burst_moves_nothing():
    mixer = Mixer()
    play(mixer, 50)
    for _ in range(10):
        mixer.push(1, mixer.position - 9000, tone(PACKET, 0.5))
    mixer.pull(12_000)
    mixer.push(1, mixer.position + 12_000, tone(PACKET, 0.9))
    mix = mixer.pull(24_000)[:, 0]
    assert np.flatnonzero(mix > 0.8)[0] == 12_000


def test_a_source_whose_times_lie_far_ahead_is_heard():
    mixer = Mixer()
    assert min(play(mixer, 200, behind=-150_000)[20:]) == 1.0
    assert min(play(mixer, 200)[30:]) == 1.0


def test_a_source_a_little_too_far_ahead_comes_back_and_leaves_nothing_there():
    mixer = Mixer()
    play(mixer, 30, behind=12_000 - 80_000)
    assert max(play(mixer, 20, behind=12_000 - 80_000)) == 1.0
    mixer.pull(2 * PACKET)
    assert not mixer.pull(2 * SAMPLE_RATE).any(), (
        "what was laid ahead is not played after the source has paused"
    )


def test_a_few_milliseconds_of_clock_jitter_leave_no_gap():
    mixer = Mixer()
    for index in range(10):
        mixer.push(1, index * 960 + (17 if index % 2 else 0), tone(960, 0.5))
    assert np.all(mixer.pull(9600) == 0.5)


@pytest.mark.parametrize("packet", [480, 960, 2880])
@pytest.mark.parametrize("lost", [{3}, {3, 4}, {3, 5, 6}])
def test_what_follows_lost_packets_keeps_its_place(packet, lost):
    mixer = Mixer()
    for index in range(10):
        if index not in lost:
            mixer.push(1, index * packet + 17, tone(packet, 0.1 * index))
    mix = mixer.pull(11 * packet)[:, 0]
    for index in {*range(10)} - lost:
        assert np.all(np.isclose(mix[index * packet + 17 + np.arange(packet)], 0.1 * index)), index


def test_a_clock_that_drifts_is_never_off_by_ten_milliseconds():
    mixer, packets, marked = Mixer(), 3_000, 100
    mixes = []
    for index in range(packets):
        mixer.push(1, mixer.position + 12_000, tone(PACKET, 0.9 if index % marked == 0 else 0.5))
        mixes.append(mixer.pull(PACKET + 1)[:, 0])
    loud = np.flatnonzero(np.concatenate(mixes) > 0.8)
    onsets = loud[np.flatnonzero(np.diff(loud, prepend=-PACKET) > PACKET // 2)]
    wanted = np.arange(0, packets, marked) * (PACKET + 1) + 12_000
    assert len(onsets) == len(wanted)
    assert np.abs(onsets - wanted).max() < 480


def test_what_lies_beyond_the_ring_is_refused_not_wrapped():
    mixer = Mixer()
    mixer.push(1, 10 * SAMPLE_RATE, tone(960, 0.5))
    assert not mixer.pull(SAMPLE_RATE).any()


def test_old_samples_do_not_come_round_again():
    mixer = Mixer()
    mixer.push(1, 0, tone(960, 0.5))
    assert mixer.pull(960).any()
    assert not mixer.pull(4 * SAMPLE_RATE).any()


def voices(count, level, *, samples=48_000):
    times = np.arange(samples) / SAMPLE_RATE
    waves = [level * np.sin(2 * np.pi * (180 + 37 * n) * times + n) for n in range(count)]
    return [np.repeat(wave[:, None], 2, axis=1).astype(np.float32) for wave in waves]


def mixed(sounds, *, block=1600):
    mixer = Mixer()
    for source, sound in enumerate(sounds):
        mixer.push(source, 0, sound)
    return np.concatenate([mixer.pull(block) for _ in range(len(sounds[0]) // block)])


def test_twelve_loud_people_are_turned_down_without_clipping():
    sounds = voices(12, 0.8)
    mix = mixed(sounds)
    assert np.abs(mix).max() < 0.99
    settled, plain = mix[4800:, 0].astype(np.float64), sum(sounds)[4800:, 0].astype(np.float64)
    scale = settled @ plain / (plain @ plain)
    distortion = np.sqrt(np.mean((settled - scale * plain) ** 2) / np.mean(settled**2))
    assert distortion < 0.2, "the wave keeps its shape: clipping it as hard would leave 0.5"
    clipped = np.clip(plain, -0.98, 0.98)
    share = clipped @ plain / (plain @ plain)
    assert distortion < 0.6 * np.sqrt(np.mean((clipped - share * plain) ** 2) / np.mean(clipped**2))


def test_one_voice_passes_to_the_bit():
    (voice,) = voices(1, 0.97)
    assert np.array_equal(mixed([voice]), voice)


def test_a_gain_scales_one_source_and_nobody_else():
    mixer = Mixer()
    mixer.set_gain(1, 0.5)
    mixer.push(1, 0, tone(9600, 0.4))
    mixer.push(2, 0, tone(9600, 0.1))
    assert np.allclose(mixer.pull(960), 0.3)
    mixer.set_gain(1, 0.0)
    ramp = mixer.pull(960)[:, 0]
    assert np.abs(np.diff(ramp)).max() < 0.001, "a change makes no click"
    assert np.allclose(mixer.pull(960), 0.1)


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
