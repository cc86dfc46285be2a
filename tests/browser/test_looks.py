"""Pages at phone and desktop size, dark and light: nothing overflows, all has a name, keys suffice.

Each test leaves pictures in tests/browser/shots/ for people to look at.
"""

import contextlib
from pathlib import Path

import aiohttp
import pytest

from tests.browser.consent_steps import add_channel, answer, go_live, indicator
from tests.browser.page import Capture, sees, until
from tests.browser.people import enter, pass_door, show_room

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
VIOLET = (120, 40, 160)
HOST = ("join", "publish", "subscribe", "chat", "record", "broadcast", "moderate")

_FAULTS = (Path(__file__).parent / "js" / "looks.js").read_text().partition("\n")[2]


async def check(page, name):
    """Take the picture and list what is wrong."""
    await page.screenshot(name)
    assert await page.evaluate(_FAULTS) == []
    assert page.messages == []


async def stop_broadcasts(parley, room):
    """Stop what goes out of a room: the server admits only so many at once."""
    _, page = await parley.api("GET", "/broadcasts")
    running = [one["id"] for one in page["items"] if one["room"] == room and one["ended_ms"] is None]
    assert running
    for broadcast in running:
        status, body = await parley.api("POST", f"/broadcasts/{broadcast}/stop")
        assert status == 200, body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_start_and_terms_pages(parley, browser, size, scheme):
    page = await browser.page(size=SIZES[size], colour_scheme=scheme)
    await page.goto(parley.url)
    await until(page, "() => !document.getElementById('open').hidden")
    await check(page, f"start-{size}-{scheme}")
    await page.goto(f"{parley.url}/terms")
    await until(page, "() => document.getElementById('text').children.length > 0")
    await check(page, f"terms-{size}-{scheme}")
    await page.close()


@pytest.mark.parametrize("size", SIZES)
async def test_room_from_door_to_end(parley, browser, join, room, size):
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit", "title": "Harbour talk"})
    bo = await join("bo", uses={"record": True, "live": True})
    page = await browser.page(Capture((60, 110, 120), 500, screen=(230, 230, 220)), size=SIZES[size])
    await page.goto(parley.link(room, "grace", grants=HOST))
    await until(page, "() => document.getElementById('preview-video').videoWidth > 0")
    await check(page, f"door-{size}")
    await pass_door(page, name="Grace Hopper", uses={"record": True, "live": False})
    await until(page, "() => document.querySelectorAll('.tile video:not([hidden])').length === 2")
    assert await page.evaluate("() => document.getElementById('room-name').textContent") == "Harbour talk"
    await check(page, f"room-{size}")
    more = await page.evaluate("() => document.getElementById('control-more').checkVisibility()")
    if more:
        await page.click("#control-more")
        await check(page, f"room-menu-{size}")
        await page.page.get_by_role("menuitem", name="Record").click()
    else:
        await page.click("#control-record")
    await until(page, "() => document.querySelector('dialog.notice')")
    await check(page, f"notice-{size}")
    for one in (page, bo.page):
        await one.click("#notice-yes")
    await until(page, "() => document.getElementById('indicator').textContent.includes('you are in')")
    await bo.page.click("#control-chat")
    await bo.page.fill("#chat-text", "Can everyone see https://example.org/slides?")
    await bo.page.press("Enter")
    await bo.page.click("#control-share")
    await sees(page, "#spotlight video", VIOLET)
    await check(page, f"screen-{size}")
    await page.click("#control-consent")
    await page.click("#revoke")
    await until(page, "() => document.querySelector('.measured')")
    await check(page, f"consent-{size}")
    await page.press("Escape")
    if await page.evaluate("() => document.getElementById('side').hidden"):
        await page.click("#control-chat")
    await check(page, f"chat-{size}")
    await page.click("#tab-people")
    await check(page, f"people-{size}")
    if size == "phone":
        await page.click("#side-close")
    await page.click("#control-leave")
    await until(page, "() => !document.getElementById('ended').hidden")
    await check(page, f"ended-{size}")
    await page.close()


@pytest.mark.parametrize(
    ("size", "scheme"), [("phone", "light"), pytest.param("desktop", "dark", marks=pytest.mark.wide)]
)
async def test_one_two_and_four_people_a_live_room_and_its_embed(parley, browser, join, room, size, scheme):
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit", "title": "Harbour talk"})
    await add_channel(parley, f"Channel of {room}")
    page = await browser.page(Capture((60, 110, 120), 500), size=SIZES[size], colour_scheme=scheme)
    grace = await enter(
        parley, page, room, "grace", (60, 110, 120), 500, name="Grace Hopper", uses={"live": True}
    )
    await until(page, "() => !document.getElementById('alone').hidden")
    await check(page, f"one-{size}-{scheme}")
    bo = await join("bo", uses={"live": True}, grants=HOST)
    await grace.sees(bo)
    await check(page, f"two-{size}-{scheme}")
    for identity in ("cy", "di"):
        await grace.sees(await join(identity, uses={"live": False}))
    await check(page, f"four-{size}-{scheme}")
    await go_live(bo, f"Channel of {room}")
    await until(page, "() => document.querySelector('#notice-yes:enabled') !== null")
    await check(page, f"notice-{size}-{scheme}")
    for person in (grace, bo):
        await answer(person, "yes")
        await indicator(person, "live", "you are in", site="Partner TV")
    await check(page, f"live-{size}-{scheme}")
    token = parley.token(room, "watcher", grants=("join", "subscribe"), external=True)
    outside = await browser.page(size=SIZES[size], colour_scheme=scheme)
    await outside.goto(f"{parley.url}/embed/{room}#token={token}")
    await check(outside, f"embed-waiting-{size}-{scheme}")
    for person in (grace, bo):
        await answer(person, "yes")
    await until(outside, "() => document.getElementById('player').dataset.state === 'playing'")
    await bo.page.click("#control-chat")
    await bo.page.fill("#chat-text", "Welcome, everyone out there")
    await bo.page.press("Enter")
    await until(outside, "() => document.getElementById('lines').textContent.includes('Welcome')")
    await check(outside, f"embed-{size}-{scheme}")
    await outside.close()
    await stop_broadcasts(parley, room)
    await page.close()


@contextlib.asynccontextmanager
async def crowd(parley, room, size):
    """People in the room who only listen, without a browser."""
    async with aiohttp.ClientSession() as http:
        for number in range(size):
            token = parley.token(room, f"guest-{number}", name=f"Guest {number}", grants=("join",))
            socket = await http.ws_connect(f"{parley.url}/v1/rtc", protocols=["parley.v1.json"])
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": {"token": token}})
            assert "result" in await socket.receive_json(timeout=10)
        yield


async def test_twelve_people_fit_on_a_phone_and_on_a_desktop(parley, browser, room):
    capture = Capture((90, 90, 130), 300)
    async with crowd(parley, room, 11):
        for name, size in SIZES.items():
            page = await browser.page(capture, size=size)
            await enter(parley, page, room, "grace", (90, 90, 130), 300)
            await until(page, "() => document.querySelectorAll('.tile[data-identity]').length === 12")
            shown = "() => document.querySelectorAll('.tile[data-identity]:not([hidden])').length"
            assert await page.evaluate(shown) >= (9 if name == "phone" else 12)
            await check(page, f"twelve-{name}")
            await page.close()


async def test_the_door_and_the_room_work_without_a_pointer_and_without_motion(parley, browser, room):
    page = await browser.page(Capture((60, 110, 120), 500), reduced_motion=True)
    await page.goto(parley.link(room, "grace", grants=HOST))
    await until(page, "() => document.getElementById('preview-video').videoWidth > 0")
    await until(page, "() => document.activeElement.id === 'name'")
    for letter in "Grace":
        await page.press(letter)
    await tab_to(page, "age")
    await page.press("Space")
    await tab_to(page, "accept")
    await page.press("Space")
    assert await page.evaluate(_IS_IN_SIGHT, "accept")
    await tab_to(page, "join")
    await page.press("Enter")
    await show_room(page)
    assert await tab_stops(page) == [
        *("open-recordings", "copy-link", "tile-menu", "alone-copy"),
        *("tab-chat", "side-close", "chat-lines", "chat-text", "chat-send"),
        *("control-mic", "control-camera", "control-share", "control-record", "control-live"),
        *("control-consent", "control-chat", "control-people", "control-settings", "control-leave"),
    ]
    await tab_to(page, "control-mic")
    await page.press("Enter")
    await until(page, "() => document.getElementById('control-mic').getAttribute('aria-pressed') === 'false'")
    await tab_to(page, "control-consent")
    await page.press("Enter")
    await until(page, "() => document.querySelector('dialog[open]').contains(document.activeElement)")
    await page.press("Escape")
    await until(page, "() => document.activeElement.id === 'control-consent'")
    await tab_to(page, "control-people")
    await page.press("Enter")
    await until(page, "() => document.activeElement.id === 'tab-people'")
    await page.press("ArrowLeft")
    await until(page, "() => document.activeElement.id === 'tab-chat'")
    await until(page, "() => document.getElementById('tab-chat').getAttribute('aria-selected') === 'true'")
    await page.evaluate("() => document.querySelector('.tile-menu').focus()")
    await page.press("Enter")
    await until(page, "() => document.activeElement.getAttribute('role') === 'menuitemcheckbox'")
    await page.press("Escape")
    await until(page, "() => document.activeElement.className === 'tile-menu'")
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    assert await page.evaluate(moving) == 0
    await page.close()


# Whether an element can be seen where it is: nothing that stays in place covers it.
_IS_IN_SIGHT = """(id) => {
  const element = document.getElementById(id);
  const { left, top, width, height } = element.getBoundingClientRect();
  const found = document.elementFromPoint(left + width / 2, top + height / 2);
  return element === found || element.contains(found);
}"""


async def tab_stops(page):
    """What Tab reaches, in order, from the start of the page to its end."""
    await page.evaluate("() => { document.activeElement.blur(); getSelection().removeAllRanges(); }")
    stops = []
    for _ in range(60):
        await page.press("Tab")
        stop = await page.evaluate("() => document.activeElement.id || document.activeElement.className")
        if stop in {"", *stops[:1]}:
            return stops
        stops.append(stop)
    raise AssertionError(f"Tab never comes to an end: {stops}")


async def tab_to(page, element_id):
    """Press Tab until the element has the focus."""
    for _ in range(40):
        await page.press("Tab")
        if await page.evaluate("() => document.activeElement.id") == element_id:
            return
    raise AssertionError(f"{element_id} is not reached by Tab")
