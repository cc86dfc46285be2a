"""The bad network itself: what it promises to do to packets, it does."""

import asyncio
import ipaddress
import socket
import statistics
import struct
import time

import pytest

from tests.net.bridge import bridge
from tests.net.link import Link, link
from tests.net.namespace import MACHINE
from tests.net.nat import Nat
from tests.net.shaper import Conditions, Shaper, is_blocked

pytestmark = pytest.mark.slow


def _datagram(payload: int = 100, *, port: int = 7882) -> bytes:
    header = bytearray(20)
    header[0], header[9] = 0x45, 17
    return bytes(header) + (1000).to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(4 + payload)


def test_a_bottleneck_queues_and_then_drops() -> None:
    shaper = Shaper(Conditions(bps=1_000_000, delay_s=0.05, queue_s=0.1))
    packet = _datagram(1222)  # 10 ms each
    for _ in range(20):
        shaper.receive(packet, 0.0)
    assert len(list(shaper.poll(0.0599))) == 0
    assert len(list(shaper.poll(0.0601))) == 1
    assert len(list(shaper.poll(10.0))) == 10
    report = shaper.report()
    assert (report.packets, report.overflowed) == (11, 9)
    assert report.queued_s[-1] == pytest.approx(0.1)


def test_loss_is_what_was_asked_for() -> None:
    shaper = Shaper(Conditions(loss=0.05))
    for _ in range(20_000):
        shaper.receive(_datagram(), 0.0)
    assert 0.045 < shaper.report().lost / 20_000 < 0.055


@pytest.mark.parametrize(
    ("rules", "is_dropped"), [({"udp"}, True), ({"udp:7882"}, True), ({"udp:7883"}, False), ({"tcp"}, False)]
)
def test_a_firewall_drops_what_its_rules_name(rules: set[str], *, is_dropped: bool) -> None:
    assert is_blocked(_datagram(), frozenset(rules)) is is_dropped


def _of(packet: bytes) -> tuple[str, int, str, int]:
    """Source and target of a datagram, whose checksums must be right."""
    addresses = [str(ipaddress.IPv4Address(packet[at : at + 4])) for at in (12, 16)]
    ports = [int.from_bytes(packet[at : at + 2], "big") for at in (20, 22)]
    words = struct.unpack(f"!{len(packet) // 2}H", packet)
    pseudo = sum(words[6:10]) + packet[9] + len(packet) - 20
    assert sum(words[:10]) % 0xFFFF == 0
    assert (pseudo + sum(words[10:])) % 0xFFFF == 0
    return addresses[0], ports[0], addresses[1], ports[1]


def test_a_nat_names_addresses_and_moves_ports_both_ways() -> None:
    nat = Nat(outside="203.0.113.9", inside="10.77.0.3", shift=500)
    packet = bytearray(_datagram())
    packet[12:20] = bytes([10, 77, 0, 2, 203, 0, 113, 9])
    packet[24:26] = (len(packet) - 20).to_bytes(2, "big")
    arrived = nat.up(bytes(packet))
    assert arrived is not None
    assert _of(arrived) == ("10.77.0.2", 1500, "10.77.0.3", 7882)
    back = bytearray(arrived)
    back[12:20] = arrived[16:20] + arrived[12:16]
    back[20:24] = arrived[22:24] + arrived[20:22]
    answer = nat.down(bytes(back))
    assert answer is not None
    assert _of(answer) == ("203.0.113.9", 7882, "10.77.0.2", 1000)


def test_behind_a_nat_the_inner_address_is_nobodys_and_an_old_mapping_is_gone() -> None:
    packet = bytearray(_datagram(port=80))
    packet[16:20] = bytes([10, 77, 0, 3])
    assert Nat(outside="203.0.113.9", inside="10.77.0.3").up(bytes(packet)) is None
    assert Nat(shift=500).down(bytes(packet)) is None


def test_a_firewall_knows_addresses_and_families() -> None:
    packet = bytearray(_datagram())
    packet[16:20] = bytes([10, 77, 0, 1])
    assert is_blocked(bytes(packet), frozenset({"10.77.0.1"}))
    assert is_blocked(bytes(packet), frozenset({"ip4"}))
    assert not is_blocked(bytes(packet), frozenset({"10.77.0.2", "ip6"}))


async def _echo_times(between: Link, count: int) -> list[float]:
    """Round-trip times of datagrams from the far side to this machine, in seconds; lost ones are missing."""
    loop = asyncio.get_running_loop()
    near, far = MACHINE.socket(socket.SOCK_DGRAM), between.far.socket(socket.SOCK_DGRAM)
    with near, far:
        near.bind((between.near_ip, 0))
        times = []
        for _ in range(count):
            started = time.monotonic()
            await loop.sock_sendto(far, b"ping", near.getsockname())
            try:
                async with asyncio.timeout(0.5):
                    data, sender = await loop.sock_recvfrom(near, 100)
                    await loop.sock_sendto(near, data, sender)
                    await loop.sock_recv(far, 100)
            except TimeoutError:
                continue
            times.append(time.monotonic() - started)
        return times


async def test_delay_loss_and_outages_are_real() -> None:
    async with link() as between:
        assert statistics.median(await _echo_times(between, 50)) < 0.02
        slow = Conditions(delay_s=0.05)
        await between.shape(up=slow, down=slow)
        assert 0.1 <= statistics.median(await _echo_times(between, 10)) < 0.15
        await between.shape(up=Conditions(is_down=True), down=Conditions())
        assert await _echo_times(between, 2) == []
        await between.shape(up=Conditions(blocked=frozenset({"udp"})))
        await between.report()
        assert await _echo_times(between, 2) == []
        up, _down = await between.report()
        assert up.blocked >= 2


async def test_a_bridge_reaches_a_server_past_the_link() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with link() as between, bridge(between.far, 0, MACHINE, port) as entrance:
        await between.shape(up=Conditions(is_down=True), down=Conditions(is_down=True))
        sock = between.far.socket()
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", entrance))
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
