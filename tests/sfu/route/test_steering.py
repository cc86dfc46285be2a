"""The engine's account of layers, as the allocator counts them, and what publishers are asked for."""

import pytest

from sfu import LayersWanted, PeerIdle, PublishAnswer, TrackId
from sfu.allocate import Layer
from sfu.engine import events
from sfu.engine.fake import FakeEngine
from sfu.engine.types import ALWAYS_OPEN
from sfu.route import demand
from sfu.route.steering import layers_of
from tests.sfu.room import Room, ids
from tests.sfu.wires import until

REST_S = 0.05


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "REST_AFTER_S", REST_S)


def show(room: Room, track: TrackId) -> None:
    """Let the engine tell that a video is sent."""
    engine = room.plane.engine
    assert isinstance(engine, FakeEngine)
    engine.emit(events.Layers(track, ((0, 0, 0, 500_000, 360),)))


async def asked(room: Room, answer: PublishAnswer, *, is_wanted: bool) -> None:
    """Wait until the publisher was asked, last of all, to send or to rest."""
    track = answer.tracks[-1].track
    told = LayersWanted(track, answer.peer, (), is_wanted=is_wanted)
    await until(lambda: room.of(LayersWanted)[-1:] == [told], f"{is_wanted=}")


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_a_track_of_one_encoding_rests_as_a_whole_and_wakes_at_once(room: Room) -> None:
    answer = await room.router.publish("p_alice", room.client().offer("chromium-offer-sendonly-av"))
    track = ids(answer)["video"]
    show(room, track)
    await asked(room, answer, is_wanted=False)
    sub = await room.router.subscriber("p_bob")
    await room.router.subscribe(sub, track)
    await asked(room, answer, is_wanted=True)
    await room.router.set_layer(sub, track, paused=True)
    await asked(room, answer, is_wanted=False)
    await room.router.set_layer(sub, track)
    await asked(room, answer, is_wanted=True)
    await room.router.remove_peer(sub)
    await asked(room, answer, is_wanted=False)
    assert {event.track for event in room.of(LayersWanted)} == {track}, "sound never rests"


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_a_recording_or_a_program_watches_until_its_tap_ends(room: Room) -> None:
    answer = await room.router.publish("p_alice", room.client().offer("chromium-offer-sendonly-av"))
    track = ids(answer)["video"]
    show(room, track)
    await asked(room, answer, is_wanted=False)
    sink = await room.router.sink()
    tap = await room.router.add_tap(sink, track, ALWAYS_OPEN)
    await asked(room, answer, is_wanted=True)
    await room.router.remove_tap(tap)
    show(room, track)
    await asked(room, answer, is_wanted=False)
    await sink.close()


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_a_publisher_who_rests_on_our_wish_is_not_missed(room: Room) -> None:
    answer = await room.router.publish("p_alice", room.client().offer("chromium-offer-simulcast-3rid"))
    [published] = answer.tracks
    show(room, published.track)
    await asked(room, answer, is_wanted=False)
    engine, transport = room.plane.engine, room.router._roster.member(answer.peer).peer.transport
    assert isinstance(engine, FakeEngine)
    engine.emit(events.Idle(transport))
    sub = await room.router.subscriber("p_bob")
    await room.router.subscribe(sub, published.track)
    await until(lambda: room.of(LayersWanted)[-1].is_wanted, "waking")
    assert room.of(PeerIdle) == []
    engine.emit(events.Idle(transport))
    assert await room.event(PeerIdle) == PeerIdle(answer.peer)


def test_simulcast_is_one_spatial_layer_for_each_encoding() -> None:
    rows = [(0, 0, 0, 60, 180), (0, 0, 1, 100, 180), (2, 0, 0, 700, 720), (2, 1, 0, 900, 720)]
    assert layers_of(rows) == (
        Layer(0, 0, 60, 180),
        Layer(0, 1, 100, 180),
        Layer(2, 0, 900, 720),
    )


@pytest.mark.parametrize("room", ["fake"], indirect=True)
async def test_upper_spatial_layers_that_nobody_wants_rest_and_wake_at_once(room: Room) -> None:
    answer = await room.router.publish("p_alice", room.client().offer("chromium-offer-sendonly-av"))
    track = ids(answer)["video"]
    engine = room.plane.engine
    assert isinstance(engine, FakeEngine)
    rows = ((0, 0, 0, 60_000, 720), (0, 1, 0, 200_000, 720), (0, 2, 0, 800_000, 720))
    sub = await room.router.subscriber("p_bob")
    await room.router.subscribe(sub, track)
    engine.emit(events.Layers(track, rows))

    async def asked_for(spatial: int | None) -> None:
        told = LayersWanted(track, answer.peer, (), is_wanted=True, spatial=spatial)
        await until(lambda: room.of(LayersWanted)[-1:] == [told], f"{spatial=}")

    await room.router.set_layer(sub, track, height=180)
    await asked_for(0)
    engine.emit(events.Layers(track, ((0, 0, 0, 60_000, 180), (0, 2, 0, 800, 180))))
    await room.router.set_layer(sub, track, height=360)
    await asked_for(1)
    await room.router.set_layer(sub, track)
    await asked_for(None)
