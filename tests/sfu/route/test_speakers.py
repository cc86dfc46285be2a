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


def words(detector: SpeakerDetector, start: float, rounds: int, **levels: int) -> float:
    """Like `talk`, with a gap between words every third round."""
    now = start
    for turn in range(rounds):
        gap = turn % 3 == 2
        now = talk(detector, now, 1, **{who: -75 if gap else level for who, level in levels.items()})
    return now


def test_a_long_talk_with_pauses_keeps_the_floor_over_quieter_voices() -> None:
    detector = SpeakerDetector()
    now = 0.0
    for _ in range(20):
        now = words(detector, now, 60, a=-25, b=-45)
        now = talk(detector, now, 7, a=-80, b=-80)
    assert detector.speaker == A
    assert list(detector.poll()) == [ActiveSpeaker(A)]


def test_everyone_who_speaks_is_active_the_loudest_first() -> None:
    detector = SpeakerDetector()
    now = words(detector, 0.0, 9, a=-40, b=-25, c=-80)
    assert [track for track, _ in detector.active(now)] == [B, A]
    levels = dict(detector.active(now))
    assert -32 <= levels[B] <= -25
    assert -47 <= levels[A] <= -40


def test_nobody_is_active_soon_after_the_last_word_however_reports_end() -> None:
    detector = SpeakerDetector()
    now = words(detector, 0.0, 9, a=-30)
    assert detector.active(now)
    silent = talk(detector, now, 5, a=-80)
    assert detector.active(silent) == []
    other = SpeakerDetector()
    now = words(other, 0.0, 9, a=-30)
    due = other.deadline()
    assert due is not None
    other.tick(due)
    assert other.active(due) == []
