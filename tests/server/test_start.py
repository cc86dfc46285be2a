"""Keys, addresses, and the whole server from the command line."""

import asyncio
import json
import re
import signal
import ssl
import stat
import time
from pathlib import Path

import aiohttp
import pytest

from server.addresses import media_addresses
from server.devkey import FILE, DevKeyError, load_or_create
from signaling import KeyRing
from tests.server.command import parley, serving


def test_a_development_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    key = load_or_create(tmp_path / "data")
    path = tmp_path / "data" / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"id": key.id, "secret": key.secret, "alg": "HS256"}
    assert len(key.secret) >= 48
    assert load_or_create(tmp_path / "data") == key


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id": "a", "secret": "short", "alg": "HS256"}'])
def test_a_broken_key_file_is_not_replaced_silently(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DevKeyError, match="remove it"):
        load_or_create(tmp_path)
    assert (tmp_path / FILE).read_text() == text


def test_a_key_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DevKeyError):
        load_or_create(tmp_path)


def test_media_addresses_are_those_that_others_can_use() -> None:
    held = [
        "127.0.0.1",
        "::1",
        "192.0.2.7",
        "fe80::1%eth0",
        "2001:db8::7",
        "0.0.0.0",
        "192.0.2.7",
        "169.254.1.1",
    ]
    assert media_addresses(held, with_loopback=False) == ("192.0.2.7", "169.254.1.1", "2001:db8::7")
    assert media_addresses([*held, "10.0.0.7"], with_loopback=True)[:2] == ("127.0.0.1", "10.0.0.7")


async def test_serve_prints_a_link_that_joins_and_stops_on_sigterm(tmp_path: Path) -> None:
    async with serving(tmp_path) as served, aiohttp.ClientSession() as http:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/r/demo#token=[\w.-]+", served.link)
        socket = await http.ws_connect(f"{served.url}/v1/rtc", protocols=["parley.v1.json"])
        token = served.link.partition("#token=")[2]
        await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": {"token": token}})
        joined = (await socket.receive_json(timeout=10))["result"]
        assert joined["room"] == "demo"
        code, out = await parley("rooms", "list", "--url", served.url, "--data-dir", str(tmp_path), "--json")
        assert (code, json.loads(out)[0]["name"]) == (0, "demo")
        code, out = await parley("consent", "verify", "--data-dir", str(tmp_path))
        assert (code, "verifies" in out) == (0, True), out
        served.process.send_signal(signal.SIGTERM)
        told = await socket.receive_json(timeout=10)
        assert told["method"] == "goaway"
        assert (await socket.receive(timeout=10)).data == 1001
        async with asyncio.timeout(20):
            assert await served.process.wait() == 0
        assert "leaked" not in served.complaints()


async def test_serve_speaks_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path, "--tls", "self-signed") as served:
        assert served.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "self-signed.crt"))
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.get(served.url + "/healthz") as answer,
        ):
            assert answer.status == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]


async def test_a_generated_key_serves_others_when_it_is_asked_for(tmp_path: Path) -> None:
    arguments = ("--host", "0.0.0.0", "--tls", "self-signed")
    code, out = await parley("serve", *arguments, "--data-dir", str(tmp_path))
    assert code == 2
    assert "needs an API key" in out
    async with serving(tmp_path, *arguments, "--generate-key") as served:
        assert served.url.startswith("https://")
        assert "0.0.0.0" not in served.url


async def test_a_token_from_the_command_line_has_what_was_asked(tmp_path: Path) -> None:
    code, out = await parley(
        *("token", "--room", "demo", "--identity", "ada", "--name", "Ada", "--grant", "publish"),
        *("--use", "live", "--ttl", "60", "--data-dir", str(tmp_path)),
    )
    assert code == 0, out
    key = load_or_create(tmp_path)
    claims = KeyRing([key]).verify(out.strip(), time.time())
    assert sorted(claims.permissions) == ["join", "publish"]
    assert claims.terms is not None
    assert claims.terms.uses == {"live"}
    assert claims.expires_at - claims.not_before == 60


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("serve", "--host", "0.0.0.0"), {}, ("needs an API key", "without TLS")),
        (("serve", "--port", "99999"), {}, ("server.port",)),
        (("serve", "--tls", "maybe"), {}, ("self-signed",)),
        (("serve",), {"PARLEY_KEYS": "app:k4nary-short"}, ("keys", "32 bytes")),
        (("config", "check"), {"PARLEY_SERVER_PROT": "1"}, ("did you mean PARLEY_SERVER_PORT?",)),
        (("config", "check", "--config", "/nowhere.toml"), {}, ("No such file",)),
        (("token", "--room", "../x", "--identity", "a"), {}, ("room",)),
        (("token", "--room", "x", "--identity", "a", "--grant", "root"), {}, ("root",)),
        (("rooms", "list", "--url", "http://127.0.0.1:9"), {}, ("cannot be reached",)),
    ],
)
async def test_what_cannot_be_done_is_told_in_a_line(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], words: tuple[str, ...]
) -> None:
    environment = {"PARLEY_SERVER_DATA_DIR": str(tmp_path)} | environment
    code, out = await parley(*arguments, **environment)
    assert code in {1, 2}
    for word in words:
        assert word in " ".join(out.split()), out
    assert "Traceback" not in out


async def test_the_configuration_is_shown_without_secrets(tmp_path: Path) -> None:
    secret = "k4nary" * 8
    code, out = await parley("config", "show", PARLEY_KEYS=f"app:{secret}", PARLEY_ICE_CREDENTIAL=secret)
    assert code == 0
    assert "k4nary" not in out
    assert 'id = "app"' in out
