"""Malformed input at every entry gets a clear error, costs nobody else a packet and makes nothing grow."""

import asyncio
import io
import itertools
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgpack
import pytest

from signaling.messages import METHODS
from signaling.wire import Encoding
from tests.attacks.call import Call, Footprint, call, terms_of
from tests.browser.parley import Parley
from tests.sfu.client import CAPTURES
from tests.signaling.test_paths import TRAVERSALS
from tests.signaling.test_tokens import CORPUS
from tests.signaling.test_wire import JSON_BOMBS, MSGPACK_BOMBS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

OFFER = (CAPTURES / "chromium-offer-sendonly-av.txt").read_text().replace("\r\n", "\n").replace("\n", "\r\n")
SDP = {"Content-Type": "application/sdp"}
INTERNAL_ERROR = -32603


def section(number: int) -> str:
    return (
        f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{number}\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=sendonly\r\na=rtcp-mux\r\n"
    )


OFFERS: dict[str, bytes] = {
    "nothing": b"",
    "a line": b"v=0\r\n",
    "no SDP": b"<html>",
    "not UTF-8": OFFER.encode()[:200] + b"\xff\xfe",
    "zeros": bytes(2000),
    "a megabyte": OFFER.encode() + b"a=x:y\r\n" * 150_000,
    "cut short": OFFER.encode()[: len(OFFER) // 2],
    "cut in a fingerprint": OFFER[: OFFER.index("a=fingerprint") + 40].encode(),
    "five hundred sections": (OFFER + "".join(map(section, range(10, 510)))).encode(),
    "fifty rids": OFFER.replace(
        "a=mid:1\r\n", "a=mid:1\r\n" + "".join(f"a=rid:r{n} send\r\n" for n in range(50)), 1
    ).encode(),
    "a ufrag of nothing": re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:", OFFER).encode(),
    "a ufrag with a line end": re.sub(r"a=ice-ufrag:\S+", "a=ice-ufrag:ab\rcd", OFFER).encode(),
    "no fingerprint": re.sub(r"a=fingerprint:\S+ \S+\r\n", "", OFFER).encode(),
    "a fingerprint of letters": re.sub(r"a=fingerprint:.*", "a=fingerprint:sha-256 xyz", OFFER).encode(),
    "no codec of ours": re.sub(r"a=rtpmap:(\d+) \w+", r"a=rtpmap:\1 G729", OFFER).encode(),
    "payload type 4000000000": OFFER.replace("a=rtpmap:111", "a=rtpmap:4000000000").encode(),
    "a port that is none": re.sub(r"m=audio \d+", "m=audio -1", OFFER).encode(),
    "a line of sixty thousand letters": (OFFER + "a=" + "x" * 60_000 + "\r\n").encode(),
    "two sections of one mid": OFFER.replace("a=mid:1", "a=mid:0").encode(),
    "a NUL": OFFER.replace("a=mid:0", "a=mid:\0").encode(),
}

BODIES: dict[str, bytes] = {
    "nothing": b"",
    "cut short": b'{"room": ',
    "a list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "a number": b"1e999",
    "not a number": b'{"room": NaN}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "not UTF-8": b'{"room": "\xff"}',
    "wrong types": b'{"room": [], "name": {}, "identity": 7, "url": [], "id": null, "version": 3}',
    "no known field": b'{"x": 1}',
    "a surrogate": b'{"room": "\\ud800", "name": "\\ud800"}',
    "a large number": b'{"max_participants": 1' + b"0" * 5_000 + b"}",
    "five megabytes": b'{"room": "' + b"x" * 5_000_000 + b'"}',
}

POSTS = ("/rooms", "/tokens", "/recordings", "/broadcasts", "/partners", "/destinations", "/terms")

VALUES: tuple[Any, ...] = (
    None,
    [],
    {},
    "x",
    -1,
    2**63,
    True,
    ["a"] * 50,
    {"a": {"b": 1}},
    "\u202e",
    "x" * 5_000,
)

REQUESTS: dict[str, bytes] = {
    "noise": bytes(range(256)),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a method of noise": b"\xff\xfe / HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /whip/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"POST /whip/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of nonsense": b"POST /whip/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative length": b"POST /whip/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a header with a NUL": b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a header of a megabyte": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "ten thousand headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
    "a path of a megabyte": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute address": b"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def beside_a_call(parley: Parley, attack: Callable[[Call], Awaitable[None]], *, log_lines: int) -> None:
    """Carries out an attack while a call goes on, and looks at what it cost."""
    async with call(parley) as running:
        before = Footprint.of(parley)
        attacking = asyncio.create_task(attack(running))
        lost = 0
        while not attacking.done():
            lost += await running.talk(0.5)
        await attacking
        lost += await running.talk(0.3)
        assert lost == 0
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=48, log_lines=log_lines, fds=2)
    log = parley.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


def assert_is_clear(name: str, status: int, text: str) -> None:
    """A problem document that says what is wrong; never a failure of ours."""
    assert 400 <= status < 500, (name, status, text)
    problem = json.loads(text)
    assert problem["code"], name
    assert problem["title"], name


async def test_sdp(parley: Parley) -> None:
    async def attack(running: Call) -> None:
        terms = await terms_of(running.http, parley)
        paths = {"whip": "publish", "whep": "subscribe"}
        for (path, grant), (name, offer) in itertools.product(paths.items(), OFFERS.items()):
            token = parley.token(running.room, "eve", grants=("join", grant), terms=terms)
            async with running.http.post(
                f"{parley.url}/{path}/{running.room}",
                data=io.BytesIO(offer),
                headers=SDP | {"Authorization": f"Bearer {token}"},
            ) as response:
                assert_is_clear(f"{path}: {name}", response.status, await response.text())

    await beside_a_call(parley, attack, log_lines=6 * len(OFFERS) + 40)


async def test_json_of_the_rest_api(parley: Parley) -> None:
    key = json.loads((parley.data_dir / "dev-key.json").read_text())
    headers = {
        "Authorization": aiohttp.encode_basic_auth(key["id"], key["secret"]),
        "Content-Type": "application/json",
    }

    async def attack(running: Call) -> None:
        for path, (name, body) in itertools.product(POSTS, BODIES.items()):
            url = f"{parley.url}/api/v1{path}"
            async with running.http.post(url, data=io.BytesIO(body), headers=headers) as response:
                assert_is_clear(f"{path}: {name}", response.status, await response.text())

    await beside_a_call(parley, attack, log_lines=len(POSTS) * len(BODIES) + 40)


@pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())
async def test_messages_of_the_websocket_before_the_join(parley: Parley, encoding: Encoding) -> None:
    is_json = encoding is Encoding.JSON
    kind = aiohttp.WSMsgType.TEXT if is_json else aiohttp.WSMsgType.BINARY
    bombs = JSON_BOMBS if is_json else MSGPACK_BOMBS

    async def attack(running: Call) -> None:
        for name, bomb in bombs.items():
            async with running.http.ws_connect(
                f"{parley.url}/v1/rtc", protocols=[encoding.value], max_msg_size=0
            ) as socket:
                await socket._writer.send_frame(bomb, kind)
                async with asyncio.timeout(5):
                    async for _ in socket:
                        pass
                assert socket.close_code in {1007, 1009}, name

    await beside_a_call(parley, attack, log_lines=2 * len(bombs) + 40)


@pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())
async def test_params_of_the_websocket_after_the_join(parley: Parley, encoding: Encoding) -> None:
    sessions = 0

    async def attack(running: Call) -> None:
        nonlocal sessions
        wrong = [(method, value) for method in METHODS for value in VALUES]
        wrong += [(method, dict.fromkeys(FIELDS, value)) for method in METHODS for value in VALUES]
        while wrong:
            sessions += 1
            wrong = await misbehave(running, encoding, wrong)

    await beside_a_call(parley, attack, log_lines=400)
    assert sessions > 1


FIELDS = (
    *("sdp", "text", "to", "track", "muted", "version", "choices", "notice", "identity", "action", "token"),
    *("activity", "uses", "spatial", "enabled", "room", "peer", "answer", "accept", "session", "is_muted"),
)


async def misbehave(running: Call, encoding: Encoding, wrong: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Joins and sends requests until the server has had enough; what is left of them."""
    is_json = encoding is Encoding.JSON
    terms = await terms_of(running.http, running.parley)
    token = running.parley.token(
        running.room, "mallory", grants=("join", "publish", "subscribe", "chat", "moderate")
    )
    accept = {"terms_version": terms["version"], "age_18": True}
    numbers = itertools.count()

    def message(method: str, params: Any) -> bytes:
        value = {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params}
        return json.dumps(value).encode() if is_json else msgpack.packb(value)

    async with running.http.ws_connect(
        f"{running.parley.url}/v1/rtc", protocols=[encoding.value], max_msg_size=0
    ) as socket:
        kind = aiohttp.WSMsgType.TEXT if is_json else aiohttp.WSMsgType.BINARY
        await socket._writer.send_frame(message("join", {"token": token, "accept": accept}), kind)
        started = time.monotonic()
        async for frame in socket:
            value = json.loads(frame.data) if is_json else msgpack.unpackb(frame.data)
            if "id" not in value:
                continue
            if value["id"] == 0:
                assert "result" in value, value
            elif "error" in value:
                assert value["error"]["code"] != INTERNAL_ERROR, value
                assert value["error"]["message"], value
            assert time.monotonic() - started < 30
            if not wrong:
                break
            await socket._writer.send_frame(message(*wrong.pop(0)), kind)
    return wrong


async def test_tokens(parley: Parley) -> None:
    tokens = {name: make() for name, make in CORPUS.items()}

    async def attack(running: Call) -> None:
        for name, token in tokens.items():
            headers = SDP | {"Authorization": f"Bearer {token}"}
            if len(token) > 7_000:
                continue
            async with running.http.post(
                f"{parley.url}/whip/{running.room}", data=OFFER.encode(), headers=headers
            ) as response:
                assert response.status in {401, 429}, (name, response.status)
                assert_is_clear(name, response.status, await response.text())

    await beside_a_call(parley, attack, log_lines=len(tokens) + 40)


async def test_urls_and_requests(parley: Parley) -> None:
    port = int(parley.url.rpartition(":")[2])
    bases = ("static/", "r/", "embed/", "whip/", "live/", "terms/", "api/v1/rooms/", "api/v1/recordings/", "")
    tails = (*TRAVERSALS, "%00", "%ff%fe", "%0d%0aSet-Cookie:x", "?" + "a=b&" * 500)
    paths = [f"/{base}{tail}" for base, tail in itertools.product(bases, tails)]
    requests = REQUESTS | {
        path: f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        for path in paths
    }

    async def attack(running: Call) -> None:
        for name, request in requests.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                answer = await asyncio.wait_for(reader.read(20_000), 8)
            except ConnectionError:
                continue
            finally:
                writer.transport.abort()
            head = answer.split(b"\r\n\r\n")[0]
            if answer:
                assert re.match(rb"HTTP/\d\.\d [234]\d\d ", answer), (name, answer[:300])
            assert b"set-cookie" not in head.lower(), name
            assert b"root:" not in answer, name

    await beside_a_call(parley, attack, log_lines=len(requests) + 40)
