"""Taps of the native engine, on real SRTP and UDP."""

import socket
import time
from collections.abc import AsyncIterator

import pytest

from media.gates import Gate
from media.tap_record import FLAG_REPAIRED, LostRecord, RtpRecord, SrRecord, TapRecord, read_records
from sfu.engine import events
from sfu.engine.types import SinkId, TapId
from sfu.errors import EngineError
from tests.sfu.native.peers import (
    House,
    hear,
    rtx_of,
    sender_report,
    vp8,
)
from tests.sfu.wires import until

NTP_SECOND = 1 << 32


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
