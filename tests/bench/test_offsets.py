"""The bench of sound beside picture: what is recorded and what a site is sent stays together."""

import pytest

from bench.offset_figures import PLACES, OffsetFigures, promise_ms
from bench.offsets import offsets
from tests.support.promises import assert_promised

DRIFT_PPM = 30_000.0
"""So far off that these seconds drift as an hour does: 180 ms at their end, if nothing corrected it."""


@pytest.mark.slow
async def test_beeps_stay_with_their_flashes_though_packets_are_lost_and_clocks_drift() -> None:
    found = await offsets(6.0, drift_ppm=DRIFT_PPM)
    for name, what in PLACES.items():
        assert len(found.ms[name]) >= (2 if name.startswith("chat_") else 4)
        assert_promised(what, found.farthest(name) / 1000, promise_ms(name) / 1000)


def test_places_where_sound_and_picture_part_are_told() -> None:
    found = OffsetFigures(9.0, 0.02, 50.0, ms={name: [2.0, -3.0, 2.0] for name in PLACES})
    assert found.problems() == []
    found.ms |= {"rtmp": [60.0, 61.0, 59.0], "chat_hls": [199.0, -100.0]}
    (problem,) = found.problems()
    assert problem.startswith("RTMP behind the site: p99 61")
    assert found.lines()[0].startswith("recording: 3 flashes, p50 +2.0, from -3.0 to +2.0")
    assert found.histogram("rtmp") == [(55.0, 0.0), (60.0, 3.0), (65.0, 0.0)]
