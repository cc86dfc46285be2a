"""kill -9 of the server in the middle of a call: the pages say so, and come back by themselves."""

import socket
from pathlib import Path

import pytest

from tests.browser import chromium, firefox
from tests.browser.consent_steps import answer, indicator, no_indicator
from tests.browser.page import Capture, until
from tests.browser.parley import free_port, serve
from tests.browser.people import enter

pytestmark = pytest.mark.browser

ROOM = "rejoined"
RED, GREEN = (200, 40, 40), (40, 150, 60)
HOST = ("join", "publish", "subscribe", "chat", "record")
# The server starts within a few seconds; the pages try again at most ten seconds apart.
BACK_WITHIN_S = 40.0

_SAYS = "(words) => document.querySelector('[data-key=connection]')?.textContent.includes(words) ?? false"
_IS_BACK = "() => !document.querySelector('[data-key=connection]')"
_CONSENT = """() => [...document.querySelectorAll('.consent-uses li')]
  .map((use) => use.querySelector('p').textContent)"""


async def test_pages_rejoin_a_server_that_was_killed_and_consent_is_asked_anew(tmp_path: Path) -> None:
    data_dir, ports = tmp_path / "data", (free_port(), free_port(socket.SOCK_DGRAM))
    async with chromium.launch() as browser, firefox.launch(tone_hz=700) as fox:
        pages = [await browser.page(Capture(RED, 440)), await fox.page(Capture(GREEN, 700))]
        async with serve(data_dir, ports=ports) as parley:
            status, _ = await parley.api("POST", "/rooms", {"name": ROOM, "mode": "explicit"})
            assert status == 201
            ada = await enter(
                parley, pages[0], ROOM, "ada", RED, 440, uses={"record": True, "live": False}, grants=HOST
            )
            bo = await enter(parley, pages[1], ROOM, "bo", GREEN, 700, uses={"record": True})
            await ada.meets(bo)
            await ada.page.click("#control-record")
            for person in (ada, bo):
                await answer(person, "yes")
                await indicator(person, "record", "you are in")
            parley.process.kill()
            await parley.process.wait()
            for person in (ada, bo):
                await until(person.page, _SAYS, "The connection to the server is lost")
        async with serve(data_dir, ports=ports):
            for person in (ada, bo):
                await until(person.page, _IS_BACK, within_s=BACK_WITHIN_S)
                await no_indicator(person)
            await ada.meets(bo)
            # A yes of the former server start serves no more; a no does.
            await ada.page.click("#control-consent")
            uses = await ada.page.evaluate(_CONSENT)
            assert uses[:2] == ["No: nothing goes out", "Not answered: nothing goes out"]
            await ada.page.press("Escape")
            await ada.page.click("#control-record")
            for person in (ada, bo):
                await indicator(person, "record", "you are out")
                await answer(person, "yes")
                await indicator(person, "record", "you are in")
