"""What strangers and hostile pages may not: origins, hosts, enumeration, traversal, floods, slow senders."""

import asyncio
import base64
import io
import itertools
import json
import logging
import os
import statistics
import struct
import time
import zlib
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import structlog

from server.listen import Doorkeeper
from server.logging import configure
from signaling import Rate, server_options
from signaling.pages import Assets
from signaling.wire import MAX_MESSAGE_BYTES, Encoding
from tests.signaling.rig import HOST, KEY, Rig, RpcError, offer, rig, until
from tests.signaling.test_wire import JSON_BOMBS, MSGPACK_BOMBS

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Protocol": "parley.v1.json",
}


async def upgrade(house: Rig, **headers: str) -> int:
    """The status of a raw upgrade request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (UPGRADE | headers).items())
    host = "" if "Host" in headers else f"Host: 127.0.0.1:{house.listener.port}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
    try:
        writer.write(f"GET /v1/rtc HTTP/1.1\r\n{host}{lines}\r\n".encode())
        answer = await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.transport.abort()
    return int(answer.split()[1])


# Row 30: cross-site WebSocket hijacking.


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:{port}", 101),
        ("HTTP://127.0.0.1:{port}", 101),
        ("https://ok.example", 101),
        ("https://OK.example:443", 101),
        ("null", 403),
        ("", 403),
        ("https://evil.example", 403),
        ("https://ok.example.evil", 403),
        ("https://evil-ok.example", 403),
        ("https://ok.example@evil.example", 403),
        ("http://ok.example", 403),
        ("https://ok.example:8443", 403),
        ("https://127.0.0.1:{port}", 403),
        ("http://127.0.0.1:1", 403),
        ("http://localhost:{port}", 403),
        ("file://", 403),
        ("https://ok.example, https://evil.example", 403),
    ],
)
async def test_only_listed_origins_may_connect(origin: str, status: int) -> None:
    async with rig(origins=("https://ok.example",)) as house:
        assert await upgrade(house, Origin=origin.format(port=house.listener.port)) == status


async def test_a_program_without_an_origin_may_connect() -> None:
    async with rig() as house:
        assert await upgrade(house) == 101


async def test_without_a_known_subprotocol_there_is_no_upgrade() -> None:
    async with rig() as house:
        assert await upgrade(house, **{"Sec-WebSocket-Protocol": "chat, parley.v0"}) == 400
        assert await upgrade(house, **{"Sec-WebSocket-Protocol": "chat, parley.v1.msgpack"}) == 101


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 101),
        ("127.0.0.1:{port}", 101),
        ("[::1]:{port}", 101),
        ("demo.localhost", 101),
        ("box.lan:{port}", 101),
        ("evil.example", 403),
        ("evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
    ],
)
async def test_a_development_server_answers_to_its_own_names_only(host: str, status: int) -> None:
    async with rig(is_development=True, hosts=("box.lan",)) as house:
        assert await upgrade(house, Host=host.format(port=house.listener.port)) == status


# CORS.


async def test_a_listed_origin_gets_cors_headers_and_others_none() -> None:
    async with rig(origins=("https://ok.example",)) as house:
        for origin, allowed in (("https://ok.example", "https://ok.example"), ("https://evil.example", None)):
            async with house.http.get(f"{house.url}/api/v1/terms", headers={"Origin": origin}) as response:
                assert response.headers.get("Access-Control-Allow-Origin") == allowed
                assert response.headers["Vary"] == "Origin"
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with house.http.options(f"{house.url}/whip/demo", headers=asked) as response:
                assert response.status == (204 if allowed else 403)
                assert response.headers.get("Access-Control-Allow-Origin") == allowed
                if allowed:
                    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
                    assert "Location" in response.headers["Access-Control-Expose-Headers"]
        async with house.http.get(f"{house.url}/", headers={"Origin": "https://ok.example"}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_development_token_is_for_own_pages_of_a_development_server_only() -> None:
    body = {"room": "demo", "moderator": True}
    async with rig(is_development=True) as house:
        own = {"Origin": house.url}
        status, made = await house.request("POST", "/api/v1/dev/tokens", json=body, headers=own)
        assert status == 201
        assert house.services.keys.verify(made["token"], time.time()).identity == made["identity"]
        status, again = await house.request(
            "POST", "/api/v1/dev/tokens", json=body | {"identity": made["identity"]}, headers=own
        )
        assert (status, again["identity"]) == (201, made["identity"])
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            assert (await house.request("POST", "/api/v1/dev/tokens", json=body, headers=headers))[0] == 404
        status, _ = await house.request(
            "POST", "/api/v1/dev/tokens", json=body | {"identity": "root"}, headers=own
        )
        assert status == 422
    async with rig() as house:
        own = {"Origin": house.url}
        assert (await house.request("POST", "/api/v1/dev/tokens", json=body, headers=own))[0] == 404


# Row 36: rooms cannot be found out.


ENUMERATION = (
    ("GET", "/api/v1/rooms/{}"),
    ("GET", "/api/v1/rooms/{}/participants"),
    ("GET", "/api/v1/rooms/{}/participants/ada"),
    ("GET", "/api/v1/rooms/{}/door"),
    ("POST", "/whip/{}"),
    ("POST", "/whep/{}"),
    ("POST", "/whep/{}/ada"),
    ("DELETE", "/whip/{}/sessions/x"),
)


@pytest.mark.parametrize(("method", "path"), ENUMERATION)
async def test_an_unknown_room_and_a_forbidden_one_are_answered_alike(method: str, path: str) -> None:
    async with rig() as house:
        await house.join("ada", room="secret")
        options = {
            "headers": house.bearer("eve", room="lobby", permissions=HOST)
            | {"Content-Type": "application/sdp"},
            "data": offer().encode() if method == "POST" else None,
        }
        answers = [
            await house.request(method, path.format(room), **options) for room in ("secret", "nowhere", "..")
        ]
        assert answers[0][0] == 403
        assert answers[0] == answers[1]
        if path != "/whip/{}":
            assert answers[2][0] in {403, 404, 405}


async def test_the_time_of_a_refusal_does_not_tell_whether_the_room_exists() -> None:
    async with rig(requests=Rate(1e6, 1e6), joins=Rate(1e6, 1e6)) as house:
        await house.join("ada", room="secret")
        headers = house.bearer("eve", room="lobby")

        async def quartile() -> dict[str, float]:
            times: dict[str, list[float]] = {"secret": [], "absent": []}
            for number in range(200):
                for room in sorted(times, reverse=bool(number % 2)):
                    started = time.perf_counter()
                    await house.get(f"/api/v1/rooms/{room}", headers=headers)
                    times[room].append(time.perf_counter() - started)
            return {room: statistics.quantiles(samples, n=4)[0] for room, samples in times.items()}

        # A real difference shows in every round; a busy machine does not.
        for _ in range(4):
            found = await quartile()
            if abs(found["secret"] - found["absent"]) < 0.2 * max(found.values()):
                return
        pytest.fail(f"the time tells: {found}")


# Row 25: no name becomes a path.


TRAVERSALS = (
    "../conftest.py",
    "..%2fconftest.py",
    "%2e%2e/%2e%2e/etc/passwd",
    "sdk/../../pyproject.toml",
    "sdk/..%2f..%2fpyproject.toml",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "sdk/parley.js%00.css",
    "__init__.py",
    ".git/config",
    "sdk",
    "sdk/",
    "x" * 3_000,
    "CON",
    "sdk/./parley.js",
    "//sdk/parley.js",
    "%c0%ae%c0%ae/etc/passwd",
)


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leaves_the_folder_of_the_client(path: str) -> None:
    async with rig() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        try:
            writer.write(f"GET /static/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert answer.split()[1] in {b"404", b"400"}
        assert b"root:" not in answer
        assert b"[project]" not in answer


def test_links_hidden_files_and_other_kinds_are_not_listed(tmp_path: Path) -> None:
    root = tmp_path / "web"
    root.mkdir()
    (tmp_path / "secret.js").write_text("secret")
    (root / "good.js").write_text("good")
    (root / "link.js").symlink_to(tmp_path / "secret.js")
    (root / "folder").symlink_to(tmp_path)
    (root / ".hidden.js").write_text("hidden")
    (root / "code.py").write_text("code")
    assets = Assets(root)
    assert assets.get("good.js") is not None
    for name in ("link.js", "folder/secret.js", ".hidden.js", "code.py", "../secret.js", "", "."):
        assert assets.get(name) is None
    (root / "good.js").unlink()
    (root / "good.js").symlink_to(tmp_path / "secret.js")
    assert assets.get("good.js") is None


@pytest.mark.parametrize(
    "name",
    ["../../x", "..\\", "/abs", "a\0b", "x" * 300, "CON", "\u202eevil", "a/b", "%2e%2e", " ", "a\r\nb"],
)
async def test_a_room_with_such_a_name_is_not_made(name: str) -> None:
    async with rig() as house:
        status, body = await house.request(
            "POST", "/api/v1/rooms", json={"name": name}, headers=house.admin()
        )
        assert status in {400, 422}
        assert body["code"] in {"unprocessable", "invalid_request"}


# Rows 32 and 33: bombs.


@pytest.mark.parametrize("encoding", list(Encoding), ids=lambda encoding: encoding.name.lower())
async def test_a_bomb_closes_its_connection_with_a_code_and_hurts_nobody(encoding: Encoding) -> None:
    is_json = encoding is Encoding.JSON
    kind = aiohttp.WSMsgType.TEXT if is_json else aiohttp.WSMsgType.BINARY
    async with rig(joins=Rate(1e6, 1e6)) as house:
        ada = await house.join("ada")
        for name, bomb in (JSON_BOMBS if is_json else MSGPACK_BOMBS).items():
            socket = await house.http.ws_connect(
                f"{house.url}/v1/rtc", protocols=[encoding.value], max_msg_size=0
            )
            started = time.monotonic()
            await socket._writer.send_frame(bomb, kind)
            async for _ in socket:
                pass
            assert socket.close_code in {1007, 1009}, name
            assert time.monotonic() - started < 2.0, name
            assert (await ada.call("ping"))["now_ms"]


def _frame(payload: bytes, first: int) -> bytes:
    """A masked client frame with a mask of zeros."""
    if len(payload) < 126:
        head = struct.pack(">BB", first, 0x80 | len(payload))
    elif len(payload) < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, len(payload))
    return head + b"\0\0\0\0" + payload


async def _raw_socket(
    house: Rig, extensions: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
    headers = UPGRADE | {"Host": f"127.0.0.1:{house.listener.port}"}
    if extensions:
        headers["Sec-WebSocket-Extensions"] = extensions
    writer.write(
        b"GET /v1/rtc HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode() + b"\r\n"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return reader, writer, answer


async def test_a_deflate_bomb_finds_no_decompressor() -> None:
    deflate = zlib.compressobj(9, wbits=-15)
    bomb = deflate.compress(bytes(50 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    async with rig() as house:
        reader, writer, answer = await _raw_socket(house, "permessage-deflate")
        try:
            assert b"permessage-deflate" not in answer
            started = time.monotonic()
            writer.write(_frame(bomb[:-4], 0xC1))
            closing = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert closing[:1] == b"\x88"
        assert struct.unpack(">H", closing[2:4])[0] in {1002, 1009}
        assert time.monotonic() - started < 2.0


async def test_a_message_over_the_limit_is_closed_with_its_code() -> None:
    async with rig() as house:
        socket = await house.http.ws_connect(f"{house.url}/v1/rtc", protocols=["parley.v1.json"])
        await socket.send_str(" " * (MAX_MESSAGE_BYTES + 1))
        async for _ in socket:
            pass
        assert socket.close_code == 1009


async def test_a_frame_that_claims_exabytes_is_closed() -> None:
    async with rig() as house:
        reader, writer, _ = await _raw_socket(house)
        try:
            writer.write(struct.pack(">BBQ", 0x81, 0x80 | 127, 1 << 62) + b"\0\0\0\0" + b"x" * 1_000)
            closing = await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()
        assert struct.unpack(">H", closing[2:4])[0] in {1002, 1009}


# Row 34: slow and half-open connections.


async def test_a_join_is_quick_beside_five_hundred_idle_sockets() -> None:
    async with rig() as house:
        idle = []
        kinds = itertools.cycle(
            [
                b"",
                b"GET / HT",
                b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                b"POST /whip/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nv=0",
            ]
        )
        try:
            for _ in range(500):
                _, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
                writer.write(next(kinds))
                idle.append(writer)
            for number in range(4):
                started = time.monotonic()
                client = await house.join(f"p{number}")
                assert time.monotonic() - started < 1.0
                await client.close()
        finally:
            for writer in idle:
                writer.transport.abort()
            await until(lambda: not house.listener._runner.server.connections, "all are gone")


async def test_a_request_that_does_not_come_to_its_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    options = server_options() | {"keepalive_timeout": 0.3}
    monkeypatch.setattr("server.listen.server_options", lambda: options)
    async with rig() as house:
        for head in (b"", b"GET / HTTP/1.1\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
            try:
                writer.write(head)
                assert await asyncio.wait_for(reader.read(), 5) == b""
            finally:
                writer.transport.abort()


async def test_a_body_that_does_not_come_is_refused_in_time() -> None:
    async with rig(body_timeout_s=0.2) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.listener.port)
        token = house.bearer()["Authorization"]
        head = f"Host: x\r\nAuthorization: {token}\r\nContent-Type: application/sdp\r\nContent-Length: 5000"
        try:
            writer.write(f"POST /whip/demo HTTP/1.1\r\n{head}\r\n\r\nv=0".encode())
            answer = await asyncio.wait_for(reader.readline(), 5)
        finally:
            writer.transport.abort()
        assert answer.split()[1] == b"408"


async def test_one_address_may_hold_so_many_connections() -> None:
    keeper = Doorkeeper(3, lambda _address: False)
    async with rig(doorkeeper=keeper) as house:
        held = [await asyncio.open_connection("127.0.0.1", house.listener.port) for _ in range(4)]
        try:
            await until(lambda: keeper.refused == 1, "one is refused")
            ended = [await asyncio.wait_for(_ends(reader), 5) for reader, _ in held[3:]]
            assert ended == [True]
        finally:
            for _, writer in held:
                writer.transport.abort()
        await asyncio.sleep(0)
        async with house.http.get(f"{house.url}/healthz") as response:
            assert response.status == 200


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


# Row 35: storms.


async def test_a_join_storm_is_told_to_come_back_and_leaves_room_for_others() -> None:
    async with rig(joins=Rate(per_s=50, burst=100)) as house:
        statuses = [await upgrade(house) for _ in range(300)]
        assert statuses.count(101) >= 100
        assert statuses.count(429) > 50
        status, body = await house.get("/v1/rtc", headers=UPGRADE)
        if status == 429:
            assert body["retry_after_s"] >= 0
        started = time.monotonic()
        while True:
            try:
                client = await house.join("ada")
                break
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 429
                assert int(error.headers["Retry-After"]) >= 1
                await asyncio.sleep(0.05)
        assert time.monotonic() - started < 10.0
        await client.close()


async def test_guessing_tokens_gets_slow() -> None:
    async with rig(failures=Rate(per_s=0.5, burst=5)) as house:
        headers = {"Authorization": "Bearer nonsense"}
        statuses = [(await house.get("/api/v1/rooms", headers=headers))[0] for _ in range(10)]
        assert statuses[:5] == [401] * 5
        assert 429 in statuses[5:]


async def test_too_many_requests_are_told_when_to_come_back() -> None:
    async with rig(requests=Rate(per_s=1, burst=5)) as house:
        answers = [await house.get("/api/v1/site") for _ in range(8)]
        assert [status for status, _ in answers] == [200] * 5 + [429] * 3
        assert answers[-1][1]["code"] == "rate_limited"
        assert (await house.get("/healthz"))[0] == 200


# Bodies, headers, methods.


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    async with rig() as house:
        headers = house.bearer() | {"Content-Type": "application/sdp"}
        status, body = await house.request("POST", "/whip/demo", data=b"x" * 100_000, headers=headers)
        assert (status, body["code"]) == (413, "too_large")

        async def chunks():  # type: ignore[no-untyped-def]
            for _ in range(100):
                yield b"x" * 1_000

        status, _ = await house.request("POST", "/whip/demo", data=chunks(), headers=headers)
        assert status == 413


async def test_large_headers_are_refused() -> None:
    async with rig() as house:
        try:
            status, _ = await house.get("/api/v1/site", headers={"X-Big": "x" * 40_000})
        except aiohttp.ClientError:
            return
        assert status == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"name": ' + b"[" * 60_000, "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"name": 7}', "application/json", 422),
        (b'{"name": "demo"}', "text/plain", 415),
        (b'{"name": "demo", "max_participants": -1}', "application/json", 422),
        (b'{"name": "demo", "video_codecs": ["h265"]}', "application/json", 422),
    ],
)
async def test_a_body_that_does_not_fit_is_a_problem(body: bytes, content_type: str, status: int) -> None:
    async with rig() as house:
        headers = house.admin() | {"Content-Type": content_type}
        answered, problem = await house.request("POST", "/api/v1/rooms", data=body, headers=headers)
        assert answered == status
        assert problem["type"].startswith("urn:parley:problem:")
        assert problem["status"] == status
        assert problem["detail"]


async def test_every_answer_carries_the_security_headers() -> None:
    async with rig() as house:
        for path in (
            "/",
            "/r/demo",
            "/embed/demo",
            "/terms",
            "/api/v1/site",
            "/static/sdk/parley.js",
            "/nowhere",
        ):
            async with house.http.get(house.url + path) as response:
                headers = response.headers
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert "unsafe" not in headers["Content-Security-Policy"]
                assert "aiohttp" not in headers["Server"]
                if path in {"/", "/r/demo", "/terms"}:
                    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
                    assert "camera=(self)" in headers["Permissions-Policy"]


async def test_who_may_frame_the_embed_comes_from_the_configuration() -> None:
    async with (
        rig(frame_ancestors=("https://tv.example",)) as house,
        house.http.get(f"{house.url}/embed/demo") as response,
    ):
        assert "frame-ancestors https://tv.example" in response.headers["Content-Security-Policy"]


async def test_a_room_page_says_nothing_about_the_room() -> None:
    async with rig() as house:
        await house.join("ada", room="secret")
        bodies = [await house.get(f"/r/{room}") for room in ("secret", "nowhere")]
        assert bodies[0] == bodies[1]


async def test_metrics_are_for_this_machine_or_an_administrator() -> None:
    async with rig(trusted_proxies=(ip_network("127.0.0.0/8"),)) as house:
        far = {"X-Forwarded-For": "192.0.2.7"}
        assert (await house.get("/metrics"))[0] == 200
        assert (await house.get("/metrics", headers=far))[0] == 401
        assert (await house.get("/metrics", headers=far | house.bearer()))[0] == 403
        status, text = await house.get("/metrics", headers=far | house.admin())
        assert status == 200
        assert "parley_http_requests_total" in text


async def test_a_forwarded_address_is_believed_from_proxies_only() -> None:
    async def statuses(house: Rig) -> list[int]:
        return [
            (await house.get("/api/v1/site", headers={"X-Forwarded-For": f"192.0.2.{number}, 127.0.0.1"}))[0]
            for number in range(4)
        ]

    limits = {"requests": Rate(per_s=0.001, burst=2)}
    async with rig(**limits) as house:
        assert await statuses(house) == [200, 200, 429, 429]
    async with rig(trusted_proxies=(ip_network("127.0.0.0/8"),), **limits) as house:
        assert await statuses(house) == [200] * 4


# Rows 27, 31, 37, 38: what is logged and shown.


async def test_no_token_secret_identity_or_text_is_in_any_log(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("debug", "json", stream)
    name = "Canary\u00e4Name"
    try:
        async with rig() as house:
            token = house.token("canary-identity")
            client = await house.join("canary-identity", token=token, name=name)
            await client.call("chat", text="canary-chat-text")
            await client.call("publish", sdp=offer())
            resume = client.result["resume"]
            await house.get("/api/v1/rooms/demo/participants/canary-identity", headers=house.admin())
            await house.get(f"/r/demo?token={token}")
            await house.get(f"/static/{token}")
            await house.get("/api/v1/rooms", headers={"Authorization": f"Bearer {token}x"})
            basic = {"Authorization": "Basic " + base64.b64encode(f"app:{KEY.secret}".encode()).decode()}
            assert (await house.get("/api/v1/rooms", headers=basic))[0] == 200
            basic = {"Authorization": "Basic " + base64.b64encode(f"app:{KEY.secret}x".encode()).decode()}
            assert (await house.get("/api/v1/rooms", headers=basic))[0] == 401
            headers = house.bearer("canary-identity") | {"Content-Type": "application/sdp"}
            async with house.http.post(f"{house.url}/whip/demo", data=offer(), headers=headers) as response:
                location = response.headers["Location"]
            await house.request("DELETE", location, headers=headers)
            status, _ = await house.get(
                "/api/v1/rooms", headers={"Referer": "https://x.example/p?token=" + token}
            )
            assert status == 401
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    text = stream.getvalue() + "".join(capfd.readouterr())
    secrets = {
        "token": token,
        "signature": token.rpartition(".")[2],
        "resume": resume,
        "api secret": KEY.secret,
        "session url": location.rpartition("/")[2],
        "identity": "canary-identity",
        "name": name,
        "name, escaped": "Canary\\u00e4Name",
        "chat": "canary-chat-text",
        "ice password": "ice-pwd",
        "address": '"127.0.0.1"',
    }
    for what, value in secrets.items():
        assert value not in text, what
    for line in stream.getvalue().splitlines():
        event = json.loads(line)
        if event["event"] == "http_request_served":
            assert set(event) == ACCESS_FIELDS, event


ACCESS_FIELDS = {
    "event",
    "level",
    "logger",
    "timestamp",
    "address",
    "browser",
    "referrer",
    "part",
    "method",
    "status",
    "duration_ms",
    "size_bytes",
}


HOSTILE_NAMES = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "javascript:alert(1)",
    "Ada\r\n2026-11-22 error fake",
    "\x1b[31mred",
    "\u202emoderator",
    "a\u0000b",
    "\u2066x\u2069",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_a_hostile_name_is_refused_or_told_as_plain_text(name: str) -> None:
    async with rig() as house:
        ada = await house.join("ada")
        try:
            eve = await house.join("eve", name=name)
        except RpcError as refused:
            assert refused.code in {"invalid_request", "unprocessable"}
            assert name not in json.dumps(refused.data)
            return
        assert eve.result["name"].isprintable()
        seen = await ada.hears("participant_joined")
        assert seen["participant"]["name"] == eve.result["name"]
        status, _ = await house.get("/api/v1/rooms/demo/participants", headers=house.admin())
        assert status == 200


@pytest.mark.parametrize("text", ["\x1b[31m", "a\u202eb", "\x00", "\u2066"])
async def test_chat_without_control_and_bidi_characters(text: str) -> None:
    async with rig() as house:
        ada = await house.join("ada")
        with pytest.raises(RpcError) as refused:
            await ada.call("chat", text=text)
        assert refused.value.code in {"invalid_request", "unprocessable"}


async def test_json_is_served_as_json_whatever_it_holds() -> None:
    async with rig() as house:
        await house.join("ada", name="<script>alert(1)</script>")
        async with house.http.get(
            f"{house.url}/api/v1/rooms/demo/participants", headers=house.admin()
        ) as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"


# Row 40: nobody learns another's address.


async def test_no_message_to_others_holds_an_address_of_a_peer() -> None:
    async with rig() as house:
        ada = await house.join("ada")
        bo = await house.join("bo")
        sdp = offer() + "a=candidate:1 1 udp 2113937151 203.0.113.77 50000 typ host\r\n"
        await bo.call("publish", sdp=sdp)
        await ada.hears("track_published")
        offered = await ada.hears("subscribe_offer")
        assert "203.0.113.77" not in json.dumps([offered, ada.told])


def test_the_process_has_no_secret_in_its_arguments() -> None:
    assert KEY.secret not in Path(f"/proc/{os.getpid()}/cmdline").read_text()
