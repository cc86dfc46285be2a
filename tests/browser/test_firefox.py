"""Everything that the room does, with somebody who uses Firefox among people with Chromium."""

import pytest

from tests.browser.consent_steps import (
    add_channel,
    answer,
    end_broadcast,
    go_live,
    indicator,
    left_out,
    no_indicator,
    take_back,
)
from tests.browser.page import hears, is_silent, sees, until
from tests.browser.people import act, show_room, tile

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browsers"),
]

WHITE = (240, 240, 240)
VIOLET = (120, 40, 160)
DARK_TAB = (26, 28, 32)
PERSON = ("join", "publish", "subscribe", "chat")
YES_TO_ALL = {"live": True, "record": True}


@pytest.fixture
async def explicit(parley, room) -> str:
    """The test's room, in which each use is asked."""
    status, body = await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    assert status == 201, body
    return room


async def test_mute_and_camera_off_are_seen_both_ways(join, join_fox):
    ada, fox = await join("ada"), await join_fox()
    await ada.meets(fox)
    for one, other in ((ada, fox), (fox, ada)):
        await one.page.click("#control-mic")
        await is_silent(other.page, tile(one, "audio"))
        await until(other.page, "(s) => !document.querySelector(s).hidden", tile(one, ".tile-mic"))
        await one.page.click("#control-camera")
        await until(other.page, "(s) => document.querySelector(s).hidden", tile(one, "video"))
    for one in (ada, fox):
        await one.page.click("#control-mic")
        await one.page.click("#control-camera")
    await ada.meets(fox)
    assert fox.page.messages == []


async def test_another_camera_is_seen_without_a_new_negotiation(join, join_fox):
    ada, fox = await join("ada"), await join_fox()
    await ada.sees(fox)
    count = await fox.page.evaluate("() => connections.length")
    await fox.page.click("#control-settings")
    await fox.page.choose("#set-camera", "Second camera")
    await sees(ada.page, tile(fox, "video"), WHITE)
    assert await fox.page.evaluate("() => connections.length") == count


async def test_screens_are_shared_both_ways_and_chat_goes_on(join, join_fox):
    ada, fox = await join("ada"), await join_fox()
    await fox.page.click("#control-share")
    # What Firefox captures is an empty tab, in its dark theme.
    await sees(ada.page, "#spotlight video", DARK_TAB, tolerance=12)
    assert await ada.page.evaluate("() => document.querySelector('#spotlight video').videoWidth") > 640
    await ada.sees(fox)
    await fox.page.click("#control-share")
    await until(ada.page, "() => document.getElementById('spotlight').hidden")
    await ada.page.click("#control-share")
    await sees(fox.page, "#spotlight video", VIOLET)
    await ada.page.evaluate("() => stopTestScreen()")
    await until(fox.page, "() => document.getElementById('spotlight').hidden")
    for one, text in ((fox, "From Firefox: https://example.org/a"), (ada, "From Chromium")):
        await one.page.click("#control-chat")
        await one.page.fill("#chat-text", text)
        await one.page.press("Enter")
        for reader in (ada, fox):
            await reader.says_is_shown(text)


async def test_a_recording_is_started_asked_refused_taken_back_and_ended(join, join_fox, explicit):
    fox = await join_fox(grants=(*PERSON, "record"), uses=YES_TO_ALL)
    ada = await join("ada")
    await fox.page.click("#control-record")
    await answer(fox, "yes")
    await answer(ada, "no")
    await indicator(fox, "record", "you are in")
    await indicator(ada, "record", "you are out")
    await left_out(fox.page, ada, is_out=True)
    await left_out(ada.page, fox, is_out=False)
    assert await take_back(fox) < 4 * 250
    await indicator(fox, "record", "you are out")
    await left_out(ada.page, fox, is_out=True)
    await fox.page.press("Escape")
    await fox.page.click("#control-record")
    for person in (fox, ada):
        await no_indicator(person)
    await ada.meets(fox)


async def test_a_broadcast_is_started_joined_by_whoever_agrees_and_ended(parley, join, join_fox, explicit):
    await add_channel(parley, "Main channel")
    fox = await join_fox(grants=(*PERSON, "broadcast"), uses=YES_TO_ALL)
    ada = await join("ada", uses={"live": False, "record": False})
    await go_live(fox, "Main channel")
    for person in (fox, ada):
        await answer(person, "yes")
        await indicator(person, "live", "you are in", site="Partner TV")
    assert "Partner TV" in await fox.text(".chat-outside, .pill-live")
    await end_broadcast(fox)
    await no_indicator(ada)


async def test_a_moderator_mutes_and_removes_both_ways(join, join_fox):
    moderator = (*PERSON, "moderate")
    ada, fox = await join("ada", grants=moderator), await join_fox(grants=moderator)
    await ada.meets(fox)
    for one, other in ((ada, fox), (fox, ada)):
        await act(one, other, "Mute for everyone")
        await is_silent(one.page, tile(other, "audio"))
        await until(other.page, "() => Boolean(document.querySelector('[data-key=muted]'))")
        await act(one, other, "Allow to speak")
        await until(other.page, "() => !document.getElementById('control-mic').disabled")
        await other.page.click("#control-mic")
        await one.hears(other)
    await act(ada, fox, "Remove from the room")
    await ada.page.click("dialog .button-alarm")
    await until(fox.page, "() => document.getElementById('ended-title').textContent === 'You were removed'")
    await until(ada.page, "(s) => !document.querySelector(s)", tile(fox))


async def test_a_reload_takes_the_same_place(join, join_fox):
    ada, fox = await join("ada"), await join_fox()
    await ada.meets(fox)
    await fox.page.reload()
    await show_room(fox.page)
    await ada.meets(fox)
    assert await ada.page.evaluate("() => document.querySelectorAll('.tile:not([hidden])').length") == 2


@pytest.mark.wide
async def test_the_embedded_player_plays_who_agreed_in_firefox(parley, fox, join, explicit):
    ada = await join("ada", uses=YES_TO_ALL)
    token = parley.token(explicit, "watcher", grants=("join", "subscribe"), external=True)
    outside = await fox.page(size=(800, 450))
    await outside.goto(f"{parley.url}/embed/{explicit}#token={token}")
    await answer(ada, "yes")
    await sees(outside, "#video", ada.colour)
    await outside.click("#sound")
    await hears(outside, "#video", ada.tone_hz)
    await ada.page.click("#control-chat")
    await ada.page.fill("#chat-text", "Hello outside")
    await ada.page.press("Enter")
    await until(outside, "() => document.getElementById('lines').textContent === 'Ada Hello outside'")
    assert await take_back(ada) < 4 * 250
    await until(
        outside,
        """async () => {
             const video = document.getElementById('video');
             return !video.srcObject || !(await probe.moves(video));
           }""",
    )
    assert await outside.evaluate("() => violations") == []
    await outside.close()
