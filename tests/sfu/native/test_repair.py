"""Repair by the native engine, on real SRTP and UDP."""

import struct

import pytest

from sfu.engine.fake.rtp import FakeRtp
from tests.sfu.native.peers import (
    NACK,
    House,
    hear,
    hear_for,
    hear_until,
    nack,
    nacked,
    rtx_of,
    vp8,
    with_both_ciphers,
)


@with_both_ciphers
async def test_a_nack_is_answered_by_rtx_with_the_original_packet(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    for seq in range(1, 6):
        publisher.send_rtp(vp8(seq, key=seq == 1, picture=seq))
    heard = (await hear(viewer)).rtp
    viewer.send_rtcp(nack(0x900, (heard[2].seq, 0)))
    [repair] = (await hear_until(viewer, lambda h: h.rtp)).rtp
    assert (repair.ssrc, repair.pt, repair.rtp_ts) == (0x901, 121, heard[2].rtp_ts)
    assert struct.unpack_from("!H", repair.payload)[0] == heard[2].seq
    assert repair.payload[2:] == heard[2].payload
    assert repair.is_marker == heard[2].is_marker


@with_both_ciphers
async def test_repeated_nacks_cost_no_more_than_the_media(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    sent = 200
    media = []
    for seq in range(1, sent + 1):
        publisher.send_rtp(vp8(seq, key=seq == 1, fill=900))
        if seq % 20 == 0:
            media += (await hear(viewer, 0.02)).rtp
    repairs = []
    for _ in range(20):
        for first in range(0, sent, 17):
            viewer.send_rtcp(nack(0x900, (media[0].seq + first, 0xFFFF)))
        repairs += (await hear(viewer, 0.03)).rtp
    assert len(media) == sent
    assert 0 < len(repairs) <= sent + 20
    assert (await house.counters())["drop_nack_budget"] > 0


@with_both_ciphers
async def test_a_nack_without_rtx_is_not_answered_by_replay(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer, rtx=False)
    for seq in range(1, 4):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = (await hear(viewer)).rtp
    viewer.send_rtcp(nack(0x900, (heard[1].seq, 0)))
    assert (await hear(viewer)).rtp == []


@with_both_ciphers
async def test_missing_packets_are_asked_for_and_their_repair_is_forwarded_in_place(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher)
    await house.watch(track, viewer)
    for seq in (1, 2, 5, 6):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    asked = await hear_until(publisher, lambda h: h.feedback(NACK))
    assert nacked(asked.feedback(NACK)) == {3, 4}
    publisher.send_rtp(rtx_of(vp8(4), 700))
    publisher.send_rtp(rtx_of(vp8(3), 701))
    await house.counted("rtp_forwarded", 6)
    heard = (await hear(viewer)).rtp
    by_seq = sorted(heard, key=lambda p: (p.seq - heard[0].seq) & 0xFFFF)
    assert [struct.unpack("!I", p.payload[-44:-40])[0] for p in by_seq] == [1, 2, 3, 4, 5, 6]
    assert (await house.row("track", track))["recovered"] == 2
    repeated = await hear(publisher)
    assert nacked(repeated.feedback(NACK)) <= {3, 4}


@with_both_ciphers
@pytest.mark.parametrize("first", [1, 65_400], ids=["early", "over-the-end"])
@pytest.mark.parametrize("is_repair", [True, False], ids=["repair", "overtaken"])
async def test_a_packet_two_hundred_behind_the_newest_is_still_forwarded(
    house: House, first: int, *, is_repair: bool
) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(first, key=True))
    await house.counted("rtp_forwarded", 1)
    late = vp8(first + 1)
    overtaken = publisher.tx.protect(late.write())
    heard = []
    for seq in range(first + 2, first + 2 + 200):
        publisher.send_rtp(vp8(seq))
        if seq % 50 == 0:
            heard += (await hear(viewer, 0.02)).rtp
    await house.counted("rtp_forwarded", 201)
    publisher.wire.send(publisher.tx.protect(rtx_of(late, 700).write()) if is_repair else overtaken)
    counters = await house.counted("rtp_received", 202)
    heard += (await hear(viewer)).rtp
    assert counters["drop_srtp_not_sent"] == 0
    assert len(heard) == 202
    assert heard[-1].payload == late.payload
    assert heard[-1].seq == (heard[0].seq + 1) & 0xFFFF


async def test_an_unanswered_request_is_repeated_and_given_up(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    for seq in (1, 3):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = await hear_for(publisher, 2.0)
    requests = heard.feedback(NACK)
    assert 2 <= len(requests) <= 12
    assert (await hear(publisher)).feedback(NACK) == []


@with_both_ciphers
async def test_a_keyframe_whose_first_packet_came_late_is_forwarded_whole(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1))
    first, *rest = (
        FakeRtp(96, seq, 9000, 0x22, vp8(seq, key=True, start=seq == 2).payload) for seq in (2, 3, 4)
    )
    for packet in rest:
        publisher.send_rtp(packet)
    await house.counted("rtp_received", 3)
    publisher.send_rtp(rtx_of(first, 70))
    publisher.send_rtp(vp8(5))
    heard = (await hear(viewer)).rtp
    assert [struct.unpack("!I", p.payload[-44:-40])[0] for p in heard] == [2, 3, 4, 5]
    assert [p.seq for p in heard] == [(heard[0].seq + n) & 0xFFFF for n in range(4)]


@with_both_ciphers
async def test_a_duplicate_is_forwarded_once(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    publisher.send_rtp(vp8(2))
    publisher.send_rtp(rtx_of(vp8(2), 10))
    publisher.send_rtp(rtx_of(vp8(2), 11))
    counters = await house.counted("drop_rtp_duplicate", 2)
    assert counters["rtp_forwarded"] == 2


@with_both_ciphers
async def test_rtx_padding_for_probing_is_not_an_error(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    publisher.send_rtp(vp8(1, key=True))
    probe = FakeRtp(97, 1, 0, 0x23, b"")
    publisher.wire.send(
        publisher.tx.protect(bytes([probe.write()[0] | 0x20]) + probe.write()[1:] + bytes(199) + b"\xc8")
    )
    await house.counted("drop_rtx_empty", 1)
