"""aiortc peers through the native core: what is sent is what is decoded, and what is cut is not."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import pytest

from sfu import CodecPolicy, MediaConfig, MediaPlane, PeerFailed, Router
from tests.sfu.aiortc_client import Colour, Peer
from tests.sfu.page_server import media_address
from tests.sfu.wires import until

RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture
async def plane() -> AsyncIterator[MediaPlane]:
    config = MediaConfig(addresses=(media_address(),), port=0, gate_slots=64)
    plane = await MediaPlane.start(config)
    yield plane
    await plane.close()


@pytest.fixture
def router(plane: MediaPlane) -> Router:
    return plane.router("r", CodecPolicy())


def is_close(seen: Colour, wanted: Colour) -> bool:
    return all(abs(a - b) < 30 for a, b in zip(seen, wanted, strict=True))


async def shows(peer: Peer, colour: Colour) -> None:
    """Wait for ten more pictures of a colour."""
    before = len(peer.colours)
    await until(lambda: sum(is_close(c, colour) for c in peer.colours[before:]) >= 10, f"{colour}", 15)


async def ends(peer: Peer, colour: Colour) -> None:
    """Wait until no picture of a colour has come for 0.7 s.

    What the jitter buffer and the decoder hold comes out within a few frames of a cut.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + 15
    while True:
        before = len(peer.colours)
        await asyncio.sleep(0.7)
        if not any(is_close(c, colour) for c in peer.colours[before:]):
            return
        assert loop.time() < give_up, f"{colour} goes on"


async def test_what_is_published_is_decoded_with_its_colour_and_its_tone(router: Router) -> None:
    async with Peer(router) as sender, Peer(router) as receiver:
        tracks = await sender.publish("p_alice", RED, 440)
        await receiver.subscribe("p_bob", *tracks.values())
        await shows(receiver, RED)
        await until(lambda: sum(level > 0.3 for level in receiver.loudness) > 10, "sound")


async def test_two_publishers_are_told_apart_on_one_subscriber(router: Router) -> None:
    async with Peer(router) as one, Peer(router) as two, Peer(router) as receiver:
        first = await one.publish("p_alice", RED, 440)
        second = await two.publish("p_carol", BLUE, 880)
        await receiver.subscribe("p_bob", first["video"], second["video"])
        await asyncio.gather(shows(receiver, RED), shows(receiver, BLUE))


async def test_a_track_that_comes_later_is_added_to_the_running_connection(router: Router) -> None:
    async with Peer(router) as one, Peer(router) as two, Peer(router) as receiver:
        first = await one.publish("p_alice", RED, 440)
        sub = await receiver.subscribe("p_bob", first["video"])
        await shows(receiver, RED)
        second = await two.publish("p_carol", BLUE, 880)
        await router.subscribe(sub, second["video"])
        await receiver.settle(sub)
        await asyncio.gather(shows(receiver, RED), shows(receiver, BLUE))
        await router.unsubscribe(sub, first["video"])
        await ends(receiver, RED)
        seen = len(receiver.colours)
        await shows(receiver, BLUE)
        assert not any(is_close(c, RED) for c in receiver.colours[seen:])


async def test_a_closing_gate_stops_pictures_and_an_opening_one_brings_them_back(
    plane: MediaPlane, router: Router
) -> None:
    async with Peer(router) as sender, Peer(router) as receiver:
        tracks = await sender.publish("p_alice", RED, 440)
        slot = plane.allocator.allocate()
        gate = plane.allocator.next_version(slot)
        router.open_gate(gate)
        sub = await router.subscriber("p_bob")
        await router.subscribe(sub, tracks["video"], gate=gate)
        await receiver.settle(sub)
        await shows(receiver, RED)
        router.close_gate(slot, plane.allocator.next_version(slot).version)
        await router.fence()
        await ends(receiver, RED)
        again = plane.allocator.next_version(slot)
        await router.set_gate(sub, tracks["video"], again)
        router.open_gate(again)
        await router.request_keyframe(tracks["video"])
        await shows(receiver, RED)


async def test_strangers_datagrams_do_no_harm(plane: MediaPlane, router: Router) -> None:
    """An empty datagram, and a ClientHello, end an aiortc session; here they are nobody's business."""
    async with Peer(router) as sender, Peer(router) as receiver:
        target = plane.engine.addresses(0)[0]
        junk = [b"", b"\x16", _hello(), b"\x16\xfe\xfd" + os.urandom(60), b"\x80\x60" + os.urandom(160)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for datagram in junk:
                stranger.sendto(datagram, target)
            tracks = await sender.publish("p_alice", RED, 440)
            for datagram in junk:
                stranger.sendto(datagram, target)
            await receiver.subscribe("p_bob", *tracks.values())
            await shows(receiver, RED)
            for _ in range(20):
                for datagram in junk:
                    stranger.sendto(datagram, target)
            await shows(receiver, RED)
            stranger.setblocking(False)
            with pytest.raises(BlockingIOError):
                stranger.recv(100)
        assert not [event for event in await _waiting(router) if isinstance(event, PeerFailed)]


def _hello() -> bytes:
    """The head of a DTLS 1.2 ClientHello record."""
    return b"\x16\xfe\xff" + bytes(8) + b"\x00\x42\x01\x00\x00\x36" + bytes(0x3E)


async def _waiting(router: Router) -> list[object]:
    found: list[object] = []
    try:
        while True:
            async with asyncio.timeout(0.05):
                found.append(await router.events.get())
    except TimeoutError:
        return found


async def test_peers_come_and_go_and_nothing_stays(plane: MediaPlane, router: Router) -> None:
    async with Peer(router) as sender:
        tracks = await sender.publish("p_alice", RED, 440)
        for _ in range(3):
            async with Peer(router) as receiver:
                await receiver.subscribe("p_bob", tracks["audio"])
                await until(lambda: receiver.loudness, "sound", 10)
    await until_async(plane)


async def until_async(plane: MediaPlane) -> None:
    """Wait until the plane holds no peer."""
    for _ in range(100):
        counters = (await plane.stats()).plane
        if not (counters["peers"] or counters["tracks"] or counters["forwards"]):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"left: {counters}")
