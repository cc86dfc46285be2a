"""Data messages between people of a room, over the native core with aiortc as their browsers."""

import asyncio
import json
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from policy import Limits, Permission, RoomSettings
from rooms import (
    Action,
    Code,
    DataLost,
    DataRefused,
    JoinRequest,
    Participant,
    Refused,
    RoomsConfig,
    RoomService,
    SystemClock,
)
from sfu import MediaConfig, MediaPlane
from store import Store, StoreConfig
from tests.rooms.rig import ACCEPTED, EVERYTHING, HERE, PERSON, RECORD, Consumer, Rig, until
from tests.sfu.page_server import media_address

LIMITS = Limits(data_per_s=50, data_burst=60)
READER = frozenset({Permission.JOIN, Permission.SUBSCRIBE})


def sealed(payload: bytes, **head: object) -> bytes:
    written = json.dumps(head).encode()
    return struct.pack("!H", len(written)) + written + payload


def opened(message: bytes) -> tuple[dict[str, object], bytes]:
    (size,) = struct.unpack_from("!H", message)
    return json.loads(message[2 : 2 + size]), message[2 + size :]


class Person:
    """A participant with the two channels."""

    def __init__(self, participant: Participant) -> None:
        self.participant = participant
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.reliable = self.pc.createDataChannel("reliable")
        self.lossy = self.pc.createDataChannel("lossy", ordered=False, maxRetransmits=0)
        self.got: list[tuple[dict[str, object], bytes]] = []
        for channel in (self.reliable, self.lossy):
            channel.on("message", lambda message: self.got.append(opened(message)))

    async def open(self, longest: int = 65_536) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = re.sub(r"(a=max-message-size:)\d+", rf"\g<1>{longest}", self.pc.localDescription.sdp)
        published = await self.participant.publish(offer)
        await self.pc.setRemoteDescription(RTCSessionDescription(published.sdp, "answer"))
        await until(lambda: {self.reliable.readyState, self.lossy.readyState} == {"open"}, "channels", 10)

    def say(self, payload: bytes, channel: RTCDataChannel | None = None, **head: object) -> None:
        (channel or self.reliable).send(sealed(payload, **head))

    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.got]

    async def told(self, kind: type[DataRefused] | type[DataLost], count: int = 1) -> DataRefused | DataLost:
        """The news that speaks of so many messages: what comes within 100 ms is told together."""
        found: list[DataRefused | DataLost] = []

        def look() -> bool:
            while (event := self.participant.events.poll()) is not None:
                if isinstance(event, kind):
                    found.append(event)
            return bool(found) and found[-1].count >= count

        await until(look, kind.__name__)
        return found[-1]


class House:
    def __init__(self, service: RoomService, stack: AsyncExitStack) -> None:
        self.service = service
        self._stack = stack

    async def join(
        self, identity: str, permissions: frozenset[Permission] = PERSON, **fields: object
    ) -> Person:
        request = JoinRequest(room="demo", identity=identity, permissions=permissions, accept=ACCEPTED)
        person = Person(await self.service.join(replace(request, **fields)))  # type: ignore[arg-type]
        self._stack.push_async_callback(person.pc.close)
        await person.open()
        return person


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make(limits: Limits = LIMITS, settings: RoomSettings | None = None, **media: int) -> House:
            config = MediaConfig(addresses=(media_address(),), port=0, gate_slots=64, **media)  # type: ignore[arg-type]
            plane = await MediaPlane.start(config)
            stack.push_async_callback(plane.close)
            store = await Store.open(StoreConfig(data_dir=None))
            stack.push_async_callback(store.close)
            rooms = RoomsConfig(limits=limits, defaults=settings or RoomSettings())
            service = await RoomService.start(plane, store, rooms, clock=SystemClock())
            stack.push_async_callback(service.close)
            return House(service, stack)

        yield make


async def test_messages_carry_who_sent_them_whatever_they_say_and_go_where_they_should(
    open_house: Open,
) -> None:
    house = await open_house()
    ada, bob, cem = [await house.join(name) for name in ("ada", "bob", "cem")]
    ada.say(b"to all", topic="t", **{"from": "p_bob", "identity": "bob", "private": True})
    ada.say(b"to bob", ada.lossy, to=["bob", "nobody"])
    await until(lambda: len(bob.got) == 2 and len(cem.got) == 1, "messages")
    mine = {"from": ada.participant.id, "identity": "ada"}
    assert bob.got == [(mine | {"topic": "t"}, b"to all"), (mine | {"topic": "", "private": True}, b"to bob")]
    assert cem.payloads() == [b"to all"]
    assert ada.got == []
    assert house.service.data.counters == {"messages": 2, "deliveries": 3}


async def test_reliable_messages_come_all_and_in_order(open_house: Open) -> None:
    house = await open_house(replace(LIMITS, data_burst=2_000, data_bytes_burst=10_000_000))
    ada, bob = await house.join("ada"), await house.join("bob")
    for number in range(500):
        ada.say(b"%d" % number)
    await until(lambda: len(bob.got) == 500, "all of them", 15)
    assert bob.payloads() == [b"%d" % number for number in range(500)]


async def test_who_may_not_send_is_told_so_and_reads_on(open_house: Open) -> None:
    house = await open_house()
    ada, mute = await house.join("ada"), await house.join("mute", READER)
    young = await house.join("young", accept=None)
    for person, code in ((mute, "forbidden"), (young, "terms_required")):
        person.say(b"x")
        person.say(b"y")
        news = await person.told(DataRefused, count=2)
        assert isinstance(news, DataRefused)
        assert (news.code, news.count) == (code, 2)
    ada.say(b"read me")
    await until(lambda: mute.payloads() == young.payloads() == [b"read me"], "reading")
    assert ada.got == []
    await ada.participant.renew(None, PERSON - {Permission.CHAT})
    ada.say(b"no more")
    news = await ada.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert news.code == "forbidden"
    assert mute.payloads() == [b"read me"]


async def test_with_the_chat_of_a_room_its_data_is_switched_off(open_house: Open) -> None:
    house = await open_house(settings=RoomSettings(chat=False))
    ada, bob = await house.join("ada"), await house.join("bob")
    ada.say(b"x")
    news = await ada.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert (news.code, bob.got) == ("forbidden", [])


async def test_messages_beyond_the_rate_are_refused_with_the_time_to_wait(open_house: Open) -> None:
    house = await open_house()
    ada, bob = await house.join("ada"), await house.join("bob")
    began = asyncio.get_running_loop().time()
    for _ in range(200):
        ada.say(b"x")
    news = await ada.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert news.code == "rate_limited"
    assert news.retry_after_s is not None
    assert 0 < news.retry_after_s <= 1 / LIMITS.data_per_s + 0.01
    await until(lambda: len(bob.got) + house.service.data.counters["refused_rate_limited"] == 200, "the rest")
    took_s = asyncio.get_running_loop().time() - began
    assert LIMITS.data_burst <= len(bob.got) <= LIMITS.data_burst + LIMITS.data_per_s * took_s + 1
    bob.say(b"mine is full")
    await until(lambda: ada.payloads() == [b"mine is full"], "another's message")


async def test_bytes_have_a_bound_of_their_own(open_house: Open) -> None:
    house = await open_house(replace(LIMITS, data_bytes_burst=10_000))
    ada = await house.join("ada")
    ada.say(bytes(16_000))
    ada.say(b"x")
    news = await ada.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert (news.code, news.count) == ("rate_limited", 1)


@pytest.mark.parametrize("bound", ["data_room_per_s", "data_node_per_s"])
async def test_what_a_room_and_a_node_deliver_is_bounded_and_reliable_messages_wait(
    open_house: Open, bound: str
) -> None:
    house = await open_house(replace(LIMITS, **{bound: 40}))
    ada, bob = await house.join("ada"), await house.join("bob")
    began = asyncio.get_running_loop().time()
    for number in range(50):
        ada.say(b"%d" % number)
    await until(lambda: len(bob.got) == 50, "all of them", 15)
    assert bob.payloads() == [b"%d" % number for number in range(50)]
    assert asyncio.get_running_loop().time() - began > 0.9 * (50 - 8) / 40
    for _ in range(8):
        bob.say(b"now", bob.lossy)
    news = await bob.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert news.code == "unavailable"


async def test_a_room_that_closes_ends_what_waits_in_it(open_house: Open) -> None:
    house = await open_house(replace(LIMITS, data_room_per_s=1))
    ada, bob = await house.join("ada"), await house.join("bob")
    for number in range(20):
        ada.say(b"%d" % number)
    await until(lambda: bob.got, "the first")
    await house.service.close_room("demo")
    await until(lambda: bob.reliable.readyState == "closed", "the end")
    assert len(bob.got) < 5


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        b"\xff\xff{}",
        b"\0\x02[]",
        b"\0\x02{]",
        sealed(b"x", topic="t" * 65),
        sealed(b"x", topic="a\nb"),
        sealed(b"x", topic=7),
        sealed(b"x", to="bob"),
        sealed(b"x", to=["b"] * 33),
        sealed(b"x", pad="p" * 5_000),
    ],
)
async def test_what_is_not_in_its_frame_goes_to_nobody(open_house: Open, message: bytes) -> None:
    house = await open_house()
    ada, bob = await house.join("ada"), await house.join("bob")
    ada.reliable.send(message)
    news = await ada.told(DataRefused)
    assert isinstance(news, DataRefused)
    assert (news.code, bob.got) == (Code.INVALID_REQUEST, [])


async def test_who_is_removed_sends_and_gets_nothing_from_then_on(open_house: Open) -> None:
    house = await open_house()
    ada, bob, cem = [await house.join(name) for name in ("ada", "bob", "cem")]
    removing = asyncio.ensure_future(
        house.service.moderate("demo", Action.REMOVE, "bob", permissions=EVERYTHING)
    )
    await asyncio.sleep(0)
    bob.say(b"late", bob.lossy)
    ada.say(b"not for bob")
    await removing
    await until(lambda: cem.payloads() == [b"not for bob"], "the others")
    await until(lambda: bob.reliable.readyState == "closed", "the end")
    assert bob.got == []
    assert ada.got == []


async def test_a_slow_reader_loses_its_own_messages_and_is_told(open_house: Open) -> None:
    house = await open_house(
        replace(LIMITS, data_burst=2_000, data_bytes_burst=10_000_000), data_queue_bytes=16_384
    )
    ada, bob, cem = [await house.join(name) for name in ("ada", "bob", "cem")]
    transport = bob.pc.sctp
    assert transport is not None

    async def deaf(_: bytes) -> None: ...

    listen, transport._handle_data = transport._handle_data, deaf  # type: ignore[method-assign]
    for number in range(150):
        ada.say(struct.pack("!H", number) + bytes(600))
        ada.say(bytes(600), ada.lossy)
    await until(lambda: house.service.data.counters["slow_reader_reliable"] > 50, "losses", 15)
    await until(lambda: house.service.data.counters["slow_reader_lossy"] > 50, "losses", 15)
    transport._handle_data = listen  # type: ignore[method-assign]
    news = await bob.told(DataLost)
    assert news.count > 0
    numbers = [struct.unpack_from("!H", payload)[0] for payload in cem.payloads() if len(payload) == 602]
    await until(lambda: sum(len(payload) == 602 for payload in cem.payloads()) == 150, "the others", 15)
    assert numbers == sorted(numbers)
    await until(lambda: len(bob.got) > 10, "what was queued", 15)
    assert len(bob.got) < 150


async def test_a_reader_is_told_of_messages_longer_than_it_takes(open_house: Open) -> None:
    house = await open_house()
    ada, bob = await house.join("ada"), await house.join("bob")
    await bob.pc.close()
    bob = Person(bob.participant)
    await bob.open(longest=200)
    ada.say(bytes(500))
    ada.say(b"short")
    news = await bob.told(DataLost)
    assert news.count == 1
    await until(lambda: bob.payloads() == [b"short"], "the short one")
    await bob.pc.close()


async def test_data_needs_no_leave_to_publish_and_gives_none(open_house: Open) -> None:
    house = await open_house()
    reader = await house.join("reader", READER | {Permission.CHAT})
    assert reader.reliable.readyState == "open"
    offer = re.sub(
        r"m=application (\d+) \S+ \S+", r"m=audio \1 UDP/TLS/RTP/SAVPF 96", reader.pc.localDescription.sdp
    )
    with pytest.raises(Refused) as caught:
        await reader.participant.publish(offer)
    assert caught.value.code is Code.FORBIDDEN


async def test_a_section_that_contradicts_itself_publishes_nothing(open_house: Open) -> None:
    """The last direction counts, as it does when it is negotiated: terms are asked of whoever sends."""
    house = await open_house()
    watcher = await house.join("watcher", accept=None)
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio", direction="sendonly")
    await pc.setLocalDescription(await pc.createOffer())
    offer = pc.localDescription.sdp.replace("a=sendonly", "a=recvonly\r\na=sendonly")
    with pytest.raises(Refused) as caught:
        await watcher.participant.publish(offer)
    assert caught.value.code is Code.TERMS_REQUIRED
    assert watcher.participant.room.tracks() == ()
    await pc.close()


async def test_data_goes_to_no_recording_and_no_viewer_outside(open_house: Open) -> None:
    house = await open_house()
    ada, bob = await house.join("ada"), await house.join("bob")
    outside = await house.service.join(
        JoinRequest(room="demo", identity="tv", permissions=READER, transport="whep", is_external=True)
    )
    activity = await house.service.open_activity("demo", RECORD, (HERE,), permissions=EVERYTHING)
    consumer = Consumer(activity)
    for person in (ada, bob):
        for notice in person.participant.pending_notices():
            await person.participant.acknowledge(notice.notice_id)
    ada.say(b"stays here")
    await until(lambda: bob.payloads() == [b"stays here"], "the message")
    assert not any("stays here" in repr(event) for event in consumer.seen)
    assert outside.events.poll() is None
    assert house.service.data.counters["deliveries"] == 1
    assert ada.participant.room.chat.visible_to(ada.participant.id) == ()
    consumer.task.cancel()
    await asyncio.wait({consumer.task})


async def test_whip_carries_no_data(house: Rig) -> None:
    encoder = await house.join("encoder", transport="whip")
    published = await encoder.publish(house.offer(capture="chromium-offer-data+audio"))
    assert "m=audio 9 " in published.sdp
    assert "m=application 0 " in published.sdp
    alone = "".join(
        part
        for part in re.split(r"(?=m=)", house.offer(capture="chromium-offer-data+audio"))
        if "m=audio" not in part
    )
    with pytest.raises(Refused) as caught:
        await (await house.join("other", permissions=READER, transport="whip")).publish(
            alone.replace("BUNDLE 0 1", "BUNDLE 1")
        )
    assert caught.value.code is Code.FORBIDDEN
