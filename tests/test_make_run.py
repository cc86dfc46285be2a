"""`make run` in a fresh clone: its steps in order, a link that joins, and nothing to do the second time.

Everything is real but pip, which would download what the server stands on and build the core for minutes:
its place is taken by one that notes what it was asked for and installs the command from this checkout.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.browser.parley import free_port
from tests.server.command import to_the_link

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
# As a shell has it: a make that runs these tests does not count.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
PARLEY = Path(sys.executable).parent / "parley"

_PYTHON = """#!/bin/sh
# `-m venv .venv`, with the pip of this test.
set -e
"{python}" "$@" --without-pip
cd "$3"/lib/python3*/site-packages
mkdir pip
cp "{pip}" pip/__main__.py
"""
_PIP = """
import pathlib, sys
with open({noted!r}, "a") as noted:
    print(*sys.argv[1:], file=noted)
if sys.argv[-2:] == ["-e", "."]:
    pathlib.Path(sys.executable).with_name("parley").symlink_to({parley!r})
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the Makefile needs of a checkout."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "sfu" / "native", folder / "sfu" / "native")
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder / name)
    pip, python = tmp_path / "pip.py", tmp_path / "python3"
    pip.write_text(_PIP.format(noted=str(tmp_path / "pip"), parley=str(PARLEY)))
    python.write_text(_PYTHON.format(python=sys.executable, pip=pip))
    python.chmod(0o700)
    return folder


def command(clone: Path, *more: str) -> tuple[str, ...]:
    make = shutil.which("make")
    assert make is not None
    return (make, *more, f"PYTHON={clone.parent / 'python3'}")


@contextlib.asynccontextmanager
async def running(clone: Path, *more: str) -> AsyncIterator[list[str]]:
    """`make run`, to the link that it prints; all lines until then."""
    process = await asyncio.create_subprocess_exec(
        *command(clone, "run", *more),
        cwd=clone,
        env=ENVIRONMENT | {"PARLEY_MEDIA_TCP_PORT": "0"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield await to_the_link(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        await process.communicate()


async def test_a_fresh_clone_installs_builds_and_prints_a_link_that_joins(clone: Path) -> None:
    port, data = free_port(), clone / "data"
    arguments = f"--media-port {free_port(socket.SOCK_DGRAM)} --data-dir {data}"
    serve = f".venv/bin/parley serve --host 127.0.0.1 --port {port}"
    async with running(clone, f"PORT={port}", f"ARGS={arguments}") as lines, aiohttp.ClientSession() as http:
        assert lines[:7] == [
            "tools/system-packages run",
            f"{clone.parent / 'python3'} -m venv .venv",
            ".venv/bin/python -m pip install -q --upgrade pip",
            "touch .venv/python.stamp",
            "tools/system-packages run",
            ".venv/bin/python -m pip install -q -e .",
            "touch .venv/run.stamp",
        ]
        assert " ".join(lines[7].split()) == f"{serve} {arguments}"
        link = lines[-1].removeprefix("Join: ")
        assert re.fullmatch(rf"http://127\.0\.0\.1:{port}/r/demo#token=[\w.-]+", link)
        rtc = await http.ws_connect(f"http://127.0.0.1:{port}/v1/rtc", protocols=["parley.v1.json"])
        params = {"token": link.partition("#token=")[2]}
        await rtc.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": params})
        assert (await rtc.receive_json(timeout=10))["result"]["room"] == "demo"
        await rtc.close()
    pip = ["install -q --upgrade pip", "install -q -e ."]
    assert (clone.parent / "pip").read_text().splitlines() == pip

    def is_done() -> bool:
        asked = command(clone, "-q", ".venv/run.stamp")
        return subprocess.run(asked, cwd=clone, check=False).returncode == 0

    assert is_done()
    os.utime(clone / "pyproject.toml")  # what it asks for changed
    assert not is_done()
