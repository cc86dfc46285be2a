"""Malformed input at every entry gets a clear error, costs nobody else a packet and makes nothing grow."""

import asyncio
import io
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgpack
import msgspec
import pytest
import pytest_asyncio

from signaling import TokenError
from signaling.messages import METHODS
from signaling.session import INTERNAL_ERROR, INVALID_PARAMS
from signaling.wire import Encoding
from tests.attacks.call import PACKETS_PER_S, Call, Footprint, call, terms_of
from tests.attacks.misfits import misfits, nonsense
from tests.browser.parley import Parley, serve
from tests.sfu.client import CAPTURES
from tests.signaling.test_paths import TRAVERSALS
from tests.signaling.test_tokens import CORPUS, FORGER, KEYS, NOW, Forger
from tests.signaling.test_wire import JSON_BOMBS, MSGPACK_BOMBS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("a running server"),
]

OFFER = (CAPTURES / "chromium-offer-sendonly-av.txt").read_text().replace("\r\n", "\n").replace("\n", "\r\n")
SDP = {"Content-Type": "application/sdp"}


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
    "cut short": b'{"FIELD": ',
    "a number without end": b'{"FIELD": 1e999}',
    "not a number": b'{"FIELD": NaN}',
    "deep": b'{"FIELD": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "not UTF-8": b'{"FIELD": "\xff"}',
    "a surrogate": b'{"FIELD": "\\ud800"}',
    "a large number": b'{"FIELD": 1' + b"0" * 5_000 + b"}",
    "a hundred kilobytes": b'{"FIELD": "' + b"x" * 100_000 + b'"}',
}
"""Bodies that no operation takes; FIELD is one that it has."""

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


TALK_S = 0.5
LOST_MAX = 0.02
"""What is late by a second counts too, and other tests have their share of the machine."""
LIMITS = {
    "PARLEY_LIMITS_JOINS_BURST": "100000",
    "PARLEY_LIMITS_REQUESTS_BURST": "100000",
    "PARLEY_LIMITS_REFUSALS_BURST": "100000",
}
"""Nothing here is refused for coming too often: each kind of input is judged for what it is."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    """A running server without limits for each address."""
    async with serve(tmp_path_factory.mktemp("parley") / "data", environment=LIMITS) as running:
        yield running


async def beside_a_call(parley: Parley, attack: Callable[[Call], Awaitable[None]], *, log_lines: int) -> None:
    """Carries out an attack twice while a call goes on; the second time must leave nothing behind."""
    async with call(parley) as running:
        before = Footprint.of(parley)
        lost = [await during(running, attack)]
        warm = Footprint.of(parley)
        before.assert_not_outgrown(warm, rss_mib=48, log_lines=log_lines, fds=2)
        lost.append(await during(running, attack))
        warm.assert_not_outgrown(Footprint.of(parley), rss_mib=4, log_lines=log_lines)
        assert max(lost) <= LOST_MAX
    log = parley.log.read_text()
    assert "Traceback" not in log
    assert '"level": "error"' not in log


async def during(running: Call, attack: Callable[[Call], Awaitable[None]]) -> float:
    """The share of the call's packets that is lost in an attack and in the moment after it."""
    attacking = asyncio.create_task(attack(running))
    lost = [0]
    while not attacking.done():
        lost.append(await running.talk(TALK_S))
    await attacking
    lost.append(await running.talk(TALK_S))
    return sum(lost) / ((len(lost) - 1) * TALK_S * PACKETS_PER_S)


def assert_is_clear(name: str, status: int, text: str) -> dict[str, Any]:
    """A problem document that says what is wrong; never a failure of ours."""
    assert 400 <= status < 500, (name, status, text)
    problem: dict[str, Any] = json.loads(text)
    assert problem["code"], name
    assert problem["title"], name
    assert 0 < len(problem["detail"]) <= 300, (name, problem)
    assert problem["status"] == status, (name, problem)
    return problem


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
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{parley.url}/api/v1/openapi.json") as response,
    ):
        bodies = list(bodies_of(await response.json()))
    assert len({(method, path) for method, path, *_ in bodies}) >= 16

    async def attack(running: Call) -> None:
        for method, path, field, body in bodies:
            async with running.http.request(
                method, parley.url + path, data=io.BytesIO(body), headers=headers
            ) as response:
                name = f"{method} {path}: {body[:60]!r}"
                assert response.content_type == "application/problem+json", name
                problem = assert_is_clear(name, response.status, await response.text())
                assert problem["code"] in {"invalid_request", "unprocessable", "too_large"}, (name, problem)
                assert field in problem["detail"], (name, problem)

    await beside_a_call(parley, attack, log_lines=len(bodies) + 40)


def bodies_of(document: dict[str, Any]) -> Iterator[tuple[str, str, str, bytes]]:
    """Method, path, field and body of everything that no operation with a JSON body takes."""
    schemas = document["components"]["schemas"]
    definitions = {"components": document["components"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation:
                continue
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = schemas[reference.rpartition("/")[2]]
            concrete = re.sub(r"\{\w+\}", "x1", path)
            field = next(iter(schema["properties"])).encode()
            for body in BODIES.values():
                yield method, concrete, "", body.replace(b"FIELD", field)
            for wrong, value in misfits(schema, definitions):
                yield method, concrete, wrong, json.dumps(value).encode()


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


@dataclass(frozen=True)
class Wrong:
    """A request, and the field that its refusal names; None: the schema allows it, anything but a fault may
    come of it.
    """

    method: str
    params: Any
    field: str | None


def wrong_requests() -> list[Wrong]:
    kinds = [kind for kind, _ in METHODS.values()]
    _, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    requests = []
    for method, (kind, _) in METHODS.items():
        schema, of = definitions[kind.__name__], {"$defs": definitions}
        requests += [Wrong(method, params, field) for field, params in misfits(schema, of)]
        requests += [Wrong(method, params, None) for params in nonsense(schema, of)]
    return requests


@pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())
async def test_params_of_the_websocket_after_the_join(parley: Parley, encoding: Encoding) -> None:
    requests = wrong_requests()
    assert {request.method for request in requests} == METHODS.keys()

    async def attack(running: Call) -> None:
        terms = await terms_of(running.http, parley)
        wrong = list(requests)
        while wrong:
            wrong = await misbehave(running, encoding, wrong, terms["version"])

    await beside_a_call(parley, attack, log_lines=400)


A_SESSION_TAKES = 19
"""Bad requests; one more ends it."""


async def misbehave(
    running: Call, encoding: Encoding, wrong: list[Wrong], terms_version: object
) -> list[Wrong]:
    """Joins and sends as many requests as a session takes; what is left of them."""
    is_json = encoding is Encoding.JSON
    token = running.parley.token(
        running.room, "mallory", grants=("join", "publish", "subscribe", "chat", "moderate")
    )
    join = {"token": token, "accept": {"terms_version": terms_version, "age_18": True}}
    kind = aiohttp.WSMsgType.TEXT if is_json else aiohttp.WSMsgType.BINARY

    def message(number: int, method: str, params: Any) -> bytes:
        value = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        return json.dumps(value).encode() if is_json else msgpack.packb(value)

    async with (
        asyncio.timeout(30),
        running.http.ws_connect(
            f"{running.parley.url}/v1/rtc", protocols=[encoding.value], max_msg_size=0
        ) as socket,
    ):
        await socket._writer.send_frame(message(0, "join", join), kind)
        asked = 0
        async for frame in socket:
            value = json.loads(frame.data) if is_json else msgpack.unpackb(frame.data)
            if value.get("id") != asked:
                continue
            if asked == 0:
                assert "result" in value, value
            else:
                assert_is_told(wrong[asked - 1], value)
            if asked == min(A_SESSION_TAKES, len(wrong)):
                break
            request = wrong[asked]
            asked += 1
            await socket._writer.send_frame(message(asked, request.method, request.params), kind)
        # Whoever was let leave, or removed themselves, was heard that far.
        assert asked > 0
    return wrong[asked:]


def assert_is_told(request: Wrong, answer: dict[str, Any]) -> None:
    """A request that does not fit is refused by its field, and none is a fault."""
    if request.field is None:
        assert answer.get("error", {}).get("code") not in {INTERNAL_ERROR, INVALID_PARAMS}, (request, answer)
        return
    assert answer["error"]["code"] == INVALID_PARAMS, (request, answer)
    assert answer["error"]["message"], request
    assert request.field in answer["error"]["message"], (request, answer)


async def test_tokens(parley: Parley) -> None:
    key = json.loads((parley.data_dir / "dev-key.json").read_text())
    forger = Forger(key["id"], key["secret"], time.time())
    tokens = {name: make(forger) for name, make in CORPUS.items()}
    reasons = {name: reason_of(token, name) for name, token in tokens.items()}

    async def attack(running: Call) -> None:
        for name, token in tokens.items():
            headers = SDP | {"Authorization": f"Bearer {token}"}
            for method, path in TOKEN_ENTRIES:
                url = parley.url + path.format(room=running.room)
                try:
                    async with running.http.request(method, url, data=OFFER, headers=headers) as response:
                        status, text = response.status, await response.text()
                except aiohttp.ClientOSError:
                    # Cut while it still sends.
                    assert name == "a megabyte long", name
                    continue
                if name == "a megabyte long":
                    assert status in {400, 401, 431}, status
                    continue
                assert status == 401, (name, path, text)
                assert assert_is_clear(name, status, text)["detail"] == reasons[name]
            await join_with(running, name, token, reasons[name])

    await beside_a_call(parley, attack, log_lines=5 * len(tokens) + 40)


TOKEN_ENTRIES = (("POST", "/whip/{room}"), ("POST", "/whep/{room}"), ("GET", "/api/v1/rooms"))


def reason_of(token: str, name: str) -> str:
    """Why a token is refused: for the same reason as of a key ring of its own, so every check is reached."""
    match name:
        case "nothing":
            return "Send a token: Authorization: Bearer <token>"
        case "HS with the RSA key's PEM as secret":
            return "The token's key id is not known here"
    with pytest.raises(TokenError) as refused:
        KEYS.verify(CORPUS[name](FORGER), NOW)
    assert token not in refused.value.reason
    return refused.value.reason


async def join_with(running: Call, name: str, token: str, reason: str) -> None:
    """What comes of joining with a bad token: a refusal with its reason, and the end."""
    async with (
        asyncio.timeout(5),
        running.http.ws_connect(f"{running.parley.url}/v1/rtc", protocols=["parley.v1.json"]) as socket,
    ):
        join = {"jsonrpc": "2.0", "id": 1, "method": "join", "params": {"token": token}}
        await socket.send_str(json.dumps(join))
        if name == "a megabyte long":
            await socket.receive()
            assert socket.close_code == 1009
            return
        error = (await socket.receive_json())["error"]
        if name in {"nothing", "nine kilobytes long"}:
            assert error["code"] == INVALID_PARAMS, (name, error)
            assert "$.token" in error["message"], (name, error)
            return
        assert error["data"]["code"] == "unauthorized", (name, error)
        assert error["data"]["reason"] == reason, name
        await socket.receive()
        assert socket.close_code == 4401, name


async def test_urls_and_requests(parley: Parley) -> None:
    port = int(parley.url.rpartition(":")[2])
    bases = ("static/", "r/", "embed/", "whip/", "live/", "terms/", "api/v1/rooms/", "api/v1/recordings/", "")
    tails = (*TRAVERSALS, "%00", "%ff%fe", "%0d%0aSet-Cookie:x", "?" + "a=b&" * 500)
    paths = [f"/{base}{tail}" for base, tail in itertools.product(bases, tails)]
    well_formed = {
        path: f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        for path in paths
    }
    requests = REQUESTS | well_formed

    async def attack(running: Call) -> None:
        for name, request in requests.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request)
                async with asyncio.timeout(8):
                    # The others are not answered to the end, or not closed.
                    answer = await (reader.read() if name in well_formed else reader.read(20_000))
            except ConnectionError:
                assert name in REQUESTS, name
                continue
            finally:
                writer.transport.abort()
            head, _, body = answer.partition(b"\r\n\r\n")
            if name in well_formed:
                status = int(head.split()[1])
                assert 200 <= status < 500, (name, answer[:300])
                if status >= 400:
                    assert_is_clear(name, status, body.decode())
            elif answer:
                assert re.match(rb"HTTP/\d\.\d [234]\d\d ", answer), (name, answer[:300])
            assert b"set-cookie" not in head.lower(), name
            assert b"root:" not in answer, name

    await beside_a_call(parley, attack, log_lines=len(requests) + 40)
