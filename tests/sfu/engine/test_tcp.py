"""What every media engine keeps for paths by TCP."""

from collections.abc import AsyncIterator

import pytest

from media.gates import GatePage
from sfu.config import MediaConfig
from sfu.engine import events
from sfu.engine.fake import FakeEngine
from sfu.engine.types import TransportId
from sfu.errors import EngineError
from tests.sfu.engine.rig import Remote, Rig, make_fake, make_native, opus
from tests.sfu.wires import FakeWire, TcpWire, Wire


@pytest.fixture(params=[make_fake, make_native], ids=["fake", "native"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    config = MediaConfig(addresses=("127.0.0.1",), port=0, tcp_port=0, workers=2, gate_slots=64)
    page = GatePage.create(config.gate_slots)
    made = Rig(request.param(config, page), page)
    made.engine.listen(made.seen.append)
    yield made
    await made.close()


def connect(rig: Rig) -> Wire:
    engine = rig.engine
    return FakeWire(engine, kind="tcp") if isinstance(engine, FakeEngine) else TcpWire(engine)


async def by_tcp(rig: Rig, worker: int, *, selected: bool = True) -> Remote:
    """A transport whose check came by TCP, with keys and its path bound."""
    transport = TransportId(rig.fresh())
    remote = Remote(connect(rig), transport, f"ufrag{transport:08}")
    rig.remotes.append(remote)
    await rig.engine.add_transport(transport, worker, [remote.ufrag])
    remote.wire.send(remote.check())
    stun = await rig.event(events.Stun, lambda event: event.transport == transport)
    assert (stun.kind, stun.worker, stun.ip, stun.port) == ("tcp", worker, remote.wire.ip, remote.wire.port)
    await rig.engine.bind_path(transport, stun.socket, stun.ip, stun.port, selected=selected, kind=stun.kind)
    await rig.secure(remote)
    return remote


async def test_media_goes_both_ways_by_tcp_and_crosses_workers(rig: Rig) -> None:
    publisher, viewer, by_udp = await by_tcp(rig, 0), await by_tcp(rig, 1), await rig.remote(1)
    track = await rig.audio(publisher)
    await rig.forward(track, viewer)
    await rig.forward(track, by_udp)
    for seq in range(1, 6):
        publisher.send_rtp(opus(seq))
    assert len(await viewer.packets()) == 5
    assert len(await by_udp.packets()) == 5


async def test_dtls_comes_and_goes_on_the_connection_it_belongs_to(rig: Rig) -> None:
    remote = await by_tcp(rig, 1)
    remote.wire.send(b"\x16\xfe\xfd hello hello")
    event = await rig.event(events.Dtls)
    assert (event.transport, event.kind, event.port) == (remote.transport, "tcp", remote.wire.port)
    rig.engine.send(1, event.socket, event.ip, event.port, b"\x16\xfe\xfd answer", kind="tcp")
    assert await remote.wire.receive() == b"\x16\xfe\xfd answer"


async def test_the_end_of_a_connection_ends_its_path(rig: Rig) -> None:
    remote = await by_tcp(rig, 1)
    remote.wire.close()
    event = await rig.event(events.PathClosed)
    assert (event.transport, event.kind, event.port) == (remote.transport, "tcp", remote.wire.port)
    with pytest.raises(EngineError):
        await rig.engine.unbind_path(remote.transport, event.socket, event.ip, event.port, kind="tcp")
    await rig.engine.remove_transport(remote.transport)
