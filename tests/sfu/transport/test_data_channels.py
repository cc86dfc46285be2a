"""aiortc's SCTP behind the guard, against an aiortc peer and against raw packets of a hostile one."""

import asyncio
import gc
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Self

import pytest
from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport

from sfu.transport.data_channel import DataChannels, DataLimits, Sent
from sfu.transport.dcep import ChannelKind
from tests.sfu.transport.sctp import (
    FIRST,
    LAST,
    UNORDERED,
    channel_open,
    chunk,
    data,
    forward,
    init,
    packet,
    reset,
    sack,
)

RELIABLE, LOSSY = ChannelKind.RELIABLE, ChannelKind.LOSSY
MIB = 1 << 20


async def until(condition: Callable[[], object], what: str, patience_s: float = 8.0) -> None:
    deadline = asyncio.get_running_loop().time() + patience_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.002)


class Near:
    """The server's side; `out` are the packets that wait for the peer."""

    def __init__(self, *, remote_bytes: int = 0, **limits: int) -> None:
        self.out: list[bytes] = []
        self.got: list[tuple[ChannelKind, bytes]] = []
        self.counters: Counter[str] = Counter()
        self.channels = DataChannels(
            self.out.append,
            lambda kind, message: self.got.append((kind, message)),
            limits=DataLimits(**limits),
            counters=self.counters,
            role="server",
            remote_port=5_000,
            remote_bytes=remote_bytes,
        )

    def take(self) -> list[bytes]:
        packets, self.out[:] = list(self.out), []
        return packets


class Far:
    """An aiortc peer, joined to a near side by a wire that may lose packets."""

    def __init__(self, near: Near, drops: Callable[[int], bool] = lambda _: False) -> None:
        self.near = near
        self.state, self._role = "connected", "client"
        self.sctp = RTCSctpTransport(self)  # type: ignore[arg-type]
        self.channels: dict[str, RTCDataChannel] = {}
        self.got: list[tuple[str, bytes]] = []
        self.deaf = False
        self._drops = drops
        self._count = 0
        self._pump: asyncio.Task[None] | None = None

    def _register_data_receiver(self, receiver: object) -> None: ...

    def _unregister_data_receiver(self, receiver: object) -> None: ...

    async def _send_data(self, raw: bytes) -> None:
        self._count += 1
        if not self._drops(self._count):
            self.near.channels.receive(raw)

    async def connect(self) -> None:
        self.near.channels.start()
        self._pump = asyncio.get_running_loop().create_task(self._carry())
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=0), 5_000)
        self.open("reliable")
        self.open("lossy", ordered=False, maxRetransmits=0)
        await until(lambda: self.near.channels.open_kinds == {RELIABLE, LOSSY}, "channels")

    def open(self, label: str, **options: object) -> RTCDataChannel:
        channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **options))  # type: ignore[arg-type]
        channel.on("message", lambda message: self.got.append((label, message)))
        self.channels[label] = channel
        return channel

    async def _carry(self) -> None:
        while True:
            for raw in self.near.take():
                self._count += 1
                if not self.deaf and not self._drops(self._count):
                    await self.sctp._handle_data(raw)
            await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.sctp.stop()
        self.near.channels.close()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait({self._pump})


class Hostile:
    """A peer that writes its packets itself, past an established association."""

    def __init__(self, near: Near) -> None:
        self.near = near
        self.tsn = 1_000
        near.channels.start()
        ours = struct.unpack_from("!L", near.take()[0], 16)[0]
        self.tag = ours
        self.send(init(7, self.tsn + 1), tag=0)
        answer = near.take()[-1]
        cookie = answer[answer.index(struct.pack("!HH", 7, 28)) + 4 :][:24]
        self.send(chunk(10, cookie))
        assert chunk(11) in near.take()[0]

    def send(self, *chunks: bytes, tag: int | None = None) -> None:
        self.near.channels.receive(packet(*chunks, tag=self.tag if tag is None else tag))

    def data(self, payload: bytes = b"x", **fields: object) -> bytes:
        self.tsn += 1
        return data(self.tsn, payload=payload, **fields)  # type: ignore[arg-type]

    def open(self, label: bytes = b"reliable", kind: int = 0, stream: int = 0) -> None:
        self.send(self.data(channel_open(label, kind), stream=stream, protocol=50))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Budgets that are always full: what is tested is not the rate."""

    def lift() -> None:
        monkeypatch.setattr("sfu.transport.budget.Budget.allow", lambda *_: True)

    return lift


async def test_messages_go_both_ways_on_both_channels() -> None:
    near = Near()
    async with Far(near) as far:
        sent = [bytes([number % 256]) * (1 + number * 40) for number in range(100)]
        for message in sent:
            far.channels["reliable"].send(message)
            assert near.channels.send(RELIABLE, message) is Sent.QUEUED
        far.channels["lossy"].send(b"one")
        assert near.channels.send(LOSSY, b"two") is Sent.QUEUED
        await until(lambda: len(near.got) == 101 and len(far.got) == 101, "messages")
        assert [message for kind, message in near.got if kind is RELIABLE] == sent
        assert [message for label, message in far.got if label == "reliable"] == sent
        assert (LOSSY, b"one") in near.got
        assert ("lossy", b"two") in far.got
        assert near.counters == {}
    assert near.channels.is_over


async def test_reliable_messages_survive_loss_and_lossy_ones_are_given_up() -> None:
    near = Near()
    async with Far(near) as far:
        far._drops = lambda count: count % 10 == 0
        for number in range(60):
            far.channels["reliable"].send(b"%d" % number)
            near.channels.send(RELIABLE, b"%d" % number)
            far.channels["lossy"].send(b"%d" % number)
        wanted = [b"%d" % number for number in range(60)]
        await until(lambda: [m for kind, m in near.got if kind is RELIABLE] == wanted, "all of them", 20)
        await until(lambda: [m for label, m in far.got if label == "reliable"] == wanted, "all of them", 20)


async def test_nothing_runs_after_the_end_whenever_it_comes() -> None:
    for stage in range(3):
        near = Near()
        far = Far(near)
        if stage:
            await far.connect()
        else:
            near.channels.start()
        if stage == 2:
            far.deaf = True
            near.channels.send(RELIABLE, bytes(100_000))
        near.channels.close()
        association = near.channels._association
        for timer in ("_t1_handle", "_t2_handle", "_t3_handle", "_reconfig_handle"):
            assert getattr(association, timer) is None
        near.take()
        near.channels.receive(packet(data()))
        assert near.take() == []
        assert near.counters["data_after_end"] == 1
        assert near.channels.send(RELIABLE, b"x") is Sent.NO_CHANNEL
        await far.close()


async def test_a_peer_that_does_not_read_has_a_bounded_queue() -> None:
    near = Near(queue_bytes=65_536)
    async with Far(near) as far:
        far.deaf = True
        gc.collect()
        tracemalloc.start()
        outcomes = Counter(near.channels.send(RELIABLE, bytes(1_000)) for _ in range(20_000))
        lossy = Counter(near.channels.send(LOSSY, bytes(1_000)) for _ in range(20_000))
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 60 <= outcomes[Sent.QUEUED] <= 80
        assert lossy[Sent.QUEUED] <= 16
        assert near.counters["data_reliable_queue_full"] == outcomes[Sent.FULL]
        assert near.counters["data_lossy_queue_full"] == lossy[Sent.FULL]
        assert size < MIB
        far.deaf = False
        await until(lambda: len(far.got) >= 60, "what was queued", 15)


async def test_many_tiny_messages_are_bounded_by_their_number() -> None:
    near = Near()
    async with Far(near) as far:
        far.deaf = True
        outcomes = Counter(near.channels.send(RELIABLE, b"x") for _ in range(5_000))
        assert outcomes[Sent.QUEUED] < 1_100


async def test_a_message_that_the_peer_does_not_take_is_not_sent() -> None:
    near = Near(remote_bytes=100)
    async with Far(near) as far:
        assert near.channels.send(RELIABLE, bytes(101)) is Sent.TOO_LARGE
        assert near.channels.send(RELIABLE, bytes(100)) is Sent.QUEUED
        await until(lambda: far.got, "the short one")


async def test_a_channel_that_the_peer_closes_can_be_opened_again() -> None:
    near = Near()
    async with Far(near) as far:
        far.channels["lossy"].close()
        await until(lambda: near.channels.open_kinds == {RELIABLE}, "closed")
        assert near.channels.send(LOSSY, b"x") is Sent.NO_CHANNEL
        await until(lambda: far.channels["lossy"].readyState == "closed", "closed there, too")
        far.open("lossy", ordered=False, maxRetransmits=0)
        await until(lambda: near.channels.open_kinds == {RELIABLE, LOSSY}, "open again")


async def test_unknown_and_second_channels_and_text_are_refused_and_counted() -> None:
    near = Near(message_bytes=1_000)
    peer = Hostile(near)
    peer.open()
    peer.open(b"files", stream=1)
    peer.send(peer.data(stream=1, seq=1))
    peer.open(stream=2)
    peer.send(peer.data(b"text", seq=1, protocol=51))
    peer.send(peer.data(bytes(600), seq=2, flags=FIRST), peer.data(bytes(401), seq=2, flags=LAST))
    assert near.got == []
    assert near.channels.open_kinds == {RELIABLE}
    reasons = ("channel_label", "no_channel", "channel_open", "text", "too_large")
    assert near.counters == {f"data_{reason}": 1 for reason in reasons}
    peer.send(peer.data(bytes(1_000), seq=3))
    assert near.got == [(RELIABLE, bytes(1_000))]
    near.channels.close()


async def test_a_hostile_peer_gets_an_association_like_any_other() -> None:
    near = Near()
    peer = Hostile(near)
    peer.open()
    assert near.channels.open_kinds == {RELIABLE}
    peer.send(peer.data(b"hello", seq=1))
    assert near.got == [(RELIABLE, b"hello")]
    near.channels.close()


async def test_fragments_without_an_end_are_held_within_bounds_and_end_the_association(
    clock: Callable[[], None],
) -> None:
    clock()
    near = Near()
    peer = Hostile(near)
    peer.open()
    tracemalloc.start()
    for number in range(20_000):
        peer.send(peer.data(b"x" * 1_000, seq=1, flags=FIRST if number == 0 else 0))
        near.take()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert near.channels.is_over
    assert near.counters["data_endless_message"] == 1
    assert near.counters["data_after_end"] > 19_000
    assert size < MIB


async def test_slivers_and_gaps_are_held_within_bounds(clock: Callable[[], None]) -> None:
    clock()
    near = Near()
    peer = Hostile(near)
    tracemalloc.start()
    for stream in range(64):
        for _ in range(100):
            peer.send(peer.data(b"x", stream=stream, flags=FIRST, seq=1))
    near.take()
    assert near.counters["data_endless_message"] == 1
    near = Near()
    peer = Hostile(near)
    for far_ahead in range(2, 10_000):
        peer.send(data(peer.tsn + far_ahead, flags=UNORDERED | LAST))
        near.take()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert near.counters["data_tsn_window"] > 9_000
    assert near.channels._association.standing.held_chunks <= 320
    assert size < MIB
    near.channels.close()


async def test_storms_cost_answers_within_the_budget_and_no_memory() -> None:
    near = Near()
    peer = Hostile(near)
    peer.open()
    near.take()
    loop = asyncio.get_running_loop()
    began = loop.time()
    tracemalloc.start()
    for _ in range(2_000):
        peer.send(reset(peer.tsn + 1, peer.tsn, 0))
        peer.send(init(9, 9), tag=0)
        peer.send(chunk(4, b"\0\1\0\4"))
        peer.send(forward(peer.tsn, (63, 1)))
        peer.send(sack(0, *[(1, 65_535)] * 200))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A thousand packets at once, and what the budget gains while this runs.
    taken = 1_000 + 500 * (loop.time() - began)
    assert near.counters["data_over_packet_rate"] >= 10_000 - taken - 2
    assert len(near.take()) <= taken / 5 + 100
    assert near.counters["data_broke"] == 0
    assert size < MIB
    assert not near.channels.is_over
    near.channels.close()


async def test_what_breaks_the_transport_itself_ends_the_association_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near = Near()
    peer = Hostile(near)

    def break_it(_: bytes) -> None:
        raise struct.error("short")

    monkeypatch.setattr(near.channels._association, "receive", break_it)
    peer.open()
    assert near.channels.is_over
    assert near.counters["data_broke"] == 1


async def test_while_the_room_is_busy_nothing_is_acknowledged_and_nothing_is_lost() -> None:
    near = Near()
    is_ready = True
    near.channels._is_ready = lambda: is_ready
    async with Far(near) as far:
        is_ready = False
        for number in range(20):
            far.channels["reliable"].send(b"%d" % number)
        await until(lambda: near.counters["data_room_busy"], "packets refused")
        assert near.got == []
        is_ready = True
        await until(lambda: len(near.got) == 20, "all of them")
        assert [message for _, message in near.got] == [b"%d" % number for number in range(20)]
