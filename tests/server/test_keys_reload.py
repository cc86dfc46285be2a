"""API keys that are taken away or added while the server runs; a hangup of the terminal ends it as before."""

import asyncio
import json
import os
import pty
import secrets
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from bench.studio.peer import RtpPeer
from policy import Permission
from server.terminal import has_terminal
from signaling import ApiKey, mint
from tests.server.command import ENVIRONMENT, serving
from tests.support.waiting import until

pytestmark = pytest.mark.slow

EFFECT_S = 1.0
MAY = frozenset({Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE})


def write(path: Path, *keys: ApiKey) -> None:
    path.write_text("".join(f'[[keys]]\nid = "{key.id}"\nsecret = "{key.secret}"\n' for key in keys))


def token_of(key: ApiKey, identity: str) -> str:
    now = time.time()
    return mint(key, identity=identity, room="demo", permissions=MAY, now=now, ttl_s=600)


class Caller:
    """Somebody in the room by WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, method: str, **params: object) -> dict[str, object]:
        await self.socket.send_json({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        while True:
            answer = await self.socket.receive_json(timeout=5)
            if answer.get("id") == method:
                return dict(answer)

    async def ends(self) -> tuple[str, int | None]:
        """What it is told at its end, and the code that closes it."""
        reason = ""
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return reason, self.socket.close_code
            told = json.loads(message.data)
            if told.get("method") == "removed":
                reason = told["params"]["reason"]


async def test_a_key_that_is_taken_away_ends_its_tokens_and_their_stays_and_nobody_elses(
    tmp_path: Path,
) -> None:
    config = tmp_path / "parley.toml"
    ours, theirs, third = (ApiKey(name, secrets.token_hex(24)) for name in ("ours", "theirs", "third"))
    write(config, ours, theirs)
    async with (
        serving(tmp_path / "data", "--config", str(config), "--log-format", "json") as served,
        aiohttp.ClientSession() as http,
    ):

        async def joined(key: ApiKey, identity: str) -> Caller:
            caller = Caller(await http.ws_connect(f"{served.url}/v1/rtc", protocols=["parley.v1.json"]))
            answer = await caller.ask("join", token=token_of(key, identity))
            assert "result" in answer, answer
            return caller

        async def status(key: ApiKey) -> int:
            basic = aiohttp.encode_basic_auth(key.id, key.secret)
            async with http.get(f"{served.url}/api/v1/rooms", headers={"Authorization": basic}) as response:
                return response.status

        def told(event: str) -> bool:
            return event in served.complaints()

        ada, bob = await joined(ours, "ada"), await joined(theirs, "bob")
        camera = RtpPeer(f"{served.url}/whip/demo", token_of(theirs, "camera"))
        await camera.connect(http)
        assert [await status(key) for key in (ours, theirs, third)] == [200, 200, 401]

        write(config, ours, third)
        began = time.monotonic()
        served.process.send_signal(signal.SIGHUP)
        assert await bob.ends() == ("token_expired", 4401)
        assert time.monotonic() - began < 4 * EFFECT_S

        async def alone() -> bool:
            headers = {"Authorization": aiohttp.encode_basic_auth(ours.id, ours.secret)}
            url = f"{served.url}/api/v1/rooms/demo/participants"
            async with http.get(url, headers=headers) as response:
                people = [item["identity"] for item in (await response.json())["items"]]
            return people == ["ada"]

        await until(alone, "the camera of the same key is gone too")
        await camera.close()
        assert [await status(key) for key in (ours, theirs, third)] == [200, 401, 200]
        again = Caller(await http.ws_connect(f"{served.url}/v1/rtc", protocols=["parley.v1.json"]))
        refused = await again.ask("join", token=token_of(theirs, "bob"))
        assert refused["error"]["data"]["code"] == "unauthorized"  # type: ignore[index]
        assert "result" in await ada.ask("ping")

        config.write_text("[[keys]]\nid = 'ours'\n")
        served.process.send_signal(signal.SIGHUP)
        await until(lambda: told("keys_not_reloaded"), "a configuration that cannot be used is told")
        assert [await status(key) for key in (ours, theirs, third)] == [200, 401, 200]
        assert "result" in await ada.ask("ping")
        assert ours.secret not in served.complaints()
        await ada.socket.close()
        await again.socket.close()


async def test_a_server_ends_with_its_terminal(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    places = ("--port", "0", "--media-port", "0", "--data-dir", str(tmp_path))
    code = (
        "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "from server.cli import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "serve", *places, stdin=slave, stdout=slave, stderr=slave, env=ENVIRONMENT
    )
    os.close(slave)
    said = b""
    try:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while b"Join: " not in said:
                said += await loop.run_in_executor(None, os.read, master, 4096)
        os.close(master)
        master = -1
        async with asyncio.timeout(20):
            await process.wait()
    finally:
        if master >= 0:
            os.close(master)
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_process_of_a_session_without_a_terminal_has_none() -> None:
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(int(has_terminal()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
