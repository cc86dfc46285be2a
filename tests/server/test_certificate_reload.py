"""A certificate that is renewed while the server runs."""

import asyncio
import hashlib
import ssl
from pathlib import Path

import aiohttp
import pytest

from server.tls import CHECK_S, self_signed
from tests.server.command import serving
from tests.support.waiting import until

PATIENCE_S = 4 * CHECK_S


@pytest.mark.slow
async def test_a_changed_certificate_serves_at_once_and_ends_no_call(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("live", "second", "third")]
    for folder in folders:
        self_signed(folder, [])
    live, second, third = folders
    shown = [fingerprint(folder) for folder in folders]
    cert, key = live / "self-signed.crt", live / "self-signed.key"
    arguments = ("--tls-cert", str(cert), "--tls-key", str(key), "--log-format", "json")
    async with serving(tmp_path / "data", *arguments) as served, aiohttp.ClientSession() as http:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        socket = await http.ws_connect(f"{served.url}/v1/rtc", protocols=["parley.v1.json"], ssl=context)
        token = served.link.partition("#token=")[2]
        assert (await ask(socket, "join", token=token))["room"] == "demo"

        async def certificate() -> str:
            port = int(served.url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.transport.abort()
            return hashlib.sha256(found).hexdigest()

        async def serves(wanted: str) -> bool:
            return await certificate() == wanted

        def refusals() -> int:
            return served.complaints().count("certificate_not_reloaded")

        assert await serves(shown[0])
        moved(second, live)
        await until(lambda: serves(shown[1]), "the second serves", PATIENCE_S)
        assert "now_ms" in await ask(socket, "ping")

        before = refusals()
        cert.write_text("-----BEGIN CERTIFICATE-----\nnonsense")
        await until(lambda: refusals() > before, "the broken one is told", PATIENCE_S)
        assert str(cert) in served.complaints()
        assert await serves(shown[1])
        assert "now_ms" in await ask(socket, "ping")

        moved(third, live)
        await until(lambda: serves(shown[2]), "the third serves", PATIENCE_S)
        assert "now_ms" in await ask(socket, "ping")
        await socket.close()


def moved(new: Path, live: Path) -> None:
    for name in ("self-signed.key", "self-signed.crt"):
        (new / name).replace(live / name)


def fingerprint(folder: Path) -> str:
    text = (folder / "self-signed.crt").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, **params: object) -> dict[str, object]:
    await socket.send_json({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    while True:
        answer = await socket.receive_json(timeout=5)
        if answer.get("id") == method:
            result: dict[str, object] = answer["result"]
            return result
