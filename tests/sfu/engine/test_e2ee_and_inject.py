"""What every media engine keeps for tracks that are encrypted end to end, and for injected ones."""

import socket
from collections.abc import AsyncIterator

import pytest

from media.gates import Gate, GatePage
from media.tap_record import RtpRecord, TapHeader, encode_record
from sfu.config import MediaConfig
from sfu.engine.types import EngineEncoding, ForwardId, SinkId, TapId, TrackId, TransportId
from sfu.errors import EngineError
from tests.sfu.engine.rig import OPUS, Remote, Rig, make_fake, make_native, opus

ORIGIN = TapHeader(tap=0, encoding_index=0, gate_slot=0, gate_version=0, arrival_ns=0, ssrc=0x11)


@pytest.fixture(params=[make_fake, make_native], ids=["fake", "native"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    config = MediaConfig(addresses=("127.0.0.1",), port=0, workers=2, gate_slots=64)
    page = GatePage.create(config.gate_slots)
    made = Rig(request.param(config, page), page)
    made.engine.listen(made.seen.append)
    yield made
    await made.close()


async def encrypted(rig: Rig, publisher: Remote) -> TrackId:
    track = TrackId(rig.fresh())
    encodings = [EngineEncoding("", 0x11)]
    await rig.engine.add_track(
        track, publisher.transport, "audio", "a", [OPUS], encodings, nack=False, twcc=False, e2ee=True
    )
    return track


@pytest.fixture
async def far(rig: Rig) -> AsyncIterator[tuple[Rig, socket.socket]]:
    near, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near.setblocking(False)
    with near:
        await rig.sink(near.fileno())
    yield rig, end
    end.close()


async def test_an_encrypted_track_reaches_members_and_nobody_else(far: tuple[Rig, socket.socket]) -> None:
    rig, _ = far
    sink = SinkId(rig.last_id)
    publisher, viewer = await rig.remote(0), await rig.remote(1)
    track = await encrypted(rig, publisher)
    rig.engine.open_gate(3, 1)
    with pytest.raises(EngineError, match=r"^e2ee$"):
        await rig.engine.add_tap(TapId(rig.fresh()), track, sink, Gate(3, 1))
    with pytest.raises(EngineError, match=r"^e2ee$"):
        await rig.forward(track, viewer, Gate(3, 1))
    forward: ForwardId = await rig.forward(track, viewer)
    with pytest.raises(EngineError, match=r"^e2ee$"):
        await rig.engine.set_forward_gate(forward, Gate(3, 1))
    with pytest.raises(EngineError, match=r"^e2ee$"):
        await rig.engine.set_forward_source(forward, track, Gate(3, 1))
    for seq in range(1, 4):
        publisher.send_rtp(opus(seq))
    assert [packet.payload for packet in await viewer.packets()] == [opus(n).payload for n in (1, 2, 3)]


async def test_injected_rtp_reaches_a_subscriber_behind_its_gate(far: tuple[Rig, socket.socket]) -> None:
    rig, end = far
    sink, transport = SinkId(rig.last_id), TransportId(rig.fresh())
    await rig.engine.add_injected_transport(transport, 0, sink)
    with pytest.raises(EngineError):
        await rig.engine.add_injected_transport(TransportId(rig.fresh()), 0, sink)
    track = TrackId(rig.fresh())
    await rig.engine.add_track(
        track, transport, "audio", "a", [OPUS], [EngineEncoding("", 0x11)], nack=False, twcc=False
    )
    viewer = await rig.remote(1)
    rig.engine.open_gate(3, 1)
    await rig.forward(track, viewer, Gate(3, 1))
    for seq in (1, 2):
        end.send(encode_record(RtpRecord(ORIGIN, opus(seq).write())))
    end.send(b"no record")
    end.send(encode_record(RtpRecord(ORIGIN, opus(3).write())))
    assert [packet.payload for packet in await viewer.packets()] == [opus(n).payload for n in (1, 2, 3)]
    rig.engine.close_gate(3, 2)
    end.send(encode_record(RtpRecord(ORIGIN, opus(4).write())))
    assert await viewer.packets() == []
    await rig.engine.remove_transport(transport)
    with pytest.raises(EngineError):
        await rig.engine.remove_track(track)
