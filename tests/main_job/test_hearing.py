"""The ear of the main-job test: whose tone is in a sound, and until when."""

import av
import numpy as np
import pytest

from bench.studio.decoded import RATE, Mono
from tests.main_job.cast import CAST, A, B, C, D, E
from tests.main_job.hearing import Hearing, has_tone, lacks_tone


def tones(people, seconds=3.0):
    """These people's tones, mixed; D beeps once a second."""
    t = np.arange(int(RATE * seconds)) / RATE
    parts = [0.3 * np.sin(2 * np.pi * who.tone_hz * t) * (t % 1 < 0.1 if who is D else 1) for who in people]
    return sum(parts, np.zeros(len(t))).astype(np.float32)


def through_aac(sound):
    """Pieces of a sound as a player of the program decodes them."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "stereo", "fltp", 128_000
    encoder.open()
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoder.extradata
    mono = Mono()
    for start in range(0, len(sound) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(
            np.stack([sound[start : start + 1024]] * 2), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = RATE, start
        for packet in encoder.encode(frame):
            yield from (mono.samples(decoded) for decoded in decoder.decode(packet))


@pytest.mark.parametrize("missing", CAST)
def test_all_who_sound_are_heard_and_the_one_who_does_not_is_not(missing):
    sound = np.concatenate(list(through_aac(tones([who for who in CAST if who is not missing]))))
    for who in CAST:
        assert has_tone(sound, who) == (who is not missing)
        assert lacks_tone(sound[RATE // 2 :], who) == (who is missing)


def test_a_single_beep_in_many_seconds_is_heard():
    silence = np.zeros(4 * RATE, dtype=np.float32)
    sound = np.concatenate([silence, tones([D], 1.0), silence])
    assert has_tone(sound, D)
    assert not lacks_tone(sound, D)


def interrupted(sound, holes=12):
    """A sound of which pieces are missing, as of a publisher whose machine is too busy."""
    held = sound.copy()
    random = np.random.default_rng(7)
    for start in random.integers(0, len(held), holes):
        held[start : start + random.integers(RATE // 100, RATE // 10)] = 0
    return held


def test_interrupted_sounds_are_nobody_elses():
    for _ in range(5):
        sound = np.concatenate(list(through_aac(interrupted(tones([A, B, D])))))
        assert lacks_tone(sound, C)
        assert lacks_tone(sound, E)


@pytest.mark.parametrize("who", [C, E])
def test_one_packet_of_somebody_is_heard(who):
    others, packet = interrupted(tones([A, B, D])), slice(RATE, RATE + RATE // 50)
    others[packet] += tones([who])[packet]
    assert not lacks_tone(np.concatenate(list(through_aac(others))), who)


def test_the_last_piece_with_a_tone_is_told_by_its_arrival():
    hearing = Hearing()
    sound = np.concatenate([tones([A, B], 1.0), tones([A], 1.0)])
    for number, piece in enumerate(through_aac(sound)):
        hearing.add(number * 1024 / RATE, piece)
    assert hearing.last_with(B) == pytest.approx(1.0, abs=0.1)
    assert hearing.last_with(A) == pytest.approx(2.0, abs=0.1)
    assert hearing.last_with(C) is None
    assert hearing.last_with(E) is None
    assert lacks_tone(hearing.between(1.1), B)
    assert not lacks_tone(hearing.between(0.5), B)
