"""Viewers and speakers of the plane, over the model and over the native core."""

import asyncio

import pytest

from sfu import (
    ActiveSpeaker,
    Levels,
    NegotiationError,
    UnknownPeer,
)
from tests.sfu.room import (
    Room,
    audio,
    ids,
    speak,
    unheard,
)


async def test_a_viewer_sees_and_is_switched_without_renegotiation(room: Room) -> None:
    alice, first = await room.publisher("p_alice")
    carol, second = await room.publisher("p_carol")
    viewer = room.client()
    answer = await room.router.whep(
        "v_1", viewer.offer("chromium-offer-recvonly-av"), list(ids(first).values()), gates={}
    )
    assert {track for _, track in answer.tracks} == set(ids(first).values())
    await viewer.connect(answer.sdp)
    before = await speak(alice, viewer, 1)
    mid = next(mid for mid, track in answer.tracks if track == ids(first)["audio"])
    await room.router.set_source(answer.peer, mid, ids(second)["audio"])
    after = await speak(carol, viewer, 500)
    assert await unheard(alice, viewer, 10) == []
    assert {packet.ssrc for packet in before} == {packet.ssrc for packet in after}
    assert after[0].seq == (before[-1].seq + 1) & 0xFFFF
    with pytest.raises(NegotiationError):
        await room.router.set_source(answer.peer, mid, ids(second)["video"])
    with pytest.raises(UnknownPeer):
        await room.router.set_source(answer.peer, "nowhere", ids(second)["audio"])


async def test_a_viewer_outlives_its_source(room: Room) -> None:
    alice, first = await room.publisher("p_alice")
    viewer = room.client()
    answer = await room.router.whep(
        "v_1", viewer.offer("chromium-offer-recvonly-av"), [ids(first)["audio"]], gates={}
    )
    await viewer.connect(answer.sdp)
    before = await speak(alice, viewer, 1)
    await room.router.remove_peer(first.peer)
    carol, second = await room.publisher("p_carol")
    mid = next(mid for mid, track in answer.tracks if track == ids(first)["audio"])
    await room.router.set_source(answer.peer, mid, ids(second)["audio"])
    after = await speak(carol, viewer, 9_000)
    assert after[0].seq == (before[-1].seq + 1) & 0xFFFF


async def test_an_external_viewer_sees_nothing_once_the_gate_is_closed(room: Room) -> None:
    alice, first = await room.publisher()
    slot = room.plane.allocator.allocate()
    gate = room.plane.allocator.next_version(slot)
    room.router.open_gate(gate)
    viewer = room.client()
    answer = await room.router.whep(
        "v_1",
        viewer.offer("chromium-offer-recvonly-av"),
        [ids(first)["audio"]],
        gates={ids(first)["audio"]: gate},
    )
    await viewer.connect(answer.sdp)
    assert await speak(alice, viewer, 1)
    room.router.close_gate(slot, gate.version + 1)
    await room.router.fence()
    assert await unheard(alice, viewer, 10) == []


async def test_the_loudest_voice_becomes_the_active_speaker(room: Room) -> None:
    client, answer = await room.publisher()
    for seq in range(80):
        client.send(audio(seq))
        await asyncio.sleep(0.01)
    levels = await room.event(Levels, lambda event: bool(event.levels))
    assert levels.levels == ((ids(answer)["audio"], -20),)
    assert (await room.event(ActiveSpeaker)).track == ids(answer)["audio"]
