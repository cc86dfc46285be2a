"""What a host's page does with a running recording and a running program: pause, look, volumes, states."""

import pytest

from tests.browser.consent_steps import add_channel, answer, end_broadcast, indicator, no_indicator
from tests.browser.page import until
from tests.browser.test_looks import HOST, check

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

_LABEL = "(id) => document.getElementById(id).getAttribute('aria-label')"
_SHOWN = "(id) => document.getElementById(id).checkVisibility()"
_CHOOSE = """([selector, value]) => {
  const field = document.querySelector(selector);
  if (field.type === 'checkbox') field.checked = value; else field.value = value;
  field.dispatchEvent(new Event('change', { bubbles: true }));
}"""


async def word(person, text):
    """Wait until the indicator says so."""
    await until(
        person.page, "(text) => document.querySelector('.pill-record .pill-word')?.textContent === text", text
    )


async def test_a_recording_is_paused_resumed_and_found_again(parley, join, room):
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    ada = await join("ada", uses={"record": True}, grants=HOST)
    bo = await join("bo", uses={"record": True})
    assert await ada.page.evaluate(_SHOWN, "control-pause") is False
    assert await bo.page.evaluate(_SHOWN, "open-recordings") is False
    await ada.page.click("#control-record")
    for person in (ada, bo):
        await answer(person, "yes")
        await indicator(person, "record", "you are in")
    for words, told in (("Resume recording", "PAUSED"), ("Pause recording", "REC")):
        await ada.page.click("#control-pause")
        await word(bo, told)
        await until(ada.page, f"(words) => ({_LABEL})('control-pause') === words", words)
    assert await bo.page.evaluate(_SHOWN, "control-pause") is False
    await check(ada.page, "room-recording")
    await ada.page.click("#control-record")
    await no_indicator(ada)
    assert await ada.page.evaluate(_SHOWN, "control-pause") is False
    async with ada.page.page.context.expect_page() as opening:
        await ada.page.click("#open-recordings")
    opened = await opening.value
    await opened.wait_for_selector("a.card", timeout=15_000)
    assert "token" not in opened.url
    await opened.close()


async def test_a_program_is_arranged_before_it_starts_and_while_it_runs(parley, join, room):
    channel = f"Channel of {room}"
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    await add_channel(parley, channel)
    ada = await join("ada", uses={"live": True}, grants=HOST)
    bo = await join("bo", uses={"live": True})
    page = ada.page
    await page.click("#control-live")
    await until(page, "() => document.querySelector('.destination') !== null")
    number = await page.evaluate(
        """(name) => [...document.querySelectorAll('.destination')]
             .findIndex((one) => one.textContent.includes(name)) + 1""",
        channel,
    )
    await page.click(f".destination:nth-of-type({number}) input")
    await page.click(".look-box summary")
    await page.choose("#start-layout", "Who speaks is large")
    await page.choose("#start-person", "Bo")
    await page.click("#start-chat")
    await check(page, "studio-start")
    await page.click("dialog .button-primary")
    for person in (ada, bo):
        await answer(person, "yes")
        await indicator(person, "live", "you are in", site="Partner TV")

    _, running = await parley.api("GET", "/broadcasts?limit=1")
    (broadcast,) = running["items"]

    async def look():
        _, seen = await parley.api("GET", f"/broadcasts/{broadcast['id']}")
        return seen["look"]

    began = await look()
    assert (began["layout"], began["person"], began["names"], began["chat"]) == ("speaker", "bo", True, False)
    await page.click("#control-live")
    await until(page, "(name) => document.querySelector('.states')?.textContent.includes(name)", channel)
    await until(page, "() => document.querySelector('.on-air select') !== null")
    await page.evaluate("() => document.querySelector('.on-air .look-box').setAttribute('open', '')")
    await check(page, "studio-running")
    for field, value in (
        (".on-air select[id$=layout]", "grid"),
        (".on-air select[id$=person]", ""),
        (".on-air input[id$=names]", False),
        (".on-air input[data-identity=bo]", "0.5"),
    ):
        await page.evaluate(_CHOOSE, [field, value])
    changed = {"layout": "grid", "person": None, "names": False, "chat": False}
    for _ in range(50):
        now = await look()
        if now["gains"].get("bo") == 0.5:
            break
        await page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 100))")
    assert {name: now[name] or None if name == "person" else now[name] for name in changed} == changed
    assert now["gains"]["bo"] == 0.5
    await page.press("Escape")
    await end_broadcast(ada)
