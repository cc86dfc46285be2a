"""What sounds take is counted by their peaks, which fall slowly."""

from sfu.allocate import SoundMeter, SoundRates
from sfu.allocate.sound import HALVES_S, WRAPPING_BPS


def test_a_sound_that_was_not_heard_yet_counts_as_a_usual_voice() -> None:
    meter = SoundMeter()
    assert meter.rates == SoundRates()
    assert not meter.receive(5_000, 5_000, 0.0)
    assert meter.rates == SoundRates()


def test_a_loud_voice_counts_at_once_with_its_headers_and_its_copies() -> None:
    meter = SoundMeter()
    assert meter.receive(75_000, 135_000, 0.0)
    assert meter.rates == SoundRates(75_000 + WRAPPING_BPS, 135_000 + WRAPPING_BPS)
    assert not meter.receive(77_000, 137_000, 1.0)


def test_who_pauses_between_words_counts_as_before_and_who_is_silent_for_long_for_less() -> None:
    meter = SoundMeter()
    meter.receive(75_000, 75_000, 0.0)
    loud = meter.rates
    assert not meter.receive(2_000, 2_000, 3.0)
    assert meter.rates == loud
    changes = sum(meter.receive(2_000, 2_000, 3.0 + second) for second in range(1, int(HALVES_S)))
    assert 0 < changes < 10
    assert 0.45 * loud.plain < meter.rates.plain < 0.6 * loud.plain
    for second in range(1, 600):
        meter.receive(2_000, 2_000, 3.0 + HALVES_S + second)
    assert meter.rates.plain < 1.2 * (2_000 + WRAPPING_BPS)
