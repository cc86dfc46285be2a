"""RTCP of the native engine, on real SRTP and UDP."""

import asyncio
import struct
import time

from sfu.engine import events
from tests.sfu.engine.rig import opus
from tests.sfu.native.peers import (
    PLI,
    TWCC,
    House,
    empty_report,
    hear,
    hear_for,
    hear_until,
    pli,
    sender_report,
    vp8,
)

NTP_SECOND = 1 << 32


async def test_a_thousand_picture_losses_a_second_become_two_requests(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    await hear(viewer)
    await hear(publisher, 0.6)

    async def flood() -> None:
        for _ in range(100):
            for _ in range(20):
                viewer.send_rtcp(pli(0x900))
            await asyncio.sleep(0.02)

    heard, _ = await asyncio.gather(hear_for(publisher, 2.0), flood())
    assert 2 <= len(heard.feedback(PLI)) <= 5


async def test_a_keyframe_answers_every_request(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    await hear(viewer)
    viewer.send_rtcp(pli(0x900))
    await hear_until(publisher, lambda h: h.feedback(PLI))
    publisher.send_rtp(vp8(2, key=True))
    await hear(viewer)
    assert (await hear_for(publisher, 1.2)).feedback(PLI) == []


async def test_sender_reports_are_told_on_the_forwards_clock(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    ntp = 3_900_000_000 * NTP_SECOND
    publisher.send_rtp(vp8(1, key=True))
    [packet] = (await hear(viewer)).rtp
    sent_at = time.monotonic()
    publisher.send_rtcp(sender_report(0x22, ntp, 3000))
    reports = await hear_until(viewer, lambda h: h.of_type(200))
    elapsed_s = time.monotonic() - sent_at
    ssrc, told_ntp, told_ts, packets, _ = struct.unpack_from("!IQIII", reports.of_type(200)[0], 4)
    assert (ssrc, packets) == (0x900, 1)
    forward_s = (told_ntp - ntp) / NTP_SECOND
    assert 0 <= forward_s <= elapsed_s + 0.01
    # The packet's own timestamp, moved on by the time since the report, is what the report must say.
    expected = packet.rtp_ts + forward_s * 90_000
    assert abs(((told_ts - expected + 2**31) % 2**32) - 2**31) <= 2


async def test_receiver_reports_tell_loss_and_the_time_since_the_senders_report(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    ntp = 3_900_000_000 * NTP_SECOND + 12345 * 65536
    for seq in (1, 2, 3, 4, 9, 10):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    publisher.send_rtcp(sender_report(0x22, ntp, 3000))
    heard = await hear_until(
        publisher,
        lambda h: [m for m in h.of_type(201) if len(m) >= 32 and struct.unpack_from("!I", m, 24)[0]],
        6,
    )
    report = heard.of_type(201)[-1]
    block = next(m for m in heard.of_type(201) if len(m) >= 32 and struct.unpack_from("!I", m, 24)[0])
    ssrc, lost, highest, _, last_sr, delay = struct.unpack_from("!IIIIII", block, 8)
    assert ssrc == 0x22
    assert lost & 0xFFFFFF <= 4
    assert highest & 0xFFFF == 10
    assert last_sr == ntp >> 16 & 0xFFFF_FFFF
    assert 0 < delay < 3 * 65536
    assert report[1] == 201


async def test_transport_wide_feedback_tells_what_arrived(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher, twcc=True)
    for seq in range(1, 31):
        packet = vp8(seq, key=seq == 1)
        packet.extensions[3] = struct.pack("!H", 5000 + seq)
        if seq not in {7, 8}:
            publisher.send_rtp(packet)
    heard = await hear_until(publisher, lambda h: h.feedback(TWCC), 2)
    message = heard.feedback(TWCC)[0]
    sender, media, base, count = struct.unpack_from("!IIHH", message, 4)
    assert (media, base) == (0x22, 5001)
    assert sender not in {0, media}
    assert 0 < count <= 30


async def test_audio_levels_are_told_for_each_track(house: House) -> None:
    publisher = await house.peer()
    track = await house.audio(publisher)
    for seq in range(10):
        publisher.send_rtp(opus(seq, level=30))
    event = await house.event(events.Levels)
    assert event.levels == ((track, 30, True),)


async def test_silence_is_told_as_idle_and_its_end_as_active() -> None:
    house = House.build(idle_ms=300)
    publisher = await house.peer()
    await house.audio(publisher)
    publisher.send_rtp(opus(1))
    await house.event(events.Idle)
    publisher.send_rtp(opus(2))
    assert (await house.event(events.Active)).transport == publisher.transport
    await house.close()


async def test_a_remb_is_told_as_bandwidth_at_a_bounded_rate(house: House) -> None:
    viewer = await house.peer()
    remb = struct.pack("!BBHII4sI", 0x8F, 206, 5, 9, 0, b"REMB", 1 << 24 | 2 << 18 | 0x3FFFF)
    for _ in range(50):
        viewer.send_rtcp(empty_report() + remb + struct.pack("!I", 0x900))
    event = await house.event(events.Bandwidth)
    assert (event.transport, event.bps) == (viewer.transport, 0x3FFFF << 2)
    await house.counted("rtcp_received", 50)
    assert len(house.of(events.Bandwidth)) <= 3
