"""From RTP timestamps to CLOCK_MONOTONIC, so that one participant's audio and video line up. PURE.

A track starts from arrival times: media never waits for a sender report. When a report comes (RFC 3550
section 6.4.1), the track's times move to the publisher's own clock, which all tracks of one participant
share; a small move is a slew, not a step. Every time is in nanoseconds.
"""

from typing import Final

from media.rtp import Unwrapper

SECOND_NS: Final = 1_000_000_000
SLEW_SHARE: Final = 0.05
"""The most by which elapsed media time is stretched or shortened while a track moves to its target."""
STEP_NS: Final = 300_000_000
"""A target further ahead than this is stepped to; one further behind is reached by half speed."""
RESYNC_NS: Final = 5 * SECOND_NS
"""A timestamp or report this far from its arrival time is a restart (or a lie), not jitter."""
_DRIFT_SHARE: Final = 200e-6
"""Two clocks drift apart no faster than this; a minimum filter leaks so much."""


def ntp_to_ns(ntp: int) -> int:
    """Convert NTP 32.32 fixed point to nanoseconds since the NTP epoch."""
    return (ntp >> 32) * SECOND_NS + ((ntp & 0xFFFFFFFF) * SECOND_NS >> 32)


def ns_to_ntp(ns: int) -> int:
    """Convert nanoseconds to NTP 32.32 fixed point."""
    seconds, rest = divmod(ns, SECOND_NS)
    return seconds << 32 | (rest << 32) // SECOND_NS


class _MinimumFilter:
    """Follows the smallest recent `arrival - sent`: the least delayed packet tells the clocks' offset."""

    __slots__ = ("_at_ns", "value_ns")

    def __init__(self) -> None:
        self.value_ns: int | None = None
        self._at_ns = 0

    def observe(self, sample_ns: int, at_ns: int) -> bool:
        """Take a sample; True when it is a jump, which the filter then follows at once."""
        if self.value_ns is None or abs(sample_ns - self.value_ns) > RESYNC_NS:
            is_jump = self.value_ns is not None
            self.value_ns, self._at_ns = sample_ns, at_ns
            return is_jump
        leak_ns = int(max(0, at_ns - self._at_ns) * _DRIFT_SHARE)
        self._at_ns = max(at_ns, self._at_ns)
        self.value_ns = min(self.value_ns + leak_ns, sample_ns)
        return False

    def lower(self, sample_ns: int) -> None:
        """Take a sample that counts only when it is smaller, and no jump."""
        if self.value_ns is not None and self.value_ns - RESYNC_NS <= sample_ns < self.value_ns:
            self.value_ns = sample_ns


class ParticipantClock:
    """One participant's wall clock against ours, learnt from the sender reports of all their tracks."""

    def __init__(self) -> None:
        self._offset = _MinimumFilter()

    def observe(self, ntp_ns: int, arrival_ns: int) -> None:
        """Take one report's wall time and its arrival."""
        self._offset.observe(arrival_ns - ntp_ns, arrival_ns)

    def observe_media(self, ntp_ns: int, arrival_ns: int) -> None:
        """Take the wall time of a packet, as the reports map it, and its arrival.

        Media cannot arrive before it happened: reports that say so are ahead, by as much in every track.
        """
        self._offset.lower(arrival_ns - ntp_ns)

    @property
    def offset_ns(self) -> int | None:
        """What to add to the participant's wall time to get ours; None before the first report."""
        return self._offset.value_ns


class TrackClock:
    """Times of one RTP stream (one SSRC).

    Call `observe` for each packet in arrival order, `report` for each sender report, `time_of` for each
    frame.
    """

    def __init__(self, clock_hz: int, participant: ParticipantClock) -> None:
        self._clock_hz = clock_hz
        self._participant = participant
        self._unwrapper = Unwrapper(32)
        self._arrivals = _MinimumFilter()
        self._report: tuple[int, int] | None = None
        self._base_ns: int | None = None
        self._last_ns: int | None = None
        self.ignored_reports = 0
        """Reports that named a time more than five seconds from their arrival."""

    def observe(self, rtp_ts: int, arrival_ns: int) -> int:
        """Take a packet; its unwrapped timestamp. A jump of the timestamps starts the mapping again."""
        unwrapped = self._unwrapper.unwrap(rtp_ts)
        if self._arrivals.observe(arrival_ns - self._to_ns(unwrapped), arrival_ns):
            self._report = self._base_ns = self._last_ns = None
        elif self._report is not None:
            ntp_ns, rtp_ns = self._report
            self._participant.observe_media(ntp_ns + self._to_ns(unwrapped) - rtp_ns, arrival_ns)
        return unwrapped

    def report(self, ntp: int, rtp_ts: int, arrival_ns: int) -> None:
        """Take a sender report; one that is far from what the arrivals say is ignored and counted."""
        ntp_ns = ntp_to_ns(ntp)
        rtp_ns = self._to_ns(self._unwrapper.peek(rtp_ts))
        if self._arrivals.value_ns is not None:
            if abs(self._arrivals.value_ns + rtp_ns - arrival_ns) > RESYNC_NS:
                self.ignored_reports += 1
                return
        elif self._base_ns is None:
            self._unwrapper.unwrap(rtp_ts)
        self._participant.observe(ntp_ns, arrival_ns)
        self._report = (ntp_ns, rtp_ns)

    @property
    def is_reported(self) -> bool:
        """Whether times follow the publisher's clock (or are on their way to it)."""
        return self._report is not None

    @property
    def report_mapping(self) -> tuple[int, int] | None:
        """The newest report as (publisher's NTP time, RTP time), both in nanoseconds; for a manifest."""
        return self._report

    @property
    def correction_ns(self) -> int:
        """How far the present times are from their target."""
        target_ns = self._target_ns()
        return 0 if target_ns is None or self._base_ns is None else target_ns - self._base_ns

    def time_of(self, unwrapped: int) -> int:
        """CLOCK_MONOTONIC at which the instant of this (unwrapped) timestamp would have arrived undelayed."""
        rtp_ns = self._to_ns(unwrapped)
        target_ns = self._target_ns()
        if target_ns is None:
            target_ns = 0
        if self._base_ns is None or self._last_ns is None:
            self._base_ns = target_ns
        else:
            self._base_ns += self._move_ns(target_ns - self._base_ns, max(0, rtp_ns - self._last_ns))
        self._last_ns = rtp_ns if self._last_ns is None else max(rtp_ns, self._last_ns)
        return self._base_ns + rtp_ns

    @staticmethod
    def _move_ns(error_ns: int, elapsed_ns: int) -> int:
        if error_ns > STEP_NS:
            return error_ns
        if error_ns < -STEP_NS:
            return max(error_ns, -elapsed_ns // 2)
        most_ns = int(elapsed_ns * SLEW_SHARE)
        return max(-most_ns, min(most_ns, error_ns))

    def _target_ns(self) -> int | None:
        offset_ns = self._participant.offset_ns
        arrived_ns = self._arrivals.value_ns
        if self._report is None or offset_ns is None:
            return arrived_ns
        ntp_ns, rtp_ns = self._report
        reported_ns = offset_ns + ntp_ns - rtp_ns
        if arrived_ns is not None and abs(reported_ns - arrived_ns) > RESYNC_NS:
            return arrived_ns  # a report from before the first packet, or another track's, that is not true
        return reported_ns

    def _to_ns(self, unwrapped: int) -> int:
        return unwrapped * SECOND_NS // self._clock_hz
