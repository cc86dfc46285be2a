"""A stream key goes to its site and nowhere else: no log, file, argument, answer or metric has it."""

import asyncio
import json
import secrets
import time
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.attacks.call import call
from tests.browser.parley import free_port, serve

pytestmark = pytest.mark.slow

CONFIG = """
[broadcast]
allow_private = true
width = 320
height = 180
fps = 10
video_kbps = 200

[log]
level = "debug"
"""
PARTNER = {
    "name": "Partner TV",
    "site": "partner.example",
    "policy_url": "https://partner.example/privacy",
    "terms_version": "2026-11",
    "uses": ["live", "replay"],
}


class Told:
    """Everything that the server says over HTTP."""

    def __init__(self, parley, key):
        self._parley = parley
        self._key = key

    async def __call__(self, method, path, body=None, *, expect=200):
        status, answer = await self._parley.api(method, path, body)
        assert status == expect, answer
        assert self._key not in json.dumps(answer), path
        return answer


def shown(process: psutil.Process, file: str) -> bytes:
    """What `/proc` tells everybody, or the owner, of a process."""
    return Path(f"/proc/{process.pid}/{file}").read_bytes()


async def test_a_stream_key_is_nowhere_to_be_found_while_it_is_in_use(tmp_path: Path) -> None:
    key = f"k4nary-{secrets.token_hex(12)}"
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    nobody = free_port()
    async with (
        serve(tmp_path / "data", arguments=("--config", str(config))) as parley,
        call(parley) as running,
    ):
        told = Told(parley, key)
        partner = await told("POST", "/partners", PARTNER, expect=201)
        destinations = [
            await told(
                "POST",
                "/destinations",
                {"name": name, "partner": partner["id"], "kind": "rtmp"} | where,
                expect=201,
            )
            for name, where in {
                "in the URL": {"url": f"rtmp://127.0.0.1:{nobody}/live/{key}"},
                "apart": {"url": f"rtmp://127.0.0.1:{nobody}/live", "key": key},
            }.items()
        ]
        started = {"room": running.room, "destinations": [one["id"] for one in destinations]}
        broadcast = await told("POST", "/broadcasts", started, expect=201)
        deadline = time.monotonic() + 20
        while True:
            status = await told("GET", f"/broadcasts/{broadcast['id']}")
            if {one["state"] for one in status["destinations"]} == {"backing_off"}:
                break
            assert time.monotonic() < deadline, status
            await asyncio.sleep(0.1)
        await told("GET", "/destinations")
        await told("GET", "/partners")
        await told("GET", "/broadcasts")
        # Refusals quote what was wrong, not what was secret.
        refused = {
            "name": "x",
            "partner": partner["id"],
            "kind": "rtmp",
            "url": f"rtmp://127.0.0.1:22/live/{key}",
        }
        await told("POST", "/destinations", refused, expect=422)
        async with aiohttp.ClientSession() as http, http.get(f"{parley.url}/metrics") as response:
            assert key not in await response.text()
        server = psutil.Process(parley.process.pid)
        for process in (server, *server.children(recursive=True)):
            for file in ("cmdline", "environ"):
                assert key.encode() not in shown(process, file), process
        await told("POST", f"/broadcasts/{broadcast['id']}/stop")
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
