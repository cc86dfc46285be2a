"""The cut with real packets: over the engine in memory and the native core, with the machine's clock."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest

from media.gates import GatePage
from media.tap_record import RtpRecord, read_records
from policy import RECORD
from rooms import (
    Cut,
    Participant,
    Published,
    RevocationDone,
    RoomsConfig,
    RoomService,
    SystemClock,
    TapOpened,
)
from sfu import MediaPlane
from sfu.engine.fake import FakeEngine
from store import Store, StoreConfig
from tests.rooms.rig import EVERYTHING, HERE, MEDIA, Consumer, Rig, until
from tests.sfu.client import MediaClient
from tests.sfu.room import audio, video
from tests.sfu.wires import FakeWire, UdpWire


class Recorder:
    """The far end of a sink, with its own map of the gate page, as a worker process has it."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        sink = consumer.activity.sink
        assert sink is not None
        self.far = socket.socket(fileno=os.dup(sink.consumer_fd))
        self.far.setblocking(False)
        sink.detach()
        self.page = GatePage.open(consumer.activity.gates_fd())
        self.taken: list[RtpRecord] = []

    def read(self) -> list[RtpRecord]:
        """What came since the last look and may be used."""
        fresh: list[RtpRecord] = []
        with suppress(BlockingIOError):
            while data := self.far.recv(65_536):
                fresh += [
                    record
                    for record in read_records(data)
                    if isinstance(record, RtpRecord)
                    and self.page.is_open(record.header.gate_slot, record.header.gate_version)
                ]
        self.taken += fresh
        return fresh

    def people(self, records: list[RtpRecord]) -> set[str]:
        owners = {tap.tap: tap.participant for tap in self.consumer.of(TapOpened)}
        return {owners[record.header.tap] for record in records if record.header.tap in owners}

    def close(self) -> None:
        self.far.close()
        self.page.close()


class Sender:
    """A participant whose client really sends."""

    def __init__(self, house: Rig, seed: int) -> None:
        engine = house.plane.engine
        wire = FakeWire(engine) if isinstance(engine, FakeEngine) else UdpWire(engine)
        self.client = MediaClient(wire, seed=seed)
        self.seq = 0
        self.seed = seed

    async def publish(self, participant: Participant) -> Published:
        offer = self.client.offer("chromium-offer-sendonly-av")
        published = await participant.publish(re.sub(r"o=- \S+", f"o=- {self.seed}", offer, count=1))
        await self.client.connect(published.sdp)
        return published

    def send(self, packets: int = 5) -> None:
        for _ in range(packets):
            self.seq += 1
            self.client.send(audio(self.seq))
            self.client.send(video(self.seq))


@pytest.fixture(params=["fake", "native"])
async def live(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        plane = await MediaPlane.start(MEDIA, engine=FakeEngine if request.param == "fake" else None)
        stack.push_async_callback(plane.close)
        store = await Store.open(StoreConfig(data_dir=None))
        stack.push_async_callback(store.close)
        clock = SystemClock()
        service = await RoomService.start(plane, store, RoomsConfig(), clock=clock)
        stack.push_async_callback(service.close)
        made = Rig(clock, plane, store, service)  # type: ignore[arg-type]
        yield made
        for consumer in made.consumers:
            consumer.task.cancel()
            await asyncio.wait({consumer.task})


async def test_packets_of_the_granted_alone_reach_the_consumer_and_none_after_the_revocation(
    live: Rig,
) -> None:
    ada, bob = await live.join("ada"), await live.join("bob")
    senders = {person: Sender(live, number) for number, person in enumerate((ada, bob), start=1)}
    for person, sender in senders.items():
        await sender.publish(person)
    consumer = await live.start(RECORD, (HERE,), room="demo", permissions=EVERYTHING)
    recorder = Recorder(consumer)
    await bob.consent({RECORD: False})
    await live.acknowledge(ada, bob)
    await until(lambda: len(consumer.taps(ada)) == 2, "taps")

    def both_send() -> bool:
        for sender in senders.values():
            sender.send()
        return len(recorder.read()) > 0 and len(recorder.taken) > 20

    await until(both_send, "records")
    assert recorder.people(recorder.taken) == {ada.id}
    assert len({record.header.tap for record in recorder.taken}) == 2

    for sender in senders.values():
        sender.send(50)
    revocation = await ada.revoke()
    assert recorder.read() == []
    assert revocation.killed == ()
    assert revocation.latency_ms < 4 * 150
    (cut,) = consumer.of(Cut)
    assert recorder.page.read(consumer.activity.epoch_slot) == cut.epoch
    assert live.events(ada, RevocationDone)[0].latency_ms == revocation.latency_ms

    # Whatever is still on its way or sent from now on stays outside, also on the socket itself.
    with suppress(BlockingIOError):
        while recorder.far.recv(65_536):
            pass
    for _ in range(20):
        for sender in senders.values():
            sender.send(5)
        await asyncio.sleep(0.005)
    with pytest.raises(BlockingIOError):
        recorder.far.recv(65_536)

    # Agreeing again lets packets of the new version through, and of nobody else.
    await ada.consent({RECORD: True})
    await until(lambda: len(consumer.taps(ada)) == 2, "taps again")
    recorder.taken.clear()
    await until(both_send, "records again")
    assert recorder.people(recorder.taken) == {ada.id}
    recorder.close()
    for sender in senders.values():
        sender.client.close()
