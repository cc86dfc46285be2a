"""The native engine on real SRTP and UDP: repair, feedback, gates, and what strangers and bad peers cost."""

import asyncio
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator

import pytest

from media.gates import Gate
from media.tap_record import FLAG_REPAIRED, LostRecord, RtpRecord, SrRecord, TapRecord, read_records
from sfu.engine import events
from sfu.engine.fake_rtp import FakeRtp
from sfu.engine.types import Ack, EngineEncoding, SinkId, TapId
from sfu.errors import EngineError, QueueFull
from tests.sfu.engine.rig import opus
from tests.sfu.native.peers import (
    NACK,
    PLI,
    TWCC,
    House,
    empty_report,
    hear,
    hear_for,
    hear_until,
    nack,
    nacked,
    pli,
    rtx_of,
    sender_report,
    stranger,
    vp8,
)
from tests.sfu.wires import until

NTP_SECOND = 1 << 32


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House.build()
    yield made
    await made.close()


# forwarding


async def test_a_forwarded_packet_has_its_own_names_and_everything_else_of_the_source(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    sent = [vp8(65_534 + n, key=n == 0) for n in range(4)]
    for packet in sent:
        publisher.send_rtp(packet)
    heard = (await hear(viewer)).rtp
    assert {(p.ssrc, p.pt, p.extensions[9]) for p in heard} == {(0x900, 120, b"7")}
    assert [p.seq for p in heard] == [(heard[0].seq + n) & 0xFFFF for n in range(4)]
    steps = [(b.rtp_ts - a.rtp_ts) & 0xFFFF_FFFF for a, b in itertools.pairwise(heard)]
    assert steps == [3000, 3000, 3000]
    assert [p.payload[-44:] for p in heard] == [p.payload[-44:] for p in sent]
    assert (heard[0].seq, heard[0].rtp_ts) != (sent[0].seq, sent[0].rtp_ts)


async def test_picture_ids_go_on_across_a_pause(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    forward = await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True, picture=100))
    publisher.send_rtp(vp8(2, picture=101))
    first = (await hear(viewer)).rtp
    await house.engine.set_forward(forward, paused=True)
    for seq in range(3, 10):
        publisher.send_rtp(vp8(seq, picture=99 + seq))
    assert (await hear(viewer)).rtp == []
    await house.engine.set_forward(forward, paused=False)
    publisher.send_rtp(vp8(10, picture=109))
    publisher.send_rtp(vp8(11, key=True, picture=110))
    second = (await hear(viewer)).rtp
    pictures = [struct.unpack_from("!H", p.payload, 2)[0] & 0x7FFF for p in first + second]
    assert pictures == [(pictures[0] + n) & 0x7FFF for n in range(3)]
    assert [p.seq for p in first + second] == [(first[0].seq + n) & 0xFFFF for n in range(3)]


async def test_a_codec_changes_at_a_keyframe_and_the_payload_type_follows(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    publisher.send_rtp(FakeRtp(102, 2, 6000, 0x22, b"\x41" + bytes(50), True))
    publisher.send_rtp(FakeRtp(102, 3, 9000, 0x22, b"\x67" + bytes(50), True))
    heard = (await hear(viewer)).rtp
    assert [p.pt for p in heard] == [120, 122]
    assert heard[1].payload == b"\x67" + bytes(50)
    codecs = [e.codec for e in house.of(events.EncodingSeen)]
    assert codecs == ["vp8", "h264"]


async def test_a_simulcast_track_forwards_one_encoding_found_by_its_rid(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher, EngineEncoding("l"), EngineEncoding("h"), mid="cam")
    forward = await house.watch(track, viewer)
    for seq in range(1, 6):
        for ssrc, rid in ((0xA1, b"l"), (0xA2, b"h")):
            packet = vp8(seq, ssrc=ssrc, key=seq in {1, 4})
            packet.extensions = {4: b"cam", 5: rid}
            publisher.send_rtp(packet)
    await until(lambda: len(house.of(events.EncodingSeen)) == 2, "both encodings")
    seen = {(e.encoding_index, e.ssrc, e.rid) for e in house.of(events.EncodingSeen)}
    assert seen == {(0, 0xA1, "l"), (1, 0xA2, "h")}
    heard = (await hear(viewer)).rtp
    assert [p.seq for p in heard] == [(heard[0].seq + n) & 0xFFFF for n in range(len(heard))]
    await house.engine.set_forward(forward, paused=False, spatial=0)
    for ssrc, rid in ((0xA1, b"l"), (0xA2, b"h")):
        packet = vp8(6, ssrc=ssrc, key=True, fill=60 if rid == b"l" else 80)
        packet.extensions = {4: b"cam", 5: rid}
        publisher.send_rtp(packet)
    after = (await hear(viewer)).rtp
    assert after[-1].payload.endswith(bytes(60))
    assert not after[-1].payload.endswith(bytes(61))


async def test_a_retransmission_is_found_by_its_repaired_rid(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher, EngineEncoding("l"), EngineEncoding("h"), mid="cam")
    await house.watch(track, viewer)
    for seq in (1, 3):
        packet = vp8(seq, ssrc=0xA1, key=seq == 1)
        packet.extensions = {4: b"cam", 5: b"l"}
        publisher.send_rtp(packet)
    lost = rtx_of(vp8(2, ssrc=0xA1), 500, ssrc=0xB1)
    lost.extensions = {4: b"cam", 6: b"l"}
    publisher.send_rtp(lost)
    await house.counted("rtp_forwarded", 3)
    heard = (await hear(viewer)).rtp
    numbers = [struct.unpack("!I", p.payload[-44:-40])[0] for p in heard]
    assert sorted(numbers) == [1, 2, 3]


async def test_two_publishers_with_one_ssrc_stay_apart(house: House) -> None:
    first, second, viewer = await house.peer(), await house.peer(), await house.peer()
    await house.watch(await house.vp8(first), viewer, 0x900)
    await house.watch(await house.vp8(second), viewer, 0xA00)
    first.send_rtp(vp8(1, key=True, fill=50))
    second.send_rtp(vp8(1, key=True, fill=70))
    heard = (await hear(viewer)).rtp
    sizes = {p.ssrc: len(p.payload) for p in heard}
    assert sizes[0xA00] - sizes[0x900] == 20


async def test_media_follows_the_selected_path(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    assert len((await hear(viewer)).rtp) == 1
    old, viewer.wire = viewer.wire, house.wire()
    await house.engine.bind_path(viewer.transport, 0, viewer.wire.ip, viewer.wire.port, selected=True)
    publisher.send_rtp(vp8(2))
    assert len((await hear(viewer)).rtp) == 1
    assert await old.receive(0.05) is None
    old.close()


async def test_the_oldest_unselected_path_is_evicted(house: House) -> None:
    remote = await house.peer()
    await house.engine.set_srtp(remote.transport, 0, 0, "AEAD_AES_128_GCM")
    others = [house.wire() for _ in range(4)]
    for wire in others:
        await house.engine.bind_path(remote.transport, 0, wire.ip, wire.port, selected=False)
    record = b"\x16\xfe\xfd" + bytes(30)
    for wire in (remote.wire, *others):
        wire.send(record)
    await until(lambda: len(house.of(events.Dtls)) == 4, "four paths")
    ports = {event.port for event in house.of(events.Dtls)}
    assert ports == {remote.wire.port, *(wire.port for wire in others[1:])}
    for wire in others:
        wire.close()


# repair


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


async def test_a_nack_without_rtx_is_not_answered_by_replay(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer, rtx=False)
    for seq in range(1, 4):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = (await hear(viewer)).rtp
    viewer.send_rtcp(nack(0x900, (heard[1].seq, 0)))
    assert (await hear(viewer)).rtp == []


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


async def test_an_unanswered_request_is_repeated_and_given_up(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    for seq in (1, 3):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = await hear_for(publisher, 2.0)
    requests = heard.feedback(NACK)
    assert 2 <= len(requests) <= 12
    assert (await hear(publisher)).feedback(NACK) == []


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


async def test_a_duplicate_is_forwarded_once(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    publisher.send_rtp(vp8(2))
    publisher.send_rtp(rtx_of(vp8(2), 10))
    publisher.send_rtp(rtx_of(vp8(2), 11))
    counters = await house.counted("drop_rtp_duplicate", 2)
    assert counters["rtp_forwarded"] == 2


async def test_rtx_padding_for_probing_is_not_an_error(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    publisher.send_rtp(vp8(1, key=True))
    probe = FakeRtp(97, 1, 0, 0x23, b"")
    publisher.wire.send(
        publisher.tx.protect(bytes([probe.write()[0] | 0x20]) + probe.write()[1:] + bytes(199) + b"\xc8")
    )
    await house.counted("drop_rtx_empty", 1)


# feedback


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


# gates


async def test_nothing_passes_after_the_fence_of_a_closed_gate_while_packets_rain(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.audio(publisher)
    await house.watch(track, viewer, gate=Gate(3, 1))
    house.engine.open_gate(3, 1)
    stop = threading.Event()
    lock = threading.Lock()

    def rain() -> None:
        seq = 0
        while not stop.is_set():
            with lock:
                publisher.send_rtp(opus(seq))
            seq += 1
            time.sleep(0.0005)

    thread = threading.Thread(target=rain)
    thread.start()
    try:
        await house.counted("rtp_forwarded", 100)
        house.engine.close_gate(3, 2)
        await house.engine.fence(0)
        # Everything sent before the fence is on loopback, hence in this socket, now.
        before = (await house.counters())["rtp_forwarded"]
        await house.counted("drop_gate_closed", 100)
        assert (await house.counters())["rtp_forwarded"] == before
    finally:
        stop.set()
        thread.join()


async def test_a_closed_gate_also_stops_retransmissions(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer, gate=Gate(3, 1))
    house.engine.open_gate(3, 1)
    for seq in range(1, 4):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = (await hear(viewer)).rtp
    house.engine.close_gate(3, 2)
    viewer.send_rtcp(nack(0x900, (heard[0].seq, 3)))
    assert (await hear(viewer)).rtp == []


async def test_what_went_out_under_a_former_grant_is_not_sent_again_under_the_next(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    forward = await house.watch(await house.vp8(publisher), viewer, gate=Gate(3, 1))
    house.engine.open_gate(3, 1)
    for seq in range(1, 4):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    heard = (await hear(viewer)).rtp
    house.engine.close_gate(3, 2)
    await house.engine.fence(0)
    house.engine.open_gate(3, 3)
    await house.engine.set_forward_gate(forward, Gate(3, 3))
    viewer.send_rtcp(nack(0x900, (heard[0].seq, 3)))
    assert (await hear(viewer)).rtp == []


async def test_what_came_while_the_gate_was_closed_never_goes_out(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    forward = await house.watch(await house.vp8(publisher), viewer, gate=Gate(3, 1))
    publisher.send_rtp(vp8(1))
    first, *rest = (
        FakeRtp(96, seq, 9000, 0x22, vp8(seq, key=True, start=seq == 2).payload) for seq in (2, 3, 4)
    )
    for packet in rest:
        publisher.send_rtp(packet)
    await house.counted("drop_gate_closed", 3)
    house.engine.open_gate(3, 1)
    await house.engine.set_forward_gate(forward, Gate(3, 1))
    publisher.send_rtp(rtx_of(first, 70))
    heard = (await hear(viewer)).rtp
    assert [struct.unpack("!I", p.payload[-44:-40])[0] for p in heard] == [2]


async def test_a_reopened_gate_starts_with_a_keyframe_on_closed_up_numbers(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    forward = await house.watch(await house.vp8(publisher), viewer, gate=Gate(3, 1))
    house.engine.open_gate(3, 1)
    publisher.send_rtp(vp8(1, key=True))
    first = (await hear(viewer)).rtp
    house.engine.close_gate(3, 2)
    publisher.send_rtp(vp8(2))
    await house.counted("drop_gate_closed", 1)
    house.engine.open_gate(3, 3)
    await house.engine.set_forward_gate(forward, Gate(3, 3))
    publisher.send_rtp(vp8(3))
    publisher.send_rtp(vp8(4, key=True))
    second = (await hear(viewer)).rtp
    assert [p.seq for p in first + second] == [first[0].seq, (first[0].seq + 1) & 0xFFFF]
    assert struct.unpack("!I", second[0].payload[-44:-40])[0] == 4


@pytest.mark.parametrize(("slot", "version"), [(0, 1), (64, 1), (2**31, 1)])
async def test_a_gate_slot_outside_the_page_is_refused(house: House, slot: int, version: int) -> None:
    with pytest.raises(ValueError, match="slot"):
        house.engine.open_gate(slot, version)


# taps


class Tapped:
    """The consumer's end of a sink."""

    def __init__(self, far: socket.socket, sink: SinkId) -> None:
        self.far, self.sink = far, sink

    def records(self) -> list[TapRecord]:
        found: list[TapRecord] = []
        while True:
            try:
                data = self.far.recv(65_536)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += read_records(data)


@pytest.fixture
async def tapped(house: House) -> AsyncIterator[Tapped]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.setblocking(False)
    sink = await house.sink(near.fileno())
    near.close()
    yield Tapped(far, sink)
    far.close()


async def test_a_tap_gets_repaired_packets_and_sender_reports(house: House, tapped: Tapped) -> None:
    publisher = await house.peer()
    track = await house.vp8(publisher)
    tap = await house.tap(track, tapped.sink, Gate(5, 1))
    house.engine.open_gate(5, 1)
    for seq in (1, 3):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    publisher.send_rtp(rtx_of(vp8(2), 70))
    publisher.send_rtcp(sender_report(0x22, 77 * NTP_SECOND, 3000, 3))
    found: list[TapRecord] = []
    await until(lambda: found.extend(tapped.records()) or len(found) == 4, "records")
    packets = [r for r in found if isinstance(r, RtpRecord)]
    assert [p.packet for p in packets] == [vp8(n, key=n == 1).write() for n in (1, 3, 2)]
    assert [bool(p.header.flags & FLAG_REPAIRED) for p in packets] == [False, False, True]
    assert {p.header.codec_name for p in packets} == {"vp8"}
    assert abs(packets[0].header.arrival_ns - time.monotonic_ns()) < 5_000_000_000
    [report] = [r for r in found if isinstance(r, SrRecord)]
    assert (report.ntp, report.rtp_ts, report.packet_count, report.header.tap) == (
        77 * NTP_SECOND,
        3000,
        3,
        tap,
    )


async def test_a_slow_tap_is_told_how_many_records_it_lost(house: House, tapped: Tapped) -> None:
    publisher = await house.peer()
    track = await house.vp8(publisher)
    await house.tap(track, tapped.sink, Gate(5, 1))
    house.engine.open_gate(5, 1)
    seq = 0
    while (await house.counters())["drop_tap_full"] < 20:
        for _ in range(100):
            seq += 1
            publisher.send_rtp(vp8(seq, key=seq == 1, fill=1000))
        await house.counted("rtp_received", seq)
        assert seq < 20_000
    found = tapped.records()
    publisher.send_rtp(vp8(seq + 1, fill=1000))
    await until(
        lambda: found.extend(tapped.records()) or any(isinstance(r, LostRecord) for r in found), "lost"
    )
    received = sum(isinstance(r, RtpRecord) for r in found)
    lost = sum(r.lost for r in found if isinstance(r, LostRecord))
    assert received + lost == seq + 1


async def test_a_consumer_that_goes_away_is_told_and_costs_nothing(house: House, tapped: Tapped) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher)
    await house.watch(track, viewer)
    await house.tap(track, tapped.sink, Gate(5, 1))
    house.engine.open_gate(5, 1)
    tapped.far.close()
    event = await house.event(events.SinkClosed)
    assert event.sink == tapped.sink
    publisher.send_rtp(vp8(1, key=True))
    assert len((await hear(viewer)).rtp) == 1
    assert len(house.of(events.SinkClosed)) == 1


async def test_a_tap_without_a_gate_is_refused(house: House, tapped: Tapped) -> None:
    publisher = await house.peer()
    track = await house.vp8(publisher)
    with pytest.raises(EngineError, match="gate"):
        await house.engine.add_tap(TapId(900), track, tapped.sink, Gate(0, 0))


# strangers and bad peers


@pytest.mark.slow
async def test_a_call_does_not_suffer_from_twenty_thousand_junk_packets_a_second(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.audio(publisher), viewer)
    unknown, target = stranger(house)
    kinds = [
        b"\x80\x6f" + os.urandom(1098),
        b"\x80\xc9" + os.urandom(90),
        b"\x16\xfe\xfd" + os.urandom(200),
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + os.urandom(12),
        b"",
        os.urandom(600),
    ]
    stop = threading.Event()
    sent = 0

    def flood() -> None:
        nonlocal sent
        began = time.monotonic()
        while not stop.is_set():
            while sent < (time.monotonic() - began) * 20_000:
                unknown.sendto(kinds[sent % len(kinds)], target)
                sent += 1
            time.sleep(0.001)

    thread = threading.Thread(target=flood)
    thread.start()
    seconds = 2.0
    try:
        for seq in range(int(seconds * 50)):
            publisher.send_rtp(opus(seq))
            await asyncio.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    heard = await hear(viewer)
    counters = await house.counters()
    assert len(heard.rtp) == seconds * 50
    assert sent > seconds * 15_000
    assert counters["drop_event_full"] == counters["drop_event_network_full"] == 0
    assert not house.of(events.Stun)
    assert not house.of(events.Dtls)
    unknown.close()


async def test_checks_of_one_source_are_limited_before_they_wake_python(house: House) -> None:
    remote = await house.remote(bound=False)
    for _ in range(1000):
        remote.wire.send(remote.check())
    counters = await house.counted("drop_stun_rate", 500)
    assert 50 <= counters["stun_delivered"] <= 200


async def test_strangers_get_no_answer_of_any_kind(house: House) -> None:
    remote = await house.remote(bound=False)
    unknown, target = stranger(house)
    unknown.setblocking(False)
    check = remote.check()
    for junk in (
        check.replace(remote.ufrag.encode(), b"x" * len(remote.ufrag)),
        check[:-4] + bytes(4),
        check[:40],
        b"\x01\x01" + check[2:],
        b"\x80\x6f" + bytes(100),
        b"\x16\xfe\xff" + bytes(100),
    ):
        unknown.sendto(junk, target)
    await house.counted("datagrams_received", 6)
    with pytest.raises(BlockingIOError):
        unknown.recv(4096)
    assert not house.of(events.Stun)
    unknown.close()


async def test_a_replayed_packet_is_dropped(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.audio(publisher), viewer)
    captured = [publisher.tx.protect(opus(seq).write()) for seq in range(50)]
    for _ in range(4):
        for datagram in captured:
            publisher.wire.send(datagram)
    counters = await house.counted("drop_srtp_replayed", 150)
    assert counters["rtp_forwarded"] == 50
    assert len((await hear(viewer)).rtp) == 50


async def test_short_packets_of_the_peer_itself_never_reach_the_cipher(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.audio(publisher), viewer)
    for size in range(65):
        publisher.wire.send((b"\x80\x6f" + os.urandom(64))[:size])
        publisher.wire.send((b"\x80\xc8" + os.urandom(64))[:size])
    publisher.send_rtp(opus(1))
    assert len((await hear(viewer)).rtp) == 1
    counters = await house.counters()
    assert counters["drop_srtp_too_short"] == (28 - 12) + (28 - 8)
    assert counters["drop_srtp_rejected"] == 65 - 28 + 65 - 28


async def test_ten_thousand_ssrcs_stay_bounded_and_hurt_nobody(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    publisher.send_rtp(vp8(1, key=True))
    for number in range(10_000):
        publisher.send_rtp(opus(1, ssrc=0x10_0000 + number))
        if number % 200 == 0:
            await asyncio.sleep(0.001)
    counters = await house.counted("drop_ssrc_limit", 9_000)
    assert counters["drop_rtp_unmapped"] <= 64
    assert (await house.row("transport", publisher.transport))["ssrcs"] == 64
    publisher.send_rtp(vp8(2))
    assert len((await hear(viewer)).rtp) == 2
    assert len(house.of(events.EncodingSeen)) == 1


async def test_a_removed_tracks_ssrcs_make_room(house: House) -> None:
    publisher = await house.peer()
    for round_ in range(60):
        track = await house.vp8(publisher, EngineEncoding("", 1000 + round_, 5000 + round_))
        publisher.send_rtp(vp8(1, key=True, ssrc=1000 + round_))
        await house.counted("rtp_received", round_ + 1)
        await house.engine.remove_track(track)
    assert (await house.row("transport", publisher.transport))["ssrcs"] == 0


@pytest.mark.parametrize("direction", ["publisher", "viewer"])
async def test_mutated_packets_with_a_right_tag_disturb_nothing(house: House, direction: str) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.vp8(publisher), viewer)
    attacker = publisher if direction == "publisher" else viewer
    rtp = vp8(40_000, picture=9).write()
    rtcp = nack(0x900, (1, 0xFFFF), (2, 3)) + pli(0x900) + sender_report(0x22, 1, 2)
    for number in range(1500):
        for plain, is_rtcp in ((rtp, False), (rtcp, True)):
            raw = bytearray(plain)
            for _ in range(1 + number % 4):
                raw[(number * 7919 + len(raw) * _) % len(raw)] ^= 1 << (number + _) % 8
            raw[0] = raw[0] & 0x3F | 0x80
            raw[8 if not is_rtcp else 4] = 0
            cut = bytes(raw[: len(raw) - number % 5])
            try:
                attacker.wire.send(attacker.tx.protect_rtcp(cut) if is_rtcp else attacker.tx.protect(cut))
            except Exception:  # noqa: BLE001 - libsrtp itself refuses some
                continue
        if number % 50 == 0:
            await asyncio.sleep(0.001)
    fresh = await house.peer()
    other = await house.vp8(fresh, mid="w")
    watcher = await house.peer()
    await house.watch(other, watcher)
    fresh.send_rtp(vp8(1, key=True))
    assert len((await hear(watcher)).rtp) == 1


async def test_stats_add_up(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher)
    forward = await house.watch(track, viewer)
    for seq in range(1, 11):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    await hear(viewer)
    assert (await house.row("track", track))["packets"] == 10
    assert (await house.row("forward", forward))["packets"] == 10
    assert (await house.row("transport", publisher.transport))["packets_received"] == 10
    assert (await house.row("transport", viewer.transport))["packets_sent"] == 10
    counters = await house.counters()
    assert counters["rtp_received"] == counters["rtp_forwarded"] == 10
    assert sum(value for name, value in counters.items() if name.startswith("drop_")) == 0


async def test_a_queue_that_nobody_drains_refuses_and_no_answer_is_lost(house: House) -> None:
    acks: list[Ack] = []

    def fill() -> None:
        while len(acks) < 200_000:
            acks.append(house.engine.fence(0))

    with pytest.raises(QueueFull):
        fill()
    async with asyncio.timeout(10):
        for ack in acks:
            await ack
    assert (await house.counters())["drop_event_full"] == 0
