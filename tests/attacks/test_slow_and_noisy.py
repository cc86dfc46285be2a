"""Connections that do not come to their point, and words that would be lines of a log (rows 31, 34, 38)."""

import asyncio
import contextlib
import itertools
import json
import time
from urllib.parse import quote

import aiohttp
import pytest

from tests.attacks.call import Call, Footprint, call, terms_of
from tests.browser.parley import Parley
from tests.support.figures import tell

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

IDLE = 500
STRANGER = "127.0.0.2"
"""Another address of this machine: an address of its own for the server's limits."""

OPENINGS = (
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nv=0",
)
HOSTILE = (
    "line\r\nend",
    "\x1b[31mred\x1b[0m",
    'quote", "event": "server_started',
    "\u202eright to left",
    "\u2028separator",
    "nul\x00",
    "<script>alert(1)</script>",
)


async def join(running: Call, identity: str, name: str | None = None) -> tuple[float, dict[str, object]]:
    """Join by WebSocket and leave; the time until the answer, and the answer."""
    token = running.parley.token(running.room, identity, name=name)
    terms = await terms_of(running.http, running.parley)
    params = {"token": token, "accept": {"terms_version": terms["version"], "age_18": True}}
    began = time.monotonic()
    async with running.http.ws_connect(
        f"{running.parley.url}/v1/rtc", protocols=["parley.v1.json"]
    ) as socket:
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": params})
        answer = await socket.receive_json(timeout=10)
        return time.monotonic() - began, answer


async def test_five_hundred_idle_sockets_cost_a_call_and_a_join_nothing(parley: Parley) -> None:
    port = int(parley.url.rpartition(":")[2])
    async with call(parley) as running:
        before = Footprint.of(parley)
        openings = itertools.cycle(OPENINGS)
        idle: list[asyncio.StreamWriter] = []

        async def attack() -> None:
            for _ in range(IDLE):
                _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
                writer.write(next(openings))
                idle.append(writer)

        try:
            lost, _ = await asyncio.gather(running.talk(2.0), attack())
            assert lost == 0
            times = [(await join(running, f"p{number}"))[0] for number in range(4)]
            tell(f"joins beside {IDLE} idle sockets: {[round(t * 1000) for t in times]} ms")
            assert max(times) < 1.0
            assert await running.talk(0.5) == 0
        finally:
            for writer in idle:
                writer.transport.abort()
            await asyncio.sleep(0.2)
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=48, log_lines=200, fds=8)


async def test_one_address_takes_no_more_connections_than_it_may(parley: Parley) -> None:
    port = int(parley.url.rpartition(":")[2])
    async with call(parley) as running:
        taken: list[asyncio.StreamWriter] = []
        cut = 0
        try:
            for _ in range(1_050):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(STRANGER, 0))
                taken.append(writer)
                if len(taken) > 1_000:
                    with contextlib.suppress(ConnectionError):
                        async with asyncio.timeout(5):
                            assert await reader.read(1) == b""
                    cut += 1
            assert cut == 50
            # Everybody else comes in as before.
            assert (await join(running, "late"))[0] < 1.0
            assert await running.talk(0.3) == 0
        finally:
            for writer in taken:
                writer.transport.abort()
            await asyncio.sleep(0.2)


async def test_a_socket_that_never_joins_is_closed(parley: Parley) -> None:
    async with call(parley) as running:
        began = time.monotonic()
        async with running.http.ws_connect(f"{parley.url}/v1/rtc", protocols=["parley.v1.json"]) as socket:
            message = await socket.receive(timeout=20)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 4408
        assert 4.0 < time.monotonic() - began < 15.0


async def test_whatever_strangers_and_members_say_every_line_of_the_log_is_one_event(parley: Parley) -> None:
    port = int(parley.url.rpartition(":")[2])
    async with call(parley) as running:
        begins = len(parley.log.read_bytes())
        tokens = []
        for number, words in enumerate(HOSTILE):
            await join(running, f"guest{number}", words)
            await join(running, words)
            tokens.append(parley.token(running.room, words))
            for path in (f"/r/{quote(words)}", f"/whip/{quote(words)}", f"/api/v1/rooms/{quote(words)}"):
                headers = {"Authorization": f"Bearer {tokens[-1]}", "User-Agent": "x" + words[:1].strip()}
                with contextlib.suppress(ValueError):
                    async with running.http.get(f"{parley.url}{path}", headers=headers):
                        pass
            async with running.http.get(f"{parley.url}/api/v1/rooms?token={tokens[-1]}"):
                pass
            # Not through a client that would keep the words from the wire.
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            said = words.encode()
            writer.write(
                b"GET /" + said + b" HTTP/1.1\r\nHost: " + said + b"\r\nReferer: " + said + b"\r\n\r\n"
            )
            await asyncio.sleep(0.05)
            writer.transport.abort()
        await running.talk(0.3)
        log = parley.log.read_bytes()[begins:].decode()
    lines = [line for line in log.split("\n") if line]
    assert len(lines) > len(HOSTILE)
    for line in lines:
        event = json.loads(line)
        assert event["event"].replace("_", "").isalnum(), line
        assert event["event"] != "server_started"
    assert not [char for char in log if not char.isprintable() and char != "\n"]
    for token in (*tokens, running.publisher._token, running.viewer._token):
        assert token not in log
        assert token.rpartition(".")[2] not in log
