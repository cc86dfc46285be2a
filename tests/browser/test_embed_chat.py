"""Chat in the embed of a partner's page: it goes with its author's consent, and names are shown whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.consent_steps import answer
from tests.browser.embedded import Show, on_air
from tests.browser.page import until
from tests.support.promises import assert_promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

CUT_S = {"whep": 0.25, "hls": 0.5}
_PLAYS = "() => document.getElementById('player').dataset.state === 'playing'"
_LINES = "() => [...document.querySelectorAll('#lines li')].map(({ textContent }) => textContent)"
_NOTE_ENDS = """() => {
  const ends = (globalThis.ends = {});
  new MutationObserver((changes) => {
    const removed = changes.flatMap(({ removedNodes }) => [...removedNodes]);
    for (const { textContent } of removed) ends[textContent] ??= Date.now();
  }).observe(document.getElementById("lines"), { childList: true });
}"""
_SAY = """(text) => {
  const field = document.getElementById("chat-text");
  field.value = text;
  field.form.requestSubmit();
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def show(parley, join, room) -> AsyncIterator[Show]:
    async with on_air(parley, join, room) as running:
        status, _ = await parley.api("PATCH", f"/broadcasts/{running.broadcast}", {"chat": False})
        assert status == 200
        yield running


async def watch(page, show, play):
    """Open the embed; from now on it is noted when lines go."""
    await page.goto(f"{show.url}#play={play}")
    await page.evaluate(_NOTE_ENDS)
    await until(page, _PLAYS, within_s=30)
    # The feed of a viewer begins a moment after the picture.
    await asyncio.sleep(0.5)


async def say(person, text):
    await person.page.click("#control-chat")
    await person.page.evaluate(_SAY, text)
    await person.page.click("#control-chat")


async def reads(page, *lines):
    await until(page, f"(wanted) => wanted.every((line) => ({_LINES})().includes(line))", list(lines))


async def ended_ms(page, line):
    return await until(page, "(line) => globalThis.ends[line]", line)


async def revoked(person, _show):
    await person.page.click("#control-consent")
    await until(person.page, "() => document.getElementById('revoke')")
    return await person.page.evaluate(
        "() => { document.getElementById('revoke').click(); return Date.now(); }"
    )


async def removed(person, show):
    now_ms = await person.page.evaluate("() => Date.now()")
    status, _ = await show.parley.api(
        "POST", f"/rooms/{show.room}/participants/{person.identity}/actions", {"action": "remove"}
    )
    assert status < 300
    return now_ms


@pytest.mark.parametrize(("play", "way"), [("whep", revoked), ("whep", removed), ("hls", revoked)])
async def test_what_somebody_wrote_goes_from_the_partners_page_with_their_grant(
    browser, show, join, play, way
):
    bob = await join("bob", uses={"live": True})
    await answer(bob, "yes")
    page = await browser.page()
    try:
        await watch(page, show, play)
        await say(show.ada, "of ada")
        await say(bob, "of bob")
        await reads(page, "Ada of ada", "Bob of bob")
        began_ms = await way(bob, show)
        taken_s = (await ended_ms(page, "Bob of bob") - began_ms) / 1000
        assert_promised(
            f"until a line of somebody who {way.__name__} is gone by {play}", taken_s, CUT_S[play]
        )
        if play == "whep":
            assert "Ada of ada" in await page.evaluate(_LINES)
    finally:
        await page.close()


@pytest.mark.parametrize("play", ["whep", "hls"])
async def test_a_name_with_a_colon_is_shown_whole(browser, show, join, play):
    carol = await join("carol", name="Q: Carol", uses={"live": True})
    await answer(carol, "yes")
    page = await browser.page()
    try:
        await watch(page, show, play)
        await say(carol, "A: so it is")
        await reads(page, "Q: Carol A: so it is")
        assert await page.evaluate("() => document.querySelector('#lines b').textContent") == "Q: Carol"
    finally:
        await page.close()
