"""The partner's site goes away and comes back: the broadcast goes on, and nothing else notices."""

import itertools

import pytest

from bench.studio.decoded import RATE
from tests.main_job.cast import AGREED, SEEN, A, B
from tests.main_job.hearing import has_tone
from tests.main_job.recording import Growth
from tests.main_job.stage import SEGMENT_S
from tests.support.figures import tell
from tests.support.waiting import until

_SEGMENTS = 3
PAUSE_MAX_S = 2.0
"""A recorded file grows by a fragment of half a second each; HLS has a segment each second."""
_SOUND_OFF_S = 0.2
"""A segment has the frames of sound that were there when its pictures ended, some more or fewer."""


async def partner_restarts(stage, outside):
    """The RTMP server is stopped and started again. HLS and the files go on as if nothing was."""
    hls, rtmp = outside.hls, outside.rtmp
    first = len(hls.segments) - 1
    connections = rtmp.connections
    async with Growth(stage.recording, AGREED) as growth:
        await stage.partner.stop()
        await stage.until_live(rtmp=False)
        gone_from = len(hls.segments)
        await until(lambda: len(hls.segments) >= gone_from + _SEGMENTS, "HLS goes on without RTMP")
        await stage.partner.start()
        await stage.until_live()
        await until(lambda: rtmp.connections > connections, "the RTMP player plays again")
        await _plays(rtmp)
    _is_seamless(hls, hls.segments[first:])
    tell(f"outage: longest pause of a recorded file {growth.longest_pause_s:.2f} s")
    assert growth.longest_pause_s < PAUSE_MAX_S, "the partner's restart reached the recording"


async def _plays(rtmp):
    """The stream that came back decodes and shows and plays the people."""
    since_s = rtmp.seen[-1].at_s

    def is_whole():
        return len(rtmp.since(since_s)) > 15 and all(
            has_tone(rtmp.heard.between(since_s), who) for who in AGREED
        )

    await until(is_whole, "RTMP shows pictures and plays sound again")
    last = rtmp.since(since_s)[-1]
    assert min(last.share(A), last.share(B)) > SEEN, "RTMP came back without A and B"


def _is_seamless(hls, segments):
    """Segments follow each other by number and time, and their sound is whole; there is no discontinuity.

    Pictures are left out by a program that a busy machine keeps from its work, sound never is.
    """
    numbers = [segment.number for segment in segments]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "segments are missing"
    assert hls.discontinuities == 0, "the partner's restart reached HLS"
    starts_s = [segment.times_s[0] for segment in segments]
    assert starts_s == pytest.approx([starts_s[0] + at * SEGMENT_S for at in range(len(segments))], abs=0.01)
    sound_s = sum(len(segment.sound) for segment in segments) / RATE
    assert sound_s == pytest.approx(len(segments) * SEGMENT_S, abs=_SOUND_OFF_S), "sound is missing in HLS"
    times_s = [time_s for segment in segments for time_s in segment.times_s]
    gap_s = max(after - before for before, after in itertools.pairwise(times_s))
    wait_s = max(after.at_s - before.at_s for before, after in itertools.pairwise(segments))
    tell(
        f"outage: {len(numbers)} HLS segments with {sound_s:.2f} s of sound; "
        f"longest gap between pictures {gap_s:.2f} s, between arrivals {wait_s:.2f} s"
    )
    assert wait_s < PAUSE_MAX_S, "HLS stood still"
