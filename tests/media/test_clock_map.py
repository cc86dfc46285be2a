"""RTP timestamps to one time scale for a participant's audio and video."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.clock_map import SECOND_NS, ParticipantClock, TrackClock, ns_to_ntp, ntp_to_ns

MS = 1_000_000
NTP_EPOCH_NS = 3_900_000_000 * SECOND_NS


@given(st.integers(0, 2**32 * SECOND_NS - 1))
def test_ntp_and_nanoseconds_convert_both_ways(ns):
    assert abs(ntp_to_ns(ns_to_ntp(ns)) - ns) <= 1


class Publisher:
    """A publisher whose wall clock reads `skew_ns` more than ours and whose packets take `delay_ms`."""

    def __init__(
        self,
        clock_hz,
        participant,
        *,
        first_ts,
        delay_ms=20.0,
        jitter_ms=0.0,
        skew_ns=NTP_EPOCH_NS,
        drift=0.0,
    ):
        self.clock = TrackClock(clock_hz, participant)
        self.hz, self.first_ts, self.skew_ns = clock_hz, first_ts, skew_ns
        self.delay_ms, self.jitter_ms, self.drift = delay_ms, jitter_ms, drift
        self.rng = random.Random(3)

    def rtp_ts(self, at_s):
        return (self.first_ts + round(at_s * (1 + self.drift) * self.hz)) % 2**32

    def packet(self, at_s):
        delay_ns = int((self.delay_ms + self.rng.uniform(0, self.jitter_ms)) * MS)
        return self.clock.observe(self.rtp_ts(at_s), int(at_s * SECOND_NS) + delay_ns)

    def report(self, at_s):
        ntp = ns_to_ntp(int(at_s * (1 + self.drift) * SECOND_NS) + self.skew_ns)
        self.clock.report(ntp, self.rtp_ts(at_s), int((at_s + 0.01) * SECOND_NS))

    def time_s(self, at_s):
        return self.clock.time_of(self.packet(at_s)) / SECOND_NS


def test_before_any_report_times_follow_the_arrivals():
    track = Publisher(90_000, ParticipantClock(), first_ts=2**32 - 1000, delay_ms=20)
    assert [track.time_s(at / 10) for at in range(4)] == pytest.approx([0.02, 0.12, 0.22, 0.32], abs=1e-6)


def test_reports_put_audio_and_video_on_one_scale_whatever_their_delay():
    participant = ParticipantClock()
    audio = Publisher(48_000, participant, first_ts=5, delay_ms=15, jitter_ms=10)
    video = Publisher(90_000, participant, first_ts=2**32 - 50, delay_ms=180, jitter_ms=40)
    for step in range(1000):
        at = step / 50
        if step in {3, 250, 500}:
            audio.report(at)
        if step in {30, 260, 510}:
            video.report(at)
        difference = video.time_s(at) - audio.time_s(at)
        if at > 8:
            assert abs(difference) < 0.002


def test_a_report_before_the_first_frame_serves_at_once():
    participant = ParticipantClock()
    audio = Publisher(48_000, participant, first_ts=0, delay_ms=10)
    video = Publisher(90_000, participant, first_ts=77, delay_ms=200)
    for track in (audio, video):
        track.packet(0.0)
        track.report(0.0)
    assert video.time_s(0.5) == pytest.approx(audio.time_s(0.5), abs=1e-4)


@pytest.mark.parametrize("lead_s", [0.3, 2.5, 4.5])
def test_media_that_comes_before_the_time_its_reports_give_it_is_not_put_off(lead_s):
    participant = ParticipantClock()
    tracks = [Publisher(48_000, participant, first_ts=5), Publisher(90_000, participant, first_ts=7)]
    for step in range(300):
        at = step / 50
        times = []
        for track in tracks:
            if step in {50, 200}:
                # The report maps what is sent now to a wall time that comes in `lead_s`.
                ntp = ns_to_ntp(int(at * SECOND_NS) + NTP_EPOCH_NS)
                track.clock.report(ntp, track.rtp_ts(at - lead_s), int((at + 0.01) * SECOND_NS))
            times.append(track.time_s(at))
        assert times == [pytest.approx(at + 0.02, abs=0.02)] * 2


def test_a_correction_is_a_slew_and_never_runs_backward():
    participant = ParticipantClock()
    video = Publisher(90_000, participant, first_ts=0, delay_ms=200)
    times = []
    for step in range(300):
        if step == 20:
            video.report(step / 30)
        times.append(video.time_s(step / 30))
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert min(steps) >= 0.95 / 30 - 1e-6
    assert max(steps) <= 1.05 / 30 + 1e-6
    assert abs(video.clock.correction_ns) < MS


def test_a_report_far_from_the_arrivals_is_ignored_and_counted():
    track = Publisher(90_000, ParticipantClock(), first_ts=0)
    track.packet(0.0)
    track.clock.report(ns_to_ntp(NTP_EPOCH_NS), 90_000 * 60, 10 * MS)
    assert track.clock.ignored_reports == 1
    assert not track.clock.is_reported
    assert track.time_s(1.0) == pytest.approx(1.02, abs=1e-6)


def test_timestamps_that_jump_start_the_mapping_again():
    track = Publisher(90_000, ParticipantClock(), first_ts=0)
    track.time_s(0.0)
    track.report(0.1)
    track.first_ts = 10**9
    assert track.time_s(1.0) == pytest.approx(1.02, abs=1e-6)


def test_a_wall_clock_that_is_set_moves_both_tracks_together():
    participant = ParticipantClock()
    tracks = [Publisher(90_000, participant, first_ts=0), Publisher(48_000, participant, first_ts=9)]
    for step in range(600):
        at = step / 30
        if step in {0, 150, 300, 450}:
            for track in tracks:
                track.skew_ns = NTP_EPOCH_NS + (3600 * SECOND_NS if step >= 300 else 0)
                track.report(at)
        times = [track.time_s(at) for track in tracks]
        assert times[0] == pytest.approx(times[1], abs=0.03)
        assert times[0] == pytest.approx(at, abs=0.05)


def test_an_hour_of_drift_is_followed():
    participant = ParticipantClock()
    track = Publisher(90_000, participant, first_ts=0, drift=100e-6)
    for step in range(3600):
        if step % 5 == 0:
            track.report(float(step))
        time_s = track.time_s(float(step))
    assert time_s == pytest.approx(3599, abs=0.1)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**62), st.booleans()), max_size=40))
def test_any_timestamps_and_reports_give_times_near_their_arrival(events):
    track = TrackClock(90_000, ParticipantClock())
    arrival_ns = 10**12
    for rtp_ts, ntp, is_report in events:
        arrival_ns += 10 * MS
        if is_report:
            track.report(ntp, rtp_ts, arrival_ns)
        else:
            time_ns = track.time_of(track.observe(rtp_ts, arrival_ns))
            assert abs(time_ns - arrival_ns) <= 15 * SECOND_NS
