"""Ways to the server when the straight one is closed, and calls whose network changes under them.

One server, a Chromium beside it, and a Chromium and a Firefox behind a bad network: everybody sends and
receives. The browsers themselves are the witnesses.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from server.tls import self_signed
from tests.browser import chromium, firefox
from tests.browser.parley import Parley, free_port, serve
from tests.net.bridge import bridge
from tests.net.caller import Caller, Way
from tests.net.link import Link, link
from tests.net.namespace import MACHINE
from tests.net.nat import Nat
from tests.net.shaper import Conditions
from tests.net.turn import TurnServer, turn_server
from tests.support.figures import tell
from tests.support.promises import STARVED_FACTOR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's network, servers and browsers"),
]

_SECRET = "a secret that coturn and Parley share"
_OUTSIDE = "203.0.113.9"
_rooms = itertools.count(1)
_hosts = itertools.count(70)

CHECK_S = 2.5
"""How often Chromium checks a path that works: after a silent change of address nobody knows it sooner."""


@dataclass(frozen=True)
class Stage:
    """Everything that the cases share."""

    net: Link
    parley: Parley
    turn: TurnServer
    direct: tuple[str, ...]
    """The server's own media ports, as a firewall names them."""
    entrance: contextlib.AsyncExitStack
    near: Caller
    far: Caller
    fox: Caller

    async def closed(self, *blocked: str) -> None:
        """Drop this, and nothing else, both ways."""
        way = Conditions(blocked=frozenset(blocked))
        await self.net.shape(up=way, down=way)

    @contextlib.asynccontextmanager
    async def call(self, *people: Caller) -> AsyncIterator[str]:
        """The near person and these in a room of their own, whose name it is, until the context ends."""
        room = f"reach-{next(_rooms)}"
        everybody = (self.near, *people)
        try:
            await asyncio.gather(*(person.enter(room) for person in everybody))
            yield room
        finally:
            await asyncio.gather(*(person.leave() for person in everybody))
            await self.closed()
            await self.net.translate(Nat())

    async def open_entrance(self) -> None:
        """Let the far side reach pages and WebSocket; `entrance.aclose()` ends what is open."""
        port = int(self.parley.url.rsplit(":", 1)[1])
        await self.entrance.enter_async_context(bridge(self.net.far, port, MACHINE, port))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder = tmp_path_factory.mktemp("reach")
    async with contextlib.AsyncExitStack() as stack:
        net = await stack.enter_async_context(link())
        self_signed(folder / "tls", [net.near_ip])
        certificate = (folder / "tls" / "self-signed.crt", folder / "tls" / "self-signed.key")
        turn = await stack.enter_async_context(
            turn_server(folder, net.near_ip, media_ip=net.near_ip, certificate=certificate, secret=_SECRET)
        )
        port, udp_port, tcp_port = free_port(), free_port(socket.SOCK_DGRAM), free_port()
        direct = (f"udp:{udp_port}", f"tcp:{tcp_port}")
        environment = {
            "PARLEY_MEDIA_WORKERS": "1",
            "PARLEY_MEDIA_BIND": f"{net.near_ip},{net.near_ip6},{net.spare_ip}",
            "PARLEY_MEDIA_ANNOUNCE": f"{net.near_ip},{net.near_ip6},{_OUTSIDE}",
            "PARLEY_MEDIA_TCP_PORT": str(tcp_port),
            "PARLEY_ICE_URLS": ",".join(
                (
                    f"turn:{turn.ip}:{turn.port}?transport=udp",
                    f"turn:{turn.ip}:{turn.port}?transport=tcp",
                    f"turns:{turn.ip}:{turn.tls_port}?transport=tcp",
                )
            ),
            "PARLEY_ICE_SECRET": _SECRET,
        }
        parley = await stack.enter_async_context(
            serve(folder / "data", environment=environment, ports=(port, udp_port))
        )
        entrance = await stack.enter_async_context(contextlib.AsyncExitStack())
        here = await stack.enter_async_context(chromium.launch())
        there = await stack.enter_async_context(chromium.launch(far=net.far, any_certificate=True))
        fox = await stack.enter_async_context(firefox.launch(far=net.far))
        near, far, third = [
            Caller(await browser.page(), parley, identity)
            for identity, browser in (("near", here), ("far", there), ("fox", fox))
        ]
        made = Stage(net, parley, turn, direct, entrance, near, far, third)
        await made.open_entrance()
        for person in (near, far, third):
            await person.page.goto(f"{parley.url}/terms")
        yield made


async def both_ways(person: Caller, near: Caller) -> list[Way]:
    """The person's two connections, once it and the near one see and hear each other."""
    await asyncio.gather(person.sees_and_hears(), near.sees_and_hears())
    return await person.ways()


async def test_behind_blocked_udp_browsers_meet_by_ice_tcp(stage: Stage) -> None:
    await stage.closed("udp", f"tcp:{stage.turn.port}", f"tcp:{stage.turn.tls_port}")
    async with stage.call(stage.far, stage.fox):
        for person in (stage.far, stage.fox):
            for way in await both_ways(person, stage.near):
                assert (way.local["protocol"], way.local["relay"]) == ("tcp", None)
                assert way.remote["protocol"] == "tcp"


async def test_where_udp_passes_ice_tcp_is_not_chosen(stage: Stage) -> None:
    async with stage.call(stage.far, stage.fox):
        for person in (stage.far, stage.fox):
            for way in await both_ways(person, stage.near):
                assert way.remote["protocol"] == "udp"
                assert way.local["relay"] is None


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_where_no_direct_way_is_open_browsers_meet_through_a_relay(
    stage: Stage, transport: str
) -> None:
    also = {"udp": [], "tcp": ["udp"], "tls": ["udp", f"tcp:{stage.turn.port}"]}[transport]
    await stage.closed(*stage.direct, *also)
    people = (stage.far, stage.fox) if transport == "tcp" else (stage.far,)
    async with stage.call(*people):
        for person in people:
            for way in await both_ways(person, stage.near):
                assert (way.local["type"], way.local["relay"]) == ("relay", transport)
                assert way.local["ip"] == stage.turn.ip


async def test_whoever_watches_by_whep_gets_the_relays_too(stage: Stage) -> None:
    await stage.closed("udp", *stage.direct)
    async with stage.call() as room:
        for person in (stage.far, stage.fox):
            try:
                await person.watch(room)
                way = await person.sees_and_hears()
                assert (way.local["type"], way.local["relay"]) == ("relay", "tcp")
            finally:
                await person.leave()


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_network_of_ipv6_alone_will_do(stage: Stage, protocol: str) -> None:
    await stage.closed("ip4", *(["udp"] if protocol == "tcp" else []))
    async with stage.call(stage.far):
        for way in await both_ways(stage.far, stage.near):
            assert (way.remote["protocol"], way.remote["ip"]) == (protocol, stage.net.near_ip6)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_behind_nat_the_announced_address_leads_in(stage: Stage, protocol: str) -> None:
    """The server holds another address; whoever tries that one finds nobody."""
    await stage.net.translate(Nat(outside=_OUTSIDE, inside=stage.net.spare_ip))
    await stage.closed("ip6", stage.net.near_ip, *(["udp"] if protocol == "tcp" else []))
    async with stage.call(stage.far):
        for way in await both_ways(stage.far, stage.near):
            assert (way.remote["protocol"], way.remote["ip"]) == (protocol, _OUTSIDE)


async def settle(stage: Stage, person: Caller) -> None:
    """Wait until both sides see and hear; gaps count from now."""
    await both_ways(person, stage.near)
    for one in (stage.near, person):
        await one.forget_gap()


async def goes_on(stage: Stage, person: Caller, what: str, promise_s: float) -> None:
    """Assert that both sides show new pictures from now on, on the peer connections that there were."""
    people = (stage.near, person)
    first = [(await one.way(receives=True)).frames for one in people]
    deadline = asyncio.get_running_loop().time() + promise_s * STARVED_FACTOR
    while True:
        news = [(await one.way(receives=True)).frames - seen for one, seen in zip(people, first, strict=True)]
        if min(news) > 10:
            break
        assert asyncio.get_running_loop().time() < deadline, f"{what}: {news} pictures"
        await asyncio.sleep(0.1)
    near_s, far_s = [await one.gap_s() for one in people]
    tell(f"{what}: longest gap at the near side {near_s:.2f} s, at the far side {far_s:.2f} s")
    assert max(near_s, far_s) <= promise_s * STARVED_FACTOR
    for one in people:
        assert len(await one.ways()) == 2


async def ufrags(person: Caller) -> list[str | None]:
    """The ICE generations of a person's two connections."""
    return [way.ufrag for way in await person.ways()]


async def test_a_nat_that_forgets_costs_neither_restart_nor_handshake(stage: Stage) -> None:
    await stage.closed("ip6", "tcp")
    await stage.net.translate(Nat(shift=1_000))
    async with stage.call(stage.far):
        await settle(stage, stage.far)
        before = await ufrags(stage.far)
        await stage.net.translate(Nat(shift=2_000))
        await asyncio.sleep(0.3)
        await goes_on(stage, stage.far, "NAT mapping changed, Chromium", CHECK_S)
        assert await ufrags(stage.far) == before


@pytest.mark.parametrize(("name", "promise_s"), [("fox", 1.0), ("far", 3.5)], ids=["firefox", "chromium"])
async def test_a_new_address_costs_a_restart_and_no_handshake(
    stage: Stage, name: str, promise_s: float
) -> None:
    """Firefox notices at once; Chromium is told by the server that nothing comes through."""
    await stage.closed("ip6", "tcp")
    person: Caller = getattr(stage, name)
    async with stage.call(person):
        await settle(stage, person)
        before = await ufrags(person)
        address = stage.net.renumber(next(_hosts))
        await asyncio.sleep(0.3)
        await goes_on(stage, person, f"address changed, {name}", promise_s)
        assert {way.local["ip"] for way in await person.ways()} == {address}
        assert all(one != other for one, other in zip(before, await ufrags(person), strict=True))


async def test_signalling_and_media_lost_together_come_back_together(stage: Stage) -> None:
    await stage.closed("ip6", "tcp")
    async with stage.call(stage.far):
        await settle(stage, stage.far)
        await stage.entrance.aclose()
        stage.net.plug(is_in=False)
        await asyncio.sleep(1.0)
        stage.net.plug(is_in=True)
        address = stage.net.renumber(next(_hosts))
        await stage.open_entrance()
        await goes_on(stage, stage.far, "1 s without network and signalling, then another, Chromium", 4.5)
        assert {way.local["ip"] for way in await stage.far.ways()} == {address}
