"""What every media engine keeps: the same behaviour of the model and of the native core."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from media.gates import Gate, GatePage
from media.tap_record import RtpRecord, SrRecord, TapRecord, read_records
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import EngineCodec, EngineEncoding, ForwardId, SinkId, TapId, TrackId, TransportId
from sfu.errors import EngineError
from tests.sfu.engine.rig import (
    OPEN,
    OPUS,
    Remote,
    Rig,
    make_fake,
    make_native,
    opus,
    vp8_delta,
    vp8_keyframe,
)
from tests.sfu.wires import until

IDLE_MS = 400


@pytest.fixture(
    params=[(make_fake, True), (make_native, True), (make_native, False)],
    ids=["fake", "native", "native-libsrtp"],
)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    make, gives_masters = request.param
    config = MediaConfig(addresses=("127.0.0.1",), port=0, workers=1, gate_slots=64, idle_ms=IDLE_MS)
    page = GatePage.create(config.gate_slots)
    made = Rig(make(config, page), page, gives_masters)
    made.engine.listen(made.seen.append)
    yield made
    await made.close()


async def call(rig: Rig, publisher: Remote, viewer: Remote) -> tuple[TrackId, ForwardId]:
    """One audio track on its way."""
    track = await rig.audio(publisher)
    return track, await rig.forward(track, viewer)


async def say(remote: Remote, first: int, count: int = 3, ssrc: int = 0x11) -> None:
    for seq in range(first, first + count):
        remote.send_rtp(opus(seq, ssrc))
        await asyncio.sleep(0)


def records(far: socket.socket) -> list[TapRecord]:
    found: list[TapRecord] = []
    while True:
        try:
            data = far.recv(65_536)
        except BlockingIOError:
            return found
        if not data:
            return found
        found += read_records(data)


@pytest.fixture
async def tap_socket(rig: Rig) -> AsyncIterator[tuple[SinkId, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    far.setblocking(False)
    sink = await rig.sink(near.fileno())
    near.close()
    yield sink, far
    far.close()


# commands

UNKNOWN: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "set_ufrags": lambda rig: rig.engine.set_ufrags(TransportId(99), ["x" * 8]),
    "bind_path": lambda rig: rig.engine.bind_path(TransportId(99), 0, "127.0.0.1", 9, selected=True),
    "remove_transport": lambda rig: rig.engine.remove_transport(TransportId(99)),
    "remove_track": lambda rig: rig.engine.remove_track(TrackId(99)),
    "set_track_enabled": lambda rig: rig.engine.set_track_enabled(TrackId(99), enabled=False),
    "request_keyframe": lambda rig: rig.engine.request_keyframe(TrackId(99)),
    "set_forward": lambda rig: rig.engine.set_forward(ForwardId(99), paused=True),
    "set_forward_source": lambda rig: rig.engine.set_forward_source(ForwardId(99), TrackId(0), OPEN),
    "set_forward_gate": lambda rig: rig.engine.set_forward_gate(ForwardId(99), OPEN),
    "remove_forward": lambda rig: rig.engine.remove_forward(ForwardId(99)),
    "remove_sink": lambda rig: rig.engine.remove_sink(SinkId(99)),
    "set_tap_gate": lambda rig: rig.engine.set_tap_gate(TapId(99), OPEN),
    "remove_tap": lambda rig: rig.engine.remove_tap(TapId(99)),
}


@pytest.mark.parametrize("command", UNKNOWN)
async def test_a_command_for_an_unknown_id_is_refused(rig: Rig, command: str) -> None:
    with pytest.raises(EngineError):
        await UNKNOWN[command](rig)


async def test_an_id_cannot_be_taken_twice(rig: Rig) -> None:
    remote = await rig.remote()
    track = await rig.audio(remote)
    with pytest.raises(EngineError):
        await rig.engine.add_transport(remote.transport, 0, ["another1"])
    with pytest.raises(EngineError):
        await rig.engine.add_track(
            track, remote.transport, "audio", "x", [OPUS], [EngineEncoding()], nack=False, twcc=False
        )


async def test_removing_a_transport_removes_its_tracks_and_forwards(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track, forward = await call(rig, publisher, viewer)
    await rig.engine.remove_transport(publisher.transport)
    with pytest.raises(EngineError):
        await rig.engine.remove_track(track)
    with pytest.raises(EngineError):
        await rig.engine.remove_forward(forward)


async def test_commands_after_close_are_refused_and_close_is_idempotent(rig: Rig) -> None:
    await rig.engine.close()
    await rig.engine.close()
    with pytest.raises(EngineError):
        await rig.engine.add_transport(TransportId(5), 0, ["ufrag123"])


async def test_a_command_that_waits_when_the_engine_closes_fails(rig: Rig) -> None:
    acks = [rig.engine.add_transport(TransportId(50 + n), 0, [f"ufrag{n:04}"]) for n in range(20)]
    await rig.engine.close()
    for ack in acks:
        try:
            async with asyncio.timeout(2):
                await ack
        except EngineError:
            pass


async def test_stats_have_a_row_for_each_object(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track, forward = await call(rig, publisher, viewer)
    stats = await rig.engine.query_stats(0)
    assert {row["transport"] for row in stats.transports} == {publisher.transport, viewer.transport}
    assert [row["track"] for row in stats.tracks] == [track]
    assert [row["forward"] for row in stats.forwards] == [forward]


# datagrams


async def test_a_check_with_a_known_ufrag_is_delivered_for_its_transport(rig: Rig) -> None:
    remote = await rig.remote(bound=False)
    check = remote.check()
    remote.wire.send(check)
    event = await rig.event(events.Stun)
    assert (event.transport, event.data, event.port) == (remote.transport, check, remote.wire.port)


async def test_a_check_with_an_unknown_ufrag_is_not_delivered(rig: Rig) -> None:
    remote = await rig.remote(bound=False)
    stranger = Remote(remote.wire, TransportId(99), "nobody12")
    remote.wire.send(stranger.check())
    remote.wire.send(remote.check())
    await rig.event(events.Stun)
    assert len(rig.of(events.Stun)) == 1


async def test_new_ufrags_replace_the_old(rig: Rig) -> None:
    remote = await rig.remote(bound=False)
    await rig.engine.set_ufrags(remote.transport, ["freshfrag"])
    remote.wire.send(remote.check())
    remote.ufrag = "freshfrag"
    fresh = remote.check()
    remote.wire.send(fresh)
    await rig.event(events.Stun)
    assert [event.data for event in rig.of(events.Stun)] == [fresh]


async def test_what_is_sent_arrives_as_it_is(rig: Rig) -> None:
    wire = (await rig.remote()).wire
    rig.engine.send(0, 0, wire.ip, wire.port, b"\x16\xfe\xfd hello")
    assert await wire.receive() == b"\x16\xfe\xfd hello"


async def test_dtls_is_delivered_from_a_bound_path_only(rig: Rig) -> None:
    remote = await rig.remote(bound=False)
    record = b"\x16\xfe\xfd" + bytes(30)
    remote.wire.send(record)
    remote.wire.send(remote.check())
    await rig.event(events.Stun)
    assert not rig.of(events.Dtls)
    await rig.engine.bind_path(remote.transport, 0, remote.wire.ip, remote.wire.port, selected=False)
    remote.wire.send(record)
    event = await rig.event(events.Dtls)
    assert (event.transport, event.data) == (remote.transport, record)
    await rig.engine.unbind_path(remote.transport, 0, remote.wire.ip, remote.wire.port)
    remote.wire.send(record)
    remote.wire.send(remote.check())
    await until(lambda: len(rig.of(events.Stun)) == 2, "second check")
    assert len(rig.of(events.Dtls)) == 1


async def test_junk_and_empty_datagrams_do_nothing(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await call(rig, publisher, viewer)
    stranger = rig.wire()
    for wire in (stranger, publisher.wire):
        for junk in (b"", b"\x00", b"\x16", b"\x80", b"\x80\xc8", b"\xff" * 1400, os.urandom(200)):
            wire.send(junk)
        for size in range(64):
            wire.send((b"\x80\x6f" + os.urandom(64))[:size])
            wire.send((b"\x80\xc9" + os.urandom(64))[:size])
    await say(publisher, 10)
    assert len(await viewer.packets()) == 3
    stranger.close()


# forwarding


async def test_a_packet_is_forwarded_with_the_subscribers_names(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await call(rig, publisher, viewer)
    await say(publisher, 65_534, 4)
    packets = await viewer.packets()
    assert {(packet.ssrc, packet.pt) for packet in packets} == {(0x900, 100)}
    assert {packet.extensions[9] for packet in packets} == {b"7"}
    first = packets[0].seq
    assert [packet.seq for packet in packets] == [(first + n) & 0xFFFF for n in range(4)]
    assert [packet.payload for packet in packets] == [opus(65_534 + n).payload for n in range(4)]


async def test_the_first_authentic_packet_proves_the_peer_and_names_its_encoding(rig: Rig) -> None:
    publisher = await rig.remote()
    track = await rig.audio(publisher)
    await say(publisher, 1)
    assert (await rig.event(events.Proven)).transport == publisher.transport
    encoding = await rig.event(events.EncodingSeen)
    assert (encoding.track, encoding.encoding_index, encoding.ssrc, encoding.codec) == (
        track,
        0,
        0x11,
        "opus",
    )
    assert len(rig.of(events.Proven)) == 1


async def test_an_encoding_is_found_by_its_mid(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = TrackId(rig.fresh())
    await rig.engine.add_track(
        track, publisher.transport, "audio", "m1", [OPUS], [EngineEncoding()], nack=False, twcc=False
    )
    await rig.forward(track, viewer)
    named = opus(1, ssrc=0x77)
    named.extensions[4] = b"m1"
    publisher.send_rtp(named)
    await rig.event(events.EncodingSeen)
    await say(publisher, 2, ssrc=0x77)
    assert len(await viewer.packets()) == 4


async def test_unauthentic_packets_are_dropped(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await call(rig, publisher, viewer)
    publisher.wire.send(opus(1).write())
    publisher.wire.send(opus(2).write() + bytes(16))
    await say(publisher, 3, 1)
    assert len(await viewer.packets()) == 1


async def test_the_peers_packets_from_an_unbound_address_are_dropped(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await call(rig, publisher, viewer)
    elsewhere = rig.wire()
    elsewhere.send(publisher.tx.protect(opus(1).write()))
    await say(publisher, 2, 1)
    assert len(await viewer.packets()) == 1
    elsewhere.close()


async def test_a_muted_track_is_silent_until_it_is_enabled_again(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track, _ = await call(rig, publisher, viewer)
    await rig.engine.set_track_enabled(track, enabled=False)
    await say(publisher, 1)
    assert await viewer.packets() == []
    await rig.engine.set_track_enabled(track, enabled=True)
    await say(publisher, 4)
    assert len(await viewer.packets()) == 3


async def test_a_paused_forward_is_silent_and_goes_on_without_a_gap(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    _, forward = await call(rig, publisher, viewer)
    await say(publisher, 1)
    before = await viewer.packets()
    await rig.engine.set_forward(forward, paused=True)
    await say(publisher, 4)
    assert await viewer.packets() == []
    await rig.engine.set_forward(forward, paused=False)
    await say(publisher, 7)
    after = await viewer.packets()
    assert len(before) == len(after) == 3


async def test_video_begins_with_a_keyframe(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await rig.forward(await rig.video(publisher), viewer)
    publisher.send_rtp(vp8_keyframe(1))
    publisher.send_rtp(vp8_delta(2))
    packets = await viewer.packets()
    assert [packet.pt for packet in packets] == [120, 120]
    assert packets[0].payload.endswith(bytes(40))


async def test_a_subscriber_begins_with_what_came_since_the_last_keyframe(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    camera, microphone = await rig.video(publisher), await rig.audio(publisher)
    for packet in (vp8_delta(1), vp8_keyframe(2), vp8_delta(3), opus(1), opus(2)):
        publisher.send_rtp(packet)
    await rig.event(events.EncodingSeen, lambda event: event.track == microphone)
    await rig.forward(camera, viewer)
    await rig.forward(microphone, viewer, ssrc=0x902)
    packets = await viewer.packets(0.05)
    assert [p.payload for p in packets if p.pt == 120] == [vp8_keyframe(2).payload, vp8_delta(3).payload]
    assert [p.payload for p in packets if p.pt == 100] == [opus(2).payload]
    publisher.send_rtp(vp8_delta(4))
    more = [p for p in packets + await viewer.packets(0.05) if p.pt == 120]
    assert [p.seq - more[0].seq for p in more] == [0, 1, 2]


async def test_outside_the_room_nothing_comes_from_before_the_gate_was_open(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.video(publisher)
    publisher.send_rtp(vp8_keyframe(1))
    await rig.event(events.EncodingSeen)
    rig.engine.open_gate(3, 1)
    await rig.forward(track, viewer, Gate(3, 1))
    assert await viewer.packets(0.05) == []
    publisher.send_rtp(vp8_keyframe(2))
    assert [p.payload for p in await viewer.packets()] == [vp8_keyframe(2).payload]


async def test_what_came_before_a_mute_is_not_begun_with(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.video(publisher)
    publisher.send_rtp(vp8_keyframe(1))
    await rig.event(events.EncodingSeen)
    await rig.engine.set_track_enabled(track, enabled=False)
    await rig.engine.set_track_enabled(track, enabled=True)
    await rig.forward(track, viewer)
    assert await viewer.packets(0.05) == []


async def test_a_subscriber_with_nothing_to_begin_with_has_a_keyframe_asked_for(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.video(publisher)
    publisher.send_rtp(vp8_delta(1))
    await rig.event(events.EncodingSeen)
    await rig.forward(track, viewer)
    assert [p for p in await publisher.rtcp() if p[1] == 206 and p[0] & 0x1F in {1, 4}]


async def test_a_codec_without_a_payload_type_is_reported_once(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.audio(publisher)
    forward = ForwardId(rig.fresh())
    await rig.engine.add_forward(
        forward, track, viewer.transport, 0x900, 0, "7", {"vp8": (96, -1)}, OPEN, paused=False
    )
    await say(publisher, 1, 5)
    event = await rig.event(events.CodecUnsupported)
    assert (event.forward, event.codec) == (forward, "opus")
    assert await viewer.packets() == []
    assert len(rig.of(events.CodecUnsupported)) == 1


async def test_a_keyframe_request_reaches_the_publisher(rig: Rig) -> None:
    publisher = await rig.remote()
    track = await rig.video(publisher)
    publisher.send_rtp(vp8_keyframe(1))
    await rig.event(events.EncodingSeen)
    await rig.engine.request_keyframe(track)
    requests = [p for p in await publisher.rtcp() if p[1] == 206 and p[0] & 0x1F in {1, 4}]
    assert requests
    assert struct.unpack_from("!I", requests[0], 8)[0] in {0x22, 0}


async def test_a_subscribers_picture_loss_reaches_the_publisher(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    await rig.forward(await rig.video(publisher), viewer)
    publisher.send_rtp(vp8_keyframe(1))
    await viewer.packets()
    await publisher.rtcp()
    viewer.send_rtcp(struct.pack("!BBHI", 0x80, 201, 1, 9) + struct.pack("!BBHII", 0x81, 206, 2, 9, 0x900))
    asked: list[bytes] = []
    while not asked:
        asked = [p for p in await publisher.rtcp(0.6) if p[1] == 206 and p[0] & 0x1F in {1, 4}]
    assert asked


# gates


async def test_a_closed_gate_lets_nothing_through_and_an_open_one_does(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.audio(publisher)
    await rig.forward(track, viewer, Gate(3, 1))
    await say(publisher, 1)
    assert await viewer.packets() == []
    rig.engine.open_gate(3, 1)
    assert rig.page.is_open(3, 1)
    await say(publisher, 4)
    assert len(await viewer.packets()) == 3
    rig.engine.close_gate(3, 2)
    assert not rig.page.is_open(3, 1)
    await say(publisher, 7)
    assert await viewer.packets() == []


async def test_a_gate_of_another_version_lets_nothing_through(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.audio(publisher)
    forward = await rig.forward(track, viewer, Gate(3, 1))
    rig.engine.open_gate(3, 2)
    await say(publisher, 1)
    assert await viewer.packets() == []
    await rig.engine.set_forward_gate(forward, Gate(3, 2))
    await say(publisher, 4)
    assert len(await viewer.packets()) == 3


async def test_nothing_passes_after_a_fence_behind_a_closed_gate(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = await rig.audio(publisher)
    await rig.forward(track, viewer, Gate(3, 1))
    rig.engine.open_gate(3, 1)
    for seq in range(200):
        publisher.send_rtp(opus(seq))
    rig.engine.close_gate(3, 2)
    await rig.engine.fence(0)
    await viewer.packets(0.05)
    for seq in range(200, 260):
        publisher.send_rtp(opus(seq))
    assert await viewer.packets() == []


# sources


async def test_a_new_source_continues_the_sequence_of_the_forward(rig: Rig) -> None:
    first, second, viewer = await rig.remote(), await rig.remote(), await rig.remote()
    old, new = await rig.audio(first, 0x11), await rig.audio(second, 0x12)
    forward = await rig.forward(old, viewer)
    await say(first, 100)
    before = await viewer.packets()
    await rig.engine.set_forward_source(forward, new, OPEN)
    await say(second, 9_000, ssrc=0x12)
    await say(first, 103)
    after = await viewer.packets()
    assert {packet.ssrc for packet in after} == {0x900}
    assert [p.seq for p in before + after] == [(before[0].seq + n) & 0xFFFF for n in range(6)]
    assert after[0].payload == opus(9_000).payload


async def test_a_detached_forward_outlives_its_track(rig: Rig) -> None:
    first, second, viewer = await rig.remote(), await rig.remote(), await rig.remote()
    old, new = await rig.audio(first, 0x11), await rig.audio(second, 0x12)
    forward = await rig.forward(old, viewer)
    await say(first, 100)
    before = await viewer.packets()
    await rig.engine.set_forward_source(forward, TrackId(0), OPEN)
    await rig.engine.remove_track(old)
    await say(first, 103)
    assert await viewer.packets() == []
    await rig.engine.set_forward_source(forward, new, OPEN)
    await say(second, 7, ssrc=0x12)
    after = await viewer.packets()
    assert [p.seq for p in before + after] == [(before[0].seq + n) & 0xFFFF for n in range(6)]


async def test_a_source_of_another_kind_is_refused(rig: Rig) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    audio, video = await rig.audio(publisher), await rig.video(publisher)
    forward = await rig.forward(audio, viewer)
    with pytest.raises(EngineError):
        await rig.engine.set_forward_source(forward, video, OPEN)


# taps


async def test_a_tap_copies_packets_while_its_gate_holds(
    rig: Rig, tap_socket: tuple[SinkId, socket.socket]
) -> None:
    sink, far = tap_socket
    publisher = await rig.remote()
    track = await rig.audio(publisher)
    tap = await rig.tap(track, sink, Gate(5, 1))
    await say(publisher, 1)
    await rig.event(events.EncodingSeen)
    await rig.engine.fence(0)
    assert records(far) == []
    rig.engine.open_gate(5, 1)
    await say(publisher, 4)
    found: list[TapRecord] = []
    await until(lambda: found.extend(records(far)) or len(found) >= 3, "tap records")
    first = found[0]
    assert isinstance(first, RtpRecord)
    assert (first.header.tap, first.header.gate_slot, first.header.gate_version) == (tap, 5, 1)
    assert first.header.codec_name == "opus"
    assert [r.packet for r in found if isinstance(r, RtpRecord)] == [opus(n).write() for n in (4, 5, 6)]
    rig.engine.close_gate(5, 2)
    await rig.engine.fence(0)
    records(far)
    await say(publisher, 7)
    await rig.engine.fence(0)
    assert records(far) == []


async def test_a_tap_carries_sender_reports(rig: Rig, tap_socket: tuple[SinkId, socket.socket]) -> None:
    sink, far = tap_socket
    publisher = await rig.remote()
    track = await rig.audio(publisher)
    rig.engine.open_gate(5, 1)
    await rig.tap(track, sink, Gate(5, 1))
    await say(publisher, 1, 1)
    await rig.event(events.EncodingSeen)
    publisher.send_rtcp(struct.pack("!BBHIQIII", 0x80, 200, 6, 0x11, 0x1234_5678_9ABC_DEF0, 960, 1, 31))
    found: list[TapRecord] = []
    await until(lambda: found.extend(records(far)) or any(isinstance(r, SrRecord) for r in found), "SR")
    report = next(r for r in found if isinstance(r, SrRecord))
    assert (report.ntp, report.rtp_ts, report.packet_count) == (0x1234_5678_9ABC_DEF0, 960, 1)


async def test_a_full_tap_socket_drops_and_never_blocks(
    rig: Rig, tap_socket: tuple[SinkId, socket.socket]
) -> None:
    sink, _ = tap_socket
    publisher, viewer = await rig.remote(), await rig.remote()
    track, _ = await call(rig, publisher, viewer)
    rig.engine.open_gate(5, 1)
    await rig.tap(track, sink, Gate(5, 1))
    for seq in range(0, 3000, 50):
        for n in range(seq, seq + 50):
            packet = opus(n)
            packet.payload = bytes(1000)
            publisher.send_rtp(packet)
        await rig.engine.fence(0)
    await viewer.packets(0.05)
    await say(publisher, 3000)
    assert len(await viewer.packets()) == 3


async def test_a_consumer_that_goes_away_closes_its_sink_only(
    rig: Rig, tap_socket: tuple[SinkId, socket.socket]
) -> None:
    sink, far = tap_socket
    publisher, viewer = await rig.remote(), await rig.remote()
    track, _ = await call(rig, publisher, viewer)
    rig.engine.open_gate(5, 1)
    await rig.tap(track, sink, Gate(5, 1))
    far.close()
    await say(publisher, 1)
    assert (await rig.event(events.SinkClosed)).sink == sink
    await viewer.packets()
    await say(publisher, 4)
    assert len(await viewer.packets()) == 3


async def test_removing_a_sink_ends_the_consumers_socket(
    rig: Rig, tap_socket: tuple[SinkId, socket.socket]
) -> None:
    sink, far = tap_socket
    await rig.engine.remove_sink(sink)
    assert far.recv(10) == b""


# levels and idleness


async def test_audio_levels_are_reported(rig: Rig) -> None:
    publisher = await rig.remote()
    track = await rig.audio(publisher)
    for seq in range(60):
        publisher.send_rtp(opus(seq, level=30))
        await asyncio.sleep(0.01)
    event = await rig.event(events.Levels, lambda levels: bool(levels.levels))
    assert event.levels[0][0] == track
    assert abs(event.levels[0][1]) == 30
    assert event.levels[0][2] is True


async def test_a_silent_transport_is_idle_until_it_speaks_again(rig: Rig) -> None:
    publisher = await rig.remote()
    await rig.audio(publisher)
    await say(publisher, 1)
    assert (await rig.event(events.Idle)).transport == publisher.transport
    await say(publisher, 4)
    assert (await rig.event(events.Active)).transport == publisher.transport


async def test_red_goes_on_as_plain_opus_to_whoever_has_none_and_to_taps(
    rig: Rig, tap_socket: tuple[SinkId, socket.socket]
) -> None:
    publisher, viewer = await rig.remote(), await rig.remote()
    track = TrackId(rig.fresh())
    codecs = [EngineCodec(63, "red", 48_000), EngineCodec(111, "opus", 48_000)]
    await rig.engine.add_track(
        track, publisher.transport, "audio", "a", codecs, [EngineEncoding("", 0x11)], nack=False, twcc=False
    )
    await rig.forward(track, viewer)
    rig.engine.open_gate(1, 1)
    await rig.tap(track, tap_socket[0], Gate(1, 1))
    head = bytes([0xEF]) + (960 << 10 | 2).to_bytes(3, "big") + bytes([0x6F])
    for seq in (1, 2):
        publisher.send_rtp(FakeRtp(63, seq, 960 * seq, 0x11, head + b"\xfc\x00" + b"\xfc" + bytes([seq])))
    heard = await viewer.packets()
    assert [(packet.pt, packet.payload) for packet in heard] == [(100, b"\xfc\x01"), (100, b"\xfc\x02")]
    assert [event.codec for event in rig.of(events.EncodingSeen)] == ["opus"]
    record = records(tap_socket[1])[0]
    assert isinstance(record, RtpRecord)
    tapped = FakeRtp.parse(record.packet)
    assert tapped is not None
    assert (tapped.pt, tapped.payload, record.header.codec_name) == (111, b"\xfc\x01", "opus")
