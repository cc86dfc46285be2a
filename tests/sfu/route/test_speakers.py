"""The dominant speaker follows voices, not noises."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.engine.types import TrackId
from sfu.route.events import ActiveSpeaker
from sfu.route.speakers import SpeakerDetector

A, B, C = TrackId(1), TrackId(2), TrackId(3)
STEP_S = 0.2


def talk(detector: SpeakerDetector, start: float, rounds: int, **levels: int) -> float:
    """Feed the same levels for some rounds; the time after the last."""
    names = {"a": A, "b": B, "c": C}
    now = start
    for _ in range(rounds):
        detector.receive([(names[name], level, True) for name, level in levels.items()], now)
        now += STEP_S
    return now


def test_the_first_voice_takes_the_floor_and_silence_leaves_it() -> None:
    detector = SpeakerDetector()
    now = talk(detector, 0.0, 5, a=-20, b=-90)
    assert list(detector.poll()) == [ActiveSpeaker(A)]
    now = talk(detector, now, 50, a=-127, b=-127)
    detector.tick(now)
    assert list(detector.poll()) == []
    assert detector.speaker == A


def test_noise_never_takes_the_floor() -> None:
    detector = SpeakerDetector()
    talk(detector, 0.0, 50, a=-65, b=-70)
    assert detector.speaker is None


def test_a_cough_does_not_steal_the_floor() -> None:
    detector = SpeakerDetector()
    now = talk(detector, 0.0, 20, a=-25, b=-80)
    now = talk(detector, now, 1, a=-25, b=-5)
    now = talk(detector, now, 20, a=-25, b=-80)
    assert detector.speaker == A


def test_a_louder_voice_takes_over_within_two_seconds() -> None:
    detector = SpeakerDetector()
    now = talk(detector, 0.0, 20, a=-25, b=-80)
    now = talk(detector, now, 10, a=-80, b=-25)
    assert detector.speaker == B
    assert list(detector.poll()) == [ActiveSpeaker(A), ActiveSpeaker(B)]


def test_equal_voices_do_not_flap() -> None:
    detector = SpeakerDetector()
    now = 0.0
    for turn in range(100):
        louder, softer = (-24, -26) if turn % 2 else (-26, -24)
        now = talk(detector, now, 1, a=louder, b=softer)
    assert len(list(detector.poll())) == 1


def test_sound_without_voice_counts_less() -> None:
    detector = SpeakerDetector()
    for step in range(30):
        detector.receive([(A, -20, False), (B, -25, True)], step * STEP_S)
    assert detector.speaker == B


def test_when_the_speaker_leaves_the_loudest_other_follows_or_nobody() -> None:
    detector = SpeakerDetector()
    now = talk(detector, 0.0, 20, a=-20, b=-40, c=-90)
    detector.remove(A, now)
    assert detector.speaker == B
    detector.remove(B, now)
    assert detector.speaker is None
    assert list(detector.poll()) == [ActiveSpeaker(A), ActiveSpeaker(B), ActiveSpeaker(None)]


def test_a_track_that_stops_reporting_fades() -> None:
    detector = SpeakerDetector()
    now = talk(detector, 0.0, 10, a=-20)
    assert detector.deadline() is not None
    detector.tick(now + 2.0)
    assert detector.deadline() is None
    talk(detector, now + 2.0, 8, b=-35)
    assert detector.speaker == B


@given(
    st.lists(
        st.tuples(st.sampled_from([A, B, C]), st.integers(-127, 0), st.booleans(), st.floats(0.0, 1.0)),
        max_size=60,
    )
)
def test_the_speaker_is_always_someone_who_was_heard(rows: list[tuple[TrackId, int, bool, float]]) -> None:
    detector = SpeakerDetector()
    now = 0.0
    heard: set[TrackId] = set()
    for track, level, voice, gap in rows:
        now += gap
        detector.receive([(track, level, voice)], now)
        heard.add(track)
        detector.tick(now)
        assert detector.speaker is None or detector.speaker in heard
