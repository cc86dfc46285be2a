"""What a member's data channels can do to others by what goes over them: nothing."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.attacks.call import Call, Footprint, call, terms_of
from tests.browser.parley import Parley
from tests.fuzz import harness
from tests.sfu.transport.sctp import chunk, data, init, packet, parameter, sack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus" / "fuzz_sctp"
FLOOD_S = 2.0
BATCH, PAUSE_S = 20, 0.01


class Member:
    """A member of the call's room with an open data channel, past which it can write packets of its own."""

    def __init__(self, pc: RTCPeerConnection, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.pc = pc
        self.socket = socket
        assert pc.sctp is not None
        self.tag = pc.sctp._remote_verification_tag

    async def send(self, *chunks: bytes, tag: int | None = None) -> None:
        assert self.pc.sctp is not None
        raw = packet(*chunks, tag=self.tag if tag is None else tag)
        with contextlib.suppress(ConnectionError):
            await self.pc.sctp.transport._send_data(raw)


async def call_method(
    socket: aiohttp.ClientWebSocketResponse, method: str, **params: object
) -> dict[str, object]:
    await socket.send_str(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}))
    async with asyncio.timeout(10):
        while True:
            answer = await socket.receive_json()
            if answer.get("id") == method:
                assert "result" in answer, answer
                found: dict[str, object] = answer["result"]
                return found


@contextlib.asynccontextmanager
async def member(running: Call, identity: str) -> AsyncIterator[Member]:
    parley = running.parley
    terms = await terms_of(running.http, parley)
    token = parley.token(running.room, identity, terms=terms)
    async with running.http.ws_connect(f"{parley.url}/v1/rtc", protocols=["parley.v1.json"]) as socket:
        await call_method(socket, "join", token=token)
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            channel = pc.createDataChannel("reliable")
            is_open = asyncio.Event()
            channel.on("open", is_open.set)
            await pc.setLocalDescription(await pc.createOffer())
            answer = await call_method(socket, "publish", sdp=pc.localDescription.sdp)
            await pc.setRemoteDescription(RTCSessionDescription(str(answer["sdp"]), "answer"))
            async with asyncio.timeout(10):
                await is_open.wait()
            yield Member(pc, socket)
        finally:
            await pc.close()


async def counters(running: Call) -> dict[str, int]:
    async with running.http.get(f"{running.parley.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    found = (
        line.split('counter="')[1].split('"} ') for line in lines if 'part="plane",counter="data_' in line
    )
    return {name: int(value) for name, value in found}


async def test_sctp_packets_of_any_kind_cost_a_call_no_packet_and_the_log_no_line(parley: Parley) -> None:
    rng = random.Random(7)
    pieces = [piece for path in sorted(CORPUS.iterdir()) for piece in harness.split(path.read_bytes())]
    lies = [
        init(9, 9),
        init(9, 9, parameter(5, length=0)),
        chunk(130, parameter(13, length=0)),
        sack(0, *[(1, 65_535)] * 250),
        *(data(rng.getrandbits(32), flags=0) for _ in range(20)),
    ]
    async with call(parley) as running, member(running, "mallory") as mallory:
        before = Footprint.of(parley)

        async def flood() -> None:
            loop = asyncio.get_running_loop()
            until = loop.time() + FLOOD_S
            for number in itertools.count():
                if loop.time() > until:
                    return
                piece = bytearray(rng.choice([*pieces, *lies]))
                if piece and piece[0] not in {6, 7, 8, 14}:
                    for _ in range(number % 3):
                        piece[rng.randrange(len(piece))] = rng.getrandbits(8)
                    if piece[0] not in {6, 7, 8, 14}:
                        await mallory.send(bytes(piece), tag=0 if number % 5 == 0 else None)
                if number % BATCH == 0:
                    await asyncio.sleep(PAUSE_S)

        lost, _ = await asyncio.gather(running.talk(FLOOD_S + 0.5), flood())
        assert lost == 0
        counted = await counters(running)
        assert {"data_checksum", "data_broke"} & counted.keys() == set()
        assert sum(counted.values()) > 200, counted
        assert len(counted) > 8, counted
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=16, log_lines=10, fds=4)
    log = parley.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log
