"""Taps of the plane, over the model and over the native core."""

import socket
from contextlib import suppress

import pytest

from media.gates import Gate
from media.tap_record import RtpRecord, read_records
from sfu import (
    EndToEndEncrypted,
    PeerConnected,
    SinkClosed,
    TrackId,
    UnknownTrack,
)
from tests.sfu.room import Room, audio, ids, speak
from tests.sfu.wires import until


async def test_a_tap_reads_a_track_while_its_gate_holds(room: Room) -> None:
    client, answer = await room.publisher()
    sink = await room.router.sink()
    far = socket.socket(fileno=sink.duplicate())
    sink.detach()
    far.setblocking(False)
    slot = room.plane.allocator.allocate()
    gate = room.plane.allocator.next_version(slot)
    tap = await room.router.add_tap(sink, ids(answer)["audio"], gate)
    room.router.open_gate(gate)
    for seq in range(5):
        client.send(audio(seq))
    found: list[RtpRecord] = []

    def read() -> bool:
        with suppress(BlockingIOError):
            while True:
                found.extend(r for r in read_records(far.recv(65_536)) if isinstance(r, RtpRecord))
        return len(found) >= 5

    await until(read, "five records")
    assert {(record.header.tap, record.header.gate_version) for record in found} == {(tap, gate.version)}
    await room.router.remove_tap(tap)
    await room.router.remove_tap(tap)
    far.close()
    second = await room.router.sink()
    await room.router.add_tap(second, ids(answer)["audio"], gate)
    second.detach()
    for seq in range(5, 10):
        client.send(audio(seq))
    assert (await room.event(SinkClosed, lambda event: event.sink == second.id)).sink == second.id
    await second.close()
    await sink.close()


async def test_what_is_encrypted_end_to_end_stays_in_the_room(room: Room) -> None:
    client = room.client()
    offer = client.offer("chromium-offer-sendonly-av")
    answer = await room.router.publish("p_alice", offer, e2ee=True)
    await client.connect(answer.sdp)
    await room.event(PeerConnected, lambda event: event.peer == answer.peer)
    track, gate = ids(answer)["audio"], Gate(1, 1)
    sink = await room.router.sink()
    listener, sub = await room.subscriber(track)
    viewer = room.client().offer("chromium-offer-recvonly-av")
    for refused in (
        room.router.add_tap(sink, track, gate),
        room.router.set_gate(sub, track, gate),
        room.router.subscribe(sub, ids(answer)["video"], gate=gate),
        room.router.whep("v_1", viewer, [track], gates={track: gate}),
    ):
        with pytest.raises(EndToEndEncrypted) as told:
            await refused
        assert told.value.code == "e2ee"
    assert await speak(client, listener, 1)
    await sink.close()


async def test_a_tap_needs_a_track_of_the_room(room: Room) -> None:
    sink = await room.router.sink()
    with pytest.raises(UnknownTrack):
        await room.router.add_tap(sink, TrackId(999), Gate(1, 1))
    await sink.close()
    await sink.close()
