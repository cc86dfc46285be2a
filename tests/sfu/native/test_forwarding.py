"""Forwarding by the native engine, on real SRTP and UDP."""

import asyncio
import itertools
import struct

import pytest

from sfu.engine import events
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import EngineEncoding
from tests.sfu.native.peers import (
    House,
    hear,
    rtx_of,
    vp8,
)
from tests.sfu.wires import until


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


@pytest.mark.parametrize("heights", [(180, 360, 720), (720, 360, 180)], ids=["upwards", "downwards"])
async def test_when_an_encoding_dies_the_next_smaller_picture_goes_on(
    house: House, heights: tuple[int, ...]
) -> None:
    publisher, best, middle = await house.peer(), await house.peer(), await house.peer()
    track = await house.vp8(publisher, *(EngineEncoding(str(height)) for height in heights), mid="cam")
    await house.watch(track, best)
    await house.engine.set_forward(await house.watch(track, middle), paused=False, spatial=1)
    seqs = itertools.count(1)

    async def seen(*sent: int) -> tuple[int, int]:
        """The heights that both get in the end, while these are sent."""
        for _ in range(40):
            seq = next(seqs)
            for height in sent:
                packet = vp8(seq, ssrc=height, key=True, height=height)
                packet.extensions = {4: b"cam", 5: str(height).encode()}
                publisher.send_rtp(packet)
            await asyncio.sleep(0.02)
        last = [(await hear(viewer)).rtp[-1].payload for viewer in (best, middle)]
        return tuple(
            struct.unpack_from("<H", payload, payload.index(b"\x9d\x01\x2a") + 5)[0] for payload in last
        )

    assert await seen(180, 360, 720) == (720, 360)
    assert await seen(180, 720) == (720, 180)
    assert await seen(180, 360) == (360, 360)


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
