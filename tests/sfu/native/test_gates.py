"""Gates of the native engine, on real SRTP and UDP."""

import struct
import threading
import time

import pytest

from media.gates import Gate
from sfu.engine.fake.rtp import FakeRtp
from tests.sfu.engine.rig import opus
from tests.sfu.native.peers import (
    House,
    hear,
    nack,
    rtx_of,
    vp8,
    with_both_ciphers,
)

pytestmark = with_both_ciphers


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
