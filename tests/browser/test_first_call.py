"""The first thing that must stand: browsers, started as everyday browsers are, meet in a room."""

import contextlib

import pytest

from tests.browser import chromium, firefox
from tests.browser.page import Capture
from tests.browser.people import enter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

RED, GREEN = (200, 40, 40), (40, 150, 60)


async def test_two_chromiums_see_and_hear_each_other(parley, room, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        people = []
        for identity, colour, tone_hz in (("ada", RED, 440), ("bo", GREEN, 620)):
            browser = await stack.enter_async_context(
                chromium.launch(tmp_path, colour=colour, tone_hz=tone_hz, everyday=True)
            )
            page = await browser.page()
            people.append(await enter(parley, page, room, identity, colour, tone_hz))
        ada, bo = people
        await ada.meets(bo)
        assert ada.page.messages == bo.page.messages == []


async def test_chromium_and_firefox_see_and_hear_each_other(parley, room, browser):
    async with firefox.launch(tone_hz=700, everyday=True) as fox:
        chrome_page = await browser.page(Capture(RED, 440))
        ada = await enter(parley, chrome_page, room, "ada", RED, 440)
        fox_page = await fox.page(Capture(GREEN, 700))
        bo = await enter(parley, fox_page, room, "bo", GREEN, 700)
        await ada.meets(bo)
        await bo.page.fill("#chat-text", "Hello from Firefox")
        await bo.page.press("Enter")
        await bo.says_is_shown("Hello from Firefox")
        await ada.says_is_shown("Hello from Firefox")
        assert ada.page.messages == bo.page.messages == []
        await chrome_page.close()
