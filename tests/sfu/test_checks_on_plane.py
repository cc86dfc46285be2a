"""Who answers a connected peer's checks: the core, for as long as nothing but repetitions come."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sfu import CodecPolicy, MediaPlane, PeerFailed
from sfu.sdp import parse, parse_fragment
from sfu.transport.stun import binding_request, parse_stun
from tests.sfu.client import MediaClient
from tests.sfu.room import CONFIG, Room

CONSENT_S = 4.0
EVERY_S = 0.2


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """A room on one worker whose peers' consent ends soon."""
    plane = await MediaPlane.start(replace(CONFIG, consent_timeout_s=CONSENT_S))
    made = Room(plane, plane.router("r", CodecPolicy()))
    async with asyncio.TaskGroup() as group:
        group.create_task(made.read())
        yield made
        await made.close()
        await plane.close()


async def counted(room: Room, name: str) -> int:
    return (await room.plane.stats()).workers[0][name]


class Checker:
    """Sends checks over a client's wire with what the server's description says."""

    def __init__(self, client: MediaClient, ufrag: str | None, pwd: str | None) -> None:
        self._client, self._ufrag, self._pwd = client, ufrag or "", pwd or ""

    @classmethod
    def of(cls, client: MediaClient, description: str) -> "Checker":
        media = parse(description).media[0]
        return cls(client, media.ice_ufrag, media.ice_pwd)

    async def ask(self) -> None:
        """Send one and hear its answer."""
        transaction = os.urandom(12)
        self._client.wire.send(
            binding_request(
                transaction,
                f"{self._ufrag}:{self._client.ufrag}",
                self._pwd,
                priority=1,
                tie_breaker=1,
                use_candidate=True,
            )
        )
        while True:
            data = await self._client.wire.receive(2.0)
            assert data is not None, "no answer"
            if data[0] < 4 and parse_stun(data).transaction == transaction:
                assert parse_stun(data).is_authentic(self._pwd)
                return


@pytest.mark.slow
async def test_the_core_keeps_a_settled_peer_connected_and_silence_ends_it(room: Room) -> None:
    client, answer = await room.publisher()
    checker = Checker.of(client, answer.sdp)
    await until_answered_by_core(room, checker)
    before = await counted(room, "stun_delivered")
    for _ in range(int(1.5 * CONSENT_S / EVERY_S)):
        await checker.ask()
        await asyncio.sleep(EVERY_S)
    assert await counted(room, "stun_delivered") == before
    assert await counted(room, "stun_answered") >= 1.5 * CONSENT_S / EVERY_S
    assert not room.of(PeerFailed)
    silent_since = asyncio.get_running_loop().time()
    while not room.of(PeerFailed):
        assert asyncio.get_running_loop().time() - silent_since < 4 * CONSENT_S
        await asyncio.sleep(0.05)
    assert room.of(PeerFailed)[0].reason == "consent_lost"
    assert asyncio.get_running_loop().time() - silent_since > CONSENT_S / 2


async def test_an_ice_restart_takes_the_checks_back_until_it_is_done(room: Room) -> None:
    client, answer = await room.publisher()
    checker = Checker.of(client, answer.sdp)
    await until_answered_by_core(room, checker)
    reply = await room.router.restart(answer.peer, "a=ice-ufrag:anew\r\na=ice-pwd:0123456789abcdef012345\r\n")
    before = await counted(room, "stun_delivered")
    await checker.ask()
    assert await counted(room, "stun_delivered") == before + 1
    told = parse_fragment(reply)
    renewed = Checker(client, told.ufrag, told.pwd)
    await renewed.ask()
    answered = await counted(room, "stun_answered")
    while await counted(room, "stun_answered") == answered:
        await renewed.ask()


async def until_answered_by_core(room: Room, checker: Checker) -> None:
    """Connected and lent: the first checks may still be Python's."""
    while await counted(room, "stun_answered") == 0:
        await checker.ask()
