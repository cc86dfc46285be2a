"""The plane's own frame: statistics, captures, workers, addresses."""

import asyncio
import socket

import pytest

from sfu import (
    CodecPolicy,
    EngineError,
    MediaConfig,
    MediaPlane,
    TrackAdded,
)
from sfu.engine.fake import FakeEngine
from tests.sfu.client import MediaClient
from tests.sfu.room import (
    CONFIG,
    Room,
    ids,
    speak,
)
from tests.sfu.wires import UdpWire


async def test_stats_name_the_rooms_own_objects(room: Room) -> None:
    client, answer = await room.publisher()
    listener, sub = await room.subscriber(ids(answer)["audio"])
    assert await speak(client, listener, 1)
    elsewhere = room.plane.router("other", CodecPolicy())
    await elsewhere.subscriber("p_dora")
    stats = await room.router.stats()
    assert {row.peer for row in stats.peers} == {answer.peer, sub}
    assert {row.track for row in stats.tracks} == set(ids(answer).values())
    assert [(row.track, row.peer) for row in stats.forwards] == [(ids(answer)["audio"], sub)]
    assert stats.forwards[0].counters["packets"] == 5
    assert (await room.plane.stats()).plane["routers"] == 2


CAPTURES_THAT_SEND = [
    "chromium-offer-sendonly-av",
    "chromium-offer-simulcast-3rid",
    "chromium-offer-svc-L3T3_KEY",
    "firefox-offer-sendonly-av",
    "firefox-offer-simulcast-3rid",
    "firefox-offer-svc-L3T3_KEY",
]


@pytest.mark.parametrize("capture", CAPTURES_THAT_SEND)
async def test_every_browsers_offer_becomes_tracks(capture: str) -> None:
    plane = await MediaPlane.start(CONFIG, engine=FakeEngine)
    room = Room(plane, plane.router("r", CodecPolicy()))
    async with asyncio.TaskGroup() as group:
        group.create_task(room.read())
        client = room.client()
        answer = await room.router.publish("p_alice", client.offer(capture))
        await client.connect(answer.sdp)
        await room.event(TrackAdded)
        assert len(room.of(TrackAdded)) == len(answer.tracks) >= 1
        if "simulcast" in capture:
            assert len(answer.tracks[-1].simulcast) >= 2
        await room.close()
        await plane.close()


@pytest.mark.parametrize("capture", ["chromium-offer-recvonly-av", "firefox-offer-recvonly-av"])
async def test_every_browsers_viewing_offer_is_answered(capture: str) -> None:
    plane = await MediaPlane.start(CONFIG, engine=FakeEngine)
    room = Room(plane, plane.router("r", CodecPolicy()))
    viewer = room.client()
    answer = await room.router.whep("v_1", viewer.offer(capture), [], gates={})
    assert [track for _, track in answer.tracks] == [None, None]
    await viewer.connect(answer.sdp)
    await room.close()
    await plane.close()


async def test_rooms_are_spread_over_workers_and_both_address_families_work() -> None:
    config = MediaConfig(addresses=("127.0.0.1", "::1"), port=0, workers=2, gate_slots=64)
    plane = await MediaPlane.start(config)
    routers = [plane.router(name, CodecPolicy()) for name in ("one", "two")]
    assert {router.worker for router in routers} == {0, 1}
    clients = []
    for router in routers:
        for index, ip in enumerate(config.addresses):
            target = plane.engine.addresses(router.worker)[index]
            assert target[0] == ip
            client = MediaClient(UdpWire(plane.engine, router.worker, index), seed=len(clients))
            answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
            assert f"{ip} {target[1]} typ host" in answer.sdp
            await client.connect(answer.sdp)
            clients.append(client)
    for client in clients:
        client.close()
    await plane.close()


async def test_announced_addresses_stand_in_for_the_bound_ones() -> None:
    config = MediaConfig(addresses=("127.0.0.1",), announced=("203.0.113.9",), port=0, gate_slots=8)
    plane = await MediaPlane.start(config)
    router = plane.router("r", CodecPolicy())
    client = MediaClient(UdpWire(plane.engine))
    answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
    assert "203.0.113.9" in answer.sdp
    assert "127.0.0.1" not in answer.sdp
    client.close()
    await plane.close()


async def test_a_tcp_port_that_is_taken_leaves_udp_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        plane = await MediaPlane.start(MediaConfig(port=0, tcp_port=port, gate_slots=8))
        assert plane.engine.tcp_addresses() == []
        router = plane.router("r", CodecPolicy())
        client = MediaClient(UdpWire(plane.engine))
        answer = await router.publish("p_alice", client.offer("chromium-offer-sendonly-av"))
        assert " tcp " not in answer.sdp
        await client.connect(answer.sdp)
        client.close()
        await plane.close()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises((EngineError, OSError)):
            await MediaPlane.start(MediaConfig(port=taken.getsockname()[1], gate_slots=8))
