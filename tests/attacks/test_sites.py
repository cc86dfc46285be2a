"""Sites of broadcasts: what is no RTMP is refused, and a silent one holds up nothing (rows 24, F5, F6)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.attacks.call import Footprint, call
from tests.attacks.test_secrets import CONFIG, PARTNER
from tests.browser.parley import Parley, serve
from tests.rebroadcast.test_ffmpeg_stays_local import SCHEMES
from tests.support.figures import tell
from tests.support.waiting import until

pytestmark = pytest.mark.slow

FORMS = ("{}://h.example/live/key", "{}:/etc/passwd", "{},,start,0,end,9,,:/etc/passwd")


async def partner_of(parley: Parley) -> str:
    status, made = await parley.api("POST", "/partners", PARTNER)
    assert status == 201, made
    return str(made["id"])


async def test_no_protocol_of_ffmpeg_but_rtmp_is_taken_and_nothing_is_opened(tmp_path: Path) -> None:
    async with serve(tmp_path / "data") as parley, call(parley) as running:
        partner = await partner_of(parley)
        before, server = Footprint.of(parley), psutil.Process(parley.process.pid)
        children = len(server.children(recursive=True))

        async def attack() -> None:
            for scheme in SCHEMES:
                for form in FORMS:
                    body = {"name": "x", "partner": partner, "kind": "rtmp", "url": form.format(scheme)}
                    status, problem = await parley.api("POST", "/destinations", body)
                    assert (status, problem["code"]) == (422, "unprocessable"), body
                    assert "rtmp or rtmps" in problem["detail"], body

        attacking = asyncio.create_task(attack())
        lost = 0
        while not attacking.done():
            lost += await running.talk(0.5)
        await attacking
        assert lost == 0
        assert (await parley.api("GET", "/destinations"))[1]["items"] == []
        assert len(server.children(recursive=True)) == children
        before.assert_not_outgrown(Footprint.of(parley), rss_mib=16, log_lines=400, fds=4)


@contextlib.asynccontextmanager
async def silent_site() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that takes connections and what is said, and never says a word; its port, and what came."""
    said: list[bytes] = []
    open_ends: list[asyncio.StreamWriter] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                said.append(data)
        writer.close()

    site = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield site.sockets[0].getsockname()[1], said
    finally:
        site.close()
        for writer in open_ends:
            writer.transport.abort()
        await site.wait_closed()
        await asyncio.sleep(0.05)


async def test_a_site_that_says_nothing_holds_up_neither_calls_nor_the_api(tmp_path: Path) -> None:
    config = tmp_path / "parley.toml"
    config.write_text(CONFIG)
    arguments = ("--config", str(config))
    async with (
        silent_site() as (port, said),
        serve(tmp_path / "data", arguments=arguments) as parley,
        call(parley) as running,
        aiohttp.ClientSession() as http,
    ):
        partner = await partner_of(parley)
        url = f"rtmp://127.0.0.1:{port}/live"
        body = {"name": "Silent", "partner": partner, "kind": "rtmp", "url": url, "key": "k"}
        _, destination = await parley.api("POST", "/destinations", body)
        started = {"room": running.room, "destinations": [destination["id"]]}
        status, broadcast = await parley.api("POST", "/broadcasts", started)
        assert status == 201, broadcast
        path = f"/broadcasts/{broadcast['id']}"

        async def has_spoken() -> Any:
            return said

        # Composing takes a core for a moment: what is measured is the time in which the site is silent.
        await until(has_spoken, "the handshake's first bytes")
        slowest = 0.0

        async def ask() -> None:
            nonlocal slowest
            while running_for() < 4.0:
                began = time.monotonic()
                async with http.get(f"{parley.url}/healthz") as response:
                    assert response.status == 200
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.05)

        start = time.monotonic()

        def running_for() -> float:
            return time.monotonic() - start

        lost, _ = await asyncio.gather(running.talk(4.0), ask())
        _, found = await parley.api("GET", path)
        tell(f"lost {lost} of 200 packets; the API's slowest answer took {slowest * 1000:.0f} ms")
        assert lost == 0
        assert slowest < 1.0
        assert {one["state"] for one in found["destinations"]} <= {"connecting", "backing_off"}
        began = time.monotonic()
        status, stopped = await parley.api("POST", f"{path}/stop")
        assert (status, stopped["state"]) == (200, "stopped")
        assert time.monotonic() - began < 15
        assert await running.talk(0.3) == 0
