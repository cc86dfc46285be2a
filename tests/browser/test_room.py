"""What people do in a room, in Chromium through the real server."""

import pytest

from tests.browser.page import hears, is_silent, sees, until
from tests.browser.people import act, show_room, tile
from tests.browser.proxy import through_proxy

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

WHITE = (240, 240, 240)
VIOLET = (120, 40, 160)
SECOND_HZ = 1400
MODERATOR = ("join", "publish", "subscribe", "chat", "moderate")

_LAST_SPEAKER = """() => {
  const { value, label } = [...document.querySelectorAll("#set-speaker option")].at(-1);
  return { id: value, label };
}"""
_PLAYS_THROUGH = """([selector, id]) => {
  const playing = [...document.querySelectorAll(selector)];
  return id !== "" && playing.length > 0 && playing.every((audio) => audio.sinkId === id);
}"""


async def test_chat_reaches_everyone_and_later_comers(join):
    ada, bo = await join("ada"), await join("bo")
    await ada.page.click("#control-chat")
    await ada.page.fill("#chat-text", "See https://example.org/agenda, please")
    await ada.page.press("Enter")
    for person in (ada, bo):
        await person.says_is_shown("See https://example.org/agenda, please")
    link = "() => { const a = document.querySelector('.line-text a'); return [a.href, a.rel, a.target]; }"
    assert await bo.page.evaluate(link) == [
        "https://example.org/agenda",
        "nofollow noopener noreferrer",
        "_blank",
    ]
    late = await join("late")
    await late.says_is_shown("See https://example.org/agenda, please")
    assert await late.page.evaluate("() => document.querySelectorAll('.line-delete').length") == 0
    await ada.page.evaluate("() => document.querySelector('.line-delete').click()")
    for person in (ada, bo, late):
        await until(person.page, "() => document.querySelectorAll('#chat-lines li').length === 0")


async def test_mute_is_heard_and_shown(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.hears(ada)
    await ada.page.click("#control-mic")
    await is_silent(bo.page, tile(ada, "audio"))
    await until(bo.page, "(s) => !document.querySelector(s).hidden", tile(ada, ".tile-mic"))
    await ada.page.click("#control-mic")
    await bo.hears(ada)
    await until(bo.page, "(s) => document.querySelector(s).hidden", tile(ada, ".tile-mic"))


async def test_camera_off_shows_initials_and_on_again_the_picture(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.sees(ada)
    await ada.page.click("#control-camera")
    await until(bo.page, "(s) => document.querySelector(s).hidden", tile(ada, "video"))
    await ada.page.click("#control-camera")
    await bo.sees(ada)


async def test_another_camera_is_seen_without_a_new_negotiation(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.sees(ada)
    count = await ada.page.evaluate("() => connections.length")
    await ada.page.click("#control-settings")
    await ada.page.choose("#set-camera", "Second camera")
    await sees(bo.page, tile(ada, "video"), WHITE)
    assert await ada.page.evaluate("() => connections.length") == count


async def test_another_microphone_is_heard_without_a_new_negotiation(join):
    ada, bo = await join("ada", second_tone_hz=SECOND_HZ), await join("bo")
    await bo.hears(ada)
    count = await ada.page.evaluate("() => connections.length")
    await ada.page.click("#control-settings")
    await ada.page.choose("#set-microphone", "Second microphone")
    await hears(bo.page, tile(ada, "audio"), SECOND_HZ)
    await ada.page.choose("#set-microphone", "Test microphone")
    await bo.hears(ada)
    assert await ada.page.evaluate("() => connections.length") == count


async def test_another_speaker_plays_all_who_are_there_and_who_come(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.hears(ada)
    await bo.page.click("#control-settings")
    offered = "() => document.getElementById('set-speaker').checkVisibility()"
    await bo.page.page.context.grant_permissions(["microphone"])
    await bo.page.evaluate("() => navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
    await until(bo.page, offered)
    speaker = await bo.page.evaluate(_LAST_SPEAKER)
    await bo.page.choose("#set-speaker", speaker["label"])
    await until(bo.page, _PLAYS_THROUGH, [tile(ada, "audio"), speaker["id"]])
    await bo.hears(ada)
    cy = await join("cy")
    await bo.hears(cy)
    assert await bo.page.evaluate(_PLAYS_THROUGH, [tile(cy, "audio"), speaker["id"]])


async def test_screen_share_is_shown_large_until_it_ends(join):
    ada, bo = await join("ada"), await join("bo")
    await ada.page.click("#control-share")
    await sees(bo.page, "#spotlight video", VIOLET)
    await bo.sees(ada)
    await ada.page.evaluate("() => stopTestScreen()")
    await until(bo.page, "() => document.getElementById('spotlight').hidden")
    await ada.page.click("#control-share")
    await sees(bo.page, "#spotlight video", VIOLET)
    await ada.page.click("#control-share")
    await until(bo.page, "() => document.getElementById('spotlight').hidden")
    await bo.sees(ada)


async def test_who_leaves_is_gone_for_the_others(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.sees(ada)
    await ada.page.click("#control-leave")
    await until(bo.page, "(s) => !document.querySelector(s)", tile(ada))
    await until(ada.page, "() => document.getElementById('ended-title').textContent === 'You left the room'")


async def test_reload_takes_the_same_place_without_the_door(join):
    ada, bo = await join("ada"), await join("bo")
    await bo.meets(ada)
    await ada.page.click("#control-mic")
    await ada.page.reload()
    await show_room(ada.page)
    await bo.sees(ada)
    await ada.sees(bo)
    await until(bo.page, "(s) => !document.querySelector(s).hidden", tile(ada, ".tile-mic"))
    assert await bo.page.evaluate("() => document.querySelectorAll('.tile:not([hidden])').length") == 2


async def test_lost_signalling_is_resumed_and_the_media_goes_on(parley, join):
    async with through_proxy(parley.url) as path:
        ada, bo = await join("ada", by=path.url), await join("bo")
        await bo.meets(ada)
        count = await ada.page.evaluate("() => connections.length")
        path.cut()
        await until(ada.page, "() => document.querySelector('[data-key=connection]')")
        await until(bo.page, "(s) => document.querySelector(s).classList.contains('suspended')", tile(ada))
        await bo.hears(ada)
        path.mend()
        await until(bo.page, "(s) => !document.querySelector(s).classList.contains('suspended')", tile(ada))
        await until(ada.page, "() => !document.querySelector('[data-key=connection]')")
        await bo.meets(ada)
        await ada.page.click("#control-camera")
        await until(bo.page, "(s) => document.querySelector(s).hidden", tile(ada, "video"))
        assert await ada.page.evaluate("() => connections.length") == count


async def test_a_moderator_mutes_and_unmutes(join):
    ada, bo = await join("ada", grants=MODERATOR), await join("bo")
    await ada.hears(bo)
    await act(ada, bo, "Mute for everyone")
    await is_silent(ada.page, tile(bo, "audio"))
    await until(bo.page, "() => document.querySelector('[data-key=muted]')")
    assert await bo.page.evaluate("() => document.getElementById('control-mic').disabled")
    await act(ada, bo, "Allow to speak")
    await until(bo.page, "() => !document.getElementById('control-mic').disabled")
    await bo.page.click("#control-mic")
    await ada.hears(bo)


@pytest.mark.parametrize(
    ("action", "title"),
    [("Remove from the room", "You were removed"), ("Ban from the room", "You were banned")],
)
async def test_a_moderator_removes(join, action, title):
    ada, bo = await join("ada", grants=MODERATOR), await join("bo")
    await ada.sees(bo)
    await act(ada, bo, action)
    await ada.page.click("dialog .button-alarm")
    await until(bo.page, "(t) => document.getElementById('ended-title').textContent === t", title)
    await until(ada.page, "(s) => !document.querySelector(s)", tile(bo))


async def test_nobody_without_the_permission_is_offered_moderation(join):
    ada, bo = await join("ada"), await join("bo")
    await ada.sees(bo)
    await ada.page.click(tile(bo, ".tile-menu"))
    items = await ada.page.evaluate(
        "() => [...document.querySelectorAll('.menu-item')].map((i) => i.textContent)"
    )
    assert items == ["Show large", "Silence for me"]
    for control in ("record", "live"):
        assert await ada.page.evaluate("(id) => document.getElementById(id).hidden", f"control-{control}")


async def test_names_and_chat_are_shown_as_text(join):
    name = "<img src=x onerror=alert(1)>"
    ada, bo = await join("ada", name=name), await join("bo")
    await until(
        bo.page, "([s, n]) => document.querySelector(s)?.textContent === n", [tile(ada, ".tile-name"), name]
    )
    lines = [
        "<script>alert(1)</script>",
        "javascript:alert(1)",
        "https://x.example/\"onmouseover='alert(1)'",
        "<a href=javascript:alert(1)>x</a>",
    ]
    await ada.page.click("#control-chat")
    for line in lines:
        await ada.page.fill("#chat-text", line)
        await ada.page.press("Enter")
        await bo.says_is_shown(line)
    assert (
        await bo.page.evaluate("() => document.querySelectorAll('#chat-lines :is(img, script)').length") == 0
    )
    hrefs = await bo.page.evaluate("() => [...document.querySelectorAll('.line-text a')].map((a) => a.href)")
    assert hrefs == ["https://x.example/"]
    # Violations of the content security policy and dialogs are looked at for every page when the test ends.


async def test_tiles_beyond_the_stage_are_paused_and_counted(join):
    ada, bo, cy = await join("ada", size=(330, 330)), await join("bo"), await join("cy")
    await until(ada.page, "() => document.querySelectorAll('.tile:not([hidden])').length >= 2")
    await ada.hears(bo)
    await ada.hears(cy)


async def test_somebody_may_just_watch(parley, browser, join, room):
    ada = await join("ada")
    page = await browser.page()
    await page.goto(parley.link(room, "viewer", grants=("join", "subscribe")))
    await until(page, "() => !document.getElementById('door').hidden")
    assert await page.evaluate("() => document.querySelector('.door-preview').hidden")
    await page.fill("#name", "Viewer")
    await page.click("#join")
    await show_room(page)
    await sees(page, tile(ada, "video"), ada.colour)
    await hears(page, tile(ada, "audio"), ada.tone_hz)
    await page.close()
