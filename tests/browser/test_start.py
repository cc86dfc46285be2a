"""From the start page of a development server into a room, and the SDK as another site's page uses it."""

import pytest

from tests.browser.page import Capture, until
from tests.browser.people import Person, pass_door

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]


async def test_a_room_is_opened_from_the_start_page_and_shared_by_its_address(parley, browser, room):
    people = []
    for identity, colour, tone_hz in (("host", (200, 40, 40), 440), ("guest", (40, 150, 60), 620)):
        page = await browser.page(Capture(colour, tone_hz))
        if identity == "host":
            await page.goto(parley.url)
            await page.fill("#room", room)
            await page.click("#host")
            await page.click("#open button")
        else:
            await page.goto(f"{parley.url}/r/{room}")
        await pass_door(page, name=identity.title())
        assert await page.evaluate("() => location.hash") == ""
        assert await page.evaluate("() => document.getElementById('control-record').hidden") is (
            identity == "guest"
        )
        own = await page.evaluate("() => document.querySelector('.tile-self').dataset.identity")
        people.append(Person(page, own, colour, tone_hz))
    await people[0].meets(people[1])
    for person in people:
        assert person.page.messages == []
        await person.page.close()


async def test_a_link_of_another_room_is_refused_with_a_reason(parley, browser, room):
    page = await browser.page()
    await page.goto(f"{parley.url}/r/{room}#token={parley.token('elsewhere', 'ada')}")
    await until(page, "() => !document.getElementById('ended').hidden")
    assert await page.evaluate("() => document.getElementById('ended-title').textContent") == (
        "This room does not open"
    )
    assert await page.evaluate("() => document.getElementById('ended-text').textContent.length") > 10
    await page.close()


async def test_the_sdk_says_why_it_is_refused(parley, browser, room):
    page = await browser.page()
    await page.goto(parley.url)
    refusal = """async (token) => {
      const { ParleyError, Room } = await import("/static/sdk/parley.js");
      try {
        await Room.connect({ token });
      } catch (error) {
        return [error instanceof ParleyError, error.code, error.reason.length > 10];
      }
      return null;
    }"""
    assert await page.evaluate(refusal, "not a token") == [True, "unauthorized", True]
    watcher = parley.token(room, "watcher", grants=("subscribe",))
    assert await page.evaluate(refusal, watcher) == [True, "forbidden", True]
    await page.close()
