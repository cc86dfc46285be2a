"""The bench against a whole server: a small load, a small storm."""

import pytest

from bench import load, plan
from bench.served import media_counters
from bench.steps import NAMES
from bench.storm import storm
from bench.wanted import Wanted
from tests.support.promises import assert_promised

pytestmark = pytest.mark.slow

_LAG_S = 0.05
_JOIN_S = 0.01


def test_counters_are_summed_over_workers() -> None:
    text = (
        'parley_media{part="plane",counter="peers"} 3\n'
        'parley_media{part="worker0",counter="rtp_forwarded"} 5\n'
        'parley_media{part="worker1",counter="rtp_forwarded"} 7\n'
        "parley_rooms 1.0\n"
    )
    found = media_counters(text)
    assert (found["rtp_forwarded"], found["worker1.rtp_forwarded"], found["plane.peers"]) == (12, 7, 3)


async def test_a_load_over_the_servers_own_protocol_arrives_whole() -> None:
    wanted = Wanted(subscribers=3, seconds=1.0, warm_up=0.5, check_every=1)
    figures = await load.measure("parley", wanted)
    assert figures.lost == 0
    assert abs(figures.packets_per_s - wanted.packets_per_s) < 0.2 * wanted.packets_per_s
    assert 0 < figures.cost_us < 1000
    assert figures.worker_shares == (1.0,)
    assert figures.connect_p50_ms > 0
    assert_promised("join p50", figures.join_p50_ms / 1000, _JOIN_S)
    assert list(figures.join_steps_ms) == list(NAMES)
    assert sum(figures.join_steps_ms.values()) < 2 * figures.join_p99_ms


async def test_what_subscribers_lose_is_sent_again() -> None:
    figures = await load.measure("parley", Wanted(subscribers=3, seconds=2.0, warm_up=0.5, loss=0.05))
    wanted = 2.0 * 3 * plan.VIDEO_PER_S * 0.05
    assert figures.repaired > wanted / 2
    # Sound is not repaired, and what was lost last is still on its way.
    assert figures.lost < wanted


async def test_in_a_mesh_everybody_sees_all_others() -> None:
    wanted = Wanted(mesh=3, seconds=1.0, warm_up=0.5, profile="AES128_CM_SHA1_80", check_every=1)
    figures = await load.measure("parley", wanted)
    assert figures.lost == 0
    assert abs(figures.packets_per_s - wanted.packets_per_s) < 0.2 * wanted.packets_per_s


async def test_a_join_storm_brings_everybody_in_and_asks_for_few_keyframes() -> None:
    found = await storm(joins=60, seconds=2.0)
    assert found.failures == ()
    assert found.connected == 60
    # Two a second, and the one that begins it.
    assert 1 <= found.keyframe_requests <= 2 * found.took_s + 1
    assert_promised("event loop lag p99", found.lag_p99_ms / 1000, _LAG_S)


async def test_a_storm_on_a_camera_in_three_sizes_asks_for_few_keyframes_of_each() -> None:
    found = await storm(joins=60, seconds=2.0, is_simulcast=True)
    assert found.failures == ()
    assert found.connected == 60
    assert found.encodings == ("l", "m", "h")
    assert found.keyframe_requests <= 2 * found.took_s + 1
    # Each size was asked for by somebody.
    assert all(requests >= 1 for requests in found.encoding_requests)
    assert_promised("event loop lag p99", found.lag_p99_ms / 1000, _LAG_S)


async def test_with_transport_wide_feedback_everything_arrives_too() -> None:
    wanted = Wanted(subscribers=3, seconds=1.0, warm_up=0.5, check_every=1, with_twcc=True)
    figures = await load.measure("parley", wanted)
    assert figures.lost == 0
    assert abs(figures.packets_per_s - wanted.packets_per_s) < 0.2 * wanted.packets_per_s
