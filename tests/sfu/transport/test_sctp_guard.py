"""The guard passes what is plausible and drops the rest under a named reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.transport.sctp_guard import STREAMS, SctpGuard, SctpLimits, Verdict
from tests.sfu.transport.sctp import (
    PORT,
    TSN,
    chunk,
    data,
    forward,
    init,
    packet,
    parameter,
    reset,
    sack,
    standing,
)

FRESH = standing(is_established=False, received_tsn=None)
LIMITS = SctpLimits()


def guard(**limits: object) -> SctpGuard:
    return SctpGuard(SctpLimits(**limits), port=PORT, remote_port=PORT, now=0.0)  # type: ignore[arg-type]


def drop(raw: bytes, **changes: object) -> str:
    verdict = guard().receive(raw, standing(**changes), 0.0)
    assert not verdict.end
    return verdict.drop


@pytest.mark.parametrize(
    "raw",
    [
        packet(data(), data(TSN + 2, 1)),
        packet(data(TSN + LIMITS.window)),
        packet(data(TSN - 5)),  # seen before: only acknowledged again
        packet(sack(50)),
        packet(sack(49, (1, 5))),  # overtaken by a later one
        packet(sack(60, (2, 3), (5, 40))),
        packet(sack(100)),
        packet(forward(TSN + 20, (1, 4))),
        packet(forward(TSN - 2)),
        packet(reset(TSN + 1, TSN, 0)),
        packet(reset(TSN, TSN, 0)),  # repeated
        packet(chunk(4, parameter(1, b"info"))),
        packet(chunk(11)),
    ],
)
def test_what_is_plausible_passes(raw: bytes) -> None:
    assert guard().receive(raw, standing(), 0.0) == Verdict()


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (packet(data(), tag=1), "tag"),
        (packet(data(), ports=(PORT, 9)), "port"),
        (packet(data(), ports=(9, PORT)), "port"),
        (packet(data(TSN + LIMITS.window + 1)), "tsn_window"),
        (packet(data(TSN + 0x7FFF_FFFF)), "tsn_window"),
        (packet(data(stream=STREAMS)), "stream"),
        (packet(sack(101)), "sack_tsn"),
        (packet(sack(60, (1, 41))), "sack_gaps"),
        (packet(sack(60, (3, 2))), "sack_gaps"),
        (packet(sack(60, (0, 1))), "sack_gaps"),
        (packet(sack(60, (2, 5), (5, 6))), "sack_gaps"),
        (packet(sack(50, *[(1, 65_535)] * 250)), "sack_gaps"),
        (packet(forward(TSN + 70_000)), "forward_window"),
        (packet(forward(TSN + 1, (STREAMS, 0))), "stream"),
        (packet(reset(TSN + 2, TSN, 0)), "reset_sequence"),
        (packet(reset(TSN + 1, TSN + 5_000, 0)), "reset_tsn"),
        (packet(reset(TSN + 1, TSN, STREAMS)), "stream"),
        (packet(init(), tag=0), "init_restart"),
        (packet(init(), tag=1), "tag"),
    ],
)
def test_what_is_not_plausible_is_dropped_under_its_reason(raw: bytes, wanted: str) -> None:
    assert drop(raw) == wanted


@pytest.mark.parametrize("raw", [data(), sack(50), forward(TSN + 1), reset(TSN + 1, TSN, 0)])
def test_before_the_handshake_only_the_handshake_passes(raw: bytes) -> None:
    found = guard()
    assert found.receive(packet(raw), FRESH, 0.0).drop == "not_established"
    assert found.receive(packet(chunk(10, b"cookie"), raw), FRESH, 0.0).drop in {
        "not_established",
        "",
        "forward_window",
        "reset_tsn",
    }
    assert found.receive(packet(init(), tag=0), FRESH, 0.0) == Verdict()
    answered = standing(is_established=False)
    assert found.receive(packet(chunk(10, b"cookie"), raw), answered, 0.0) == Verdict()


def test_another_init_than_the_first_is_dropped_and_so_is_a_flood_of_the_same() -> None:
    found = guard(controls_burst=1_000)
    assert found.receive(packet(init(7, 9), tag=0), FRESH, 0.0) == Verdict()
    assert found.receive(packet(init(8, 9), tag=0), FRESH, 0.0).drop == "init_changed"
    assert found.receive(packet(init(7, 10), tag=0), FRESH, 0.0).drop == "init_changed"
    verdicts = [found.receive(packet(init(7, 9), tag=0), FRESH, 0.0).drop for _ in range(50)]
    assert verdicts.count("") < 16
    assert verdicts[-1] == "init_flood"


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (packet(chunk(4)), "over_control_rate"),
        (packet(reset(TSN + 1, TSN, 0)), "over_control_rate"),
        (packet(chunk(9, parameter(1))), "over_control_rate"),
        (packet(*[data()] * 40), "over_chunk_rate"),
        (packet(sack(50)), "over_packet_rate"),
        (b"junk", "over_packet_rate"),
    ],
)
def test_storms_are_bounded_by_a_budget_that_fills_again(raw: bytes, wanted: str) -> None:
    found = guard()
    verdicts = [found.receive(raw, standing(), 0.0).drop for _ in range(1_500)]
    assert wanted in verdicts
    assert verdicts.index(wanted) <= 1_000
    later = found.receive(packet(data()), standing(), 5.0)
    assert later == Verdict()


def test_what_waits_is_bounded_but_what_comes_in_order_frees_it() -> None:
    full = standing(held_bytes=LIMITS.held_bytes)
    assert guard().receive(packet(data(TSN + 3)), full, 0.0).drop == "held_full"
    assert guard().receive(packet(data(TSN + 1)), full, 0.0) == Verdict()
    assert guard().receive(packet(data(TSN - 1)), full, 0.0) == Verdict()
    many = standing(held_chunks=LIMITS.held_chunks)
    assert guard().receive(packet(data(TSN + 3)), many, 0.0).drop == "held_full"
    assert guard().receive(packet(data(TSN + 1)), many, 0.0) == Verdict()


def test_a_message_without_an_end_ends_the_association() -> None:
    raw = packet(data(TSN + 1))
    beyond = standing(held_bytes=LIMITS.held_bytes + LIMITS.message_bytes)
    assert guard().receive(raw, beyond, 0.0) == Verdict(end="endless_message")
    slices = standing(held_chunks=LIMITS.held_chunks + LIMITS.window)
    assert guard().receive(raw, slices, 0.0) == Verdict(end="endless_message")


@pytest.mark.parametrize("kind", [6, 7, 8, 14])
def test_the_peers_end_is_the_end(kind: int) -> None:
    assert guard().receive(packet(chunk(kind)), standing(), 0.0) == Verdict(end="closed_by_peer")


def test_tsns_wrap_around() -> None:
    near = standing(received_tsn=0xFFFF_FFFF, sent_tsn=5, acked_tsn=0xFFFF_FFF0)
    assert guard().receive(packet(data(0)), near, 0.0) == Verdict()
    assert guard().receive(packet(sack(0xFFFF_FFF8, (2, 9))), near, 0.0) == Verdict()
    assert guard().receive(packet(sack(6)), near, 0.0).drop == "sack_tsn"


@given(st.binary(max_size=1_400), st.booleans())
def test_whatever_comes_is_judged(raw: bytes, is_established: bool) -> None:
    found, where = guard(), standing(is_established=is_established)
    for one in (raw, packet(raw), packet(chunk(0, raw)), packet(chunk(192, raw)), packet(chunk(130, raw))):
        verdict = found.receive(one, where, 0.0)
        assert not (verdict.drop and verdict.end)
