"""What strangers and bad peers cost the native engine."""

import asyncio
import os
import threading
import time

import pytest

from sfu.engine import events
from sfu.engine.types import Ack, EngineEncoding
from sfu.errors import QueueFull
from tests.sfu.engine.rig import opus
from tests.sfu.native.peers import (
    House,
    hear,
    nack,
    pli,
    sender_report,
    stranger,
    vp8,
    with_both_ciphers,
)

JUNK_PER_S = 20_000
LEAST_PER_S = 5_000
"""What a starved machine still sends; at the whole rate: `tests/attacks/test_strangers.py`."""


@pytest.mark.slow
async def test_a_call_does_not_suffer_from_thousands_of_junk_packets_a_second(house: House) -> None:
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
            while sent < (time.monotonic() - began) * JUNK_PER_S:
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
    assert sent > seconds * LEAST_PER_S
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


@with_both_ciphers
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


@with_both_ciphers
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


@with_both_ciphers
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


@with_both_ciphers
async def test_a_removed_tracks_ssrcs_make_room(house: House) -> None:
    publisher = await house.peer()
    for round_ in range(60):
        track = await house.vp8(publisher, EngineEncoding("", 1000 + round_, 5000 + round_))
        publisher.send_rtp(vp8(1, key=True, ssrc=1000 + round_))
        await house.counted("rtp_received", round_ + 1)
        await house.engine.remove_track(track)
    assert (await house.row("transport", publisher.transport))["ssrcs"] == 0


@with_both_ciphers
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


@with_both_ciphers
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
