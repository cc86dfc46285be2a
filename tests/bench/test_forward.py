"""The bench itself: its plans, and one short run through both processes."""

import json

import pytest

from bench import forward, plan
from bench.wanted import Wanted


def test_every_subscriber_watches_every_publisher() -> None:
    run = plan.make(2, 3, mesh=False, profile="AEAD_AES_128_GCM", check_every=2)
    assert [leg.watches for leg in run.legs] == [(), (), (1, 2), (1, 2), (1, 2)]
    assert [leg.is_checked for leg in run.legs] == [True, True, True, False, True]
    assert run.packets_per_s == 6 * (plan.VIDEO_PER_S + plan.AUDIO_PER_S)


def test_in_a_mesh_nobody_watches_themselves() -> None:
    run = plan.make(3, 0, mesh=True, profile="AES128_CM_SHA1_80", check_every=1)
    assert [leg.watches for leg in run.legs] == [(), (), (), (2, 3), (1, 3), (1, 2)]
    assert {len(leg.up_key) for leg in run.legs} == {60}


def test_a_plan_survives_its_way_to_the_other_process() -> None:
    run = plan.make(1, 4, mesh=False, profile="AEAD_AES_128_GCM", check_every=3)
    assert plan.Plan.from_json(json.loads(json.dumps(run.to_json()))) == run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("half", "profile"),
    [
        ("forward_server", "AEAD_AES_128_GCM"),
        ("forward_server", "AES128_CM_SHA1_80"),
        ("limit_server", "AES128_CM_SHA1_80"),
    ],
)
async def test_a_short_run_delivers_every_packet_and_counts_its_cost(
    half: forward.Half, profile: str
) -> None:
    wanted = Wanted(subscribers=3, seconds=1.0, warm_up=0.5, profile=profile, check_every=1)
    figures = await forward.measure(wanted, half)
    assert figures.lost == 0
    assert figures.drops == {}
    assert abs(figures.packets_per_s - wanted.packets_per_s) < wanted.packets_per_s * 0.2
    assert 0 < figures.cost_us < 1000
    assert 0 < figures.latency_p50_ms <= figures.latency_p99_ms
