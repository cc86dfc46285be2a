"""`make run HOST=0.0.0.0`: the links that it prints, opened over HTTPS on the machine's own address."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.browser.page import Capture, until
from tests.browser.parley import free_port
from tests.browser.people import Person, pass_door

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browsers"),
]

ROOT = Path(__file__).parents[2]
RED, GREEN, BLUE = (200, 40, 40), (40, 150, 60), (50, 70, 210)


@dataclass(frozen=True)
class Links:
    """What `make run` printed."""

    join: str
    invitation: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def links(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Links]:
    """A server that `make run HOST=0.0.0.0` serves; what is installed counts as installed."""
    make = shutil.which("make")
    assert make is not None
    arguments = (
        f"--media-port {free_port(socket.SOCK_DGRAM)} --data-dir {tmp_path_factory.mktemp('lan') / 'data'}"
    )
    process = await asyncio.create_subprocess_exec(
        *(make, "-s", "-o", ".venv/run.stamp", "run"),
        *("HOST=0.0.0.0", f"PORT={free_port()}", f"ARGS={arguments}"),
        cwd=ROOT,
        env={**os.environ, "PARLEY_MEDIA_TCP_PORT": "0"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    said: dict[str, str] = {}
    try:
        async with asyncio.timeout(60):
            while "Join" not in said:
                line = (await process.stdout.readline()).decode()
                assert line, f"make run ended after {said}"
                name, _, link = line.strip().partition(": ")
                said[name] = link
        yield Links(said["Join"], said["Invite others"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        await process.communicate()


async def test_whoever_opens_the_printed_links_meets_over_https(links, browser, fox):
    for link in (links.join, links.invitation):
        address = re.fullmatch(r"https://\[?([\d.]+|[0-9a-f:]+)\]?:\d+/r/demo#token=[\w.-]+", link)
        assert address is not None
        assert not address[1].startswith("127.")
    pages = [
        await browser.page(Capture(RED, 440)),
        await fox.page(Capture(GREEN, 700)),
        await browser.page(Capture(BLUE, 860)),
    ]
    people = []
    for page, link, colour, tone_hz in zip(
        pages,
        (links.join, links.invitation, links.invitation),
        (RED, GREEN, BLUE),
        (440, 700, 860),
        strict=True,
    ):
        await page.goto(link)
        await pass_door(page, name=f"Somebody {tone_hz}")
        assert await page.evaluate("() => [isSecureContext, sockets[0].url.startsWith('wss:')]") == [
            True,
            True,
        ]
        own = await page.evaluate("() => document.querySelector('.tile-self').dataset.identity")
        people.append(Person(page, own, colour, tone_hz))
    host, guest, other = people
    assert host.identity == "host"
    assert re.fullmatch("guest-[0-9a-f]{8}", guest.identity)
    assert guest.identity != other.identity
    for one, two in ((host, guest), (guest, other), (other, host)):
        await one.meets(two)
    assert [page.messages for page in pages] == [[], [], []]
    for page in pages:
        await page.close()


async def test_a_moderator_copies_an_invitation_and_nobody_else_is_offered_one(links, browser):
    page = await browser.page(Capture(RED, 440))
    await page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto(links.join)
    await pass_door(page, name="Host")
    await page.click("#copy-link")
    copied = await until(
        page, "async () => (await navigator.clipboard.readText()).match(/^https:.*#token=.*/)?.[0]"
    )
    guest = await browser.page()
    await guest.goto(copied)
    await pass_door(guest, name="Guest", watch=True)
    assert await guest.evaluate("() => document.getElementById('copy-link').hidden")
    for one in (page, guest):
        await one.close()
