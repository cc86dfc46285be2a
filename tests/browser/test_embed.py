"""The embed on a partner's page of another origin: who may frame it, what plays in it, how it ends."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser.consent_steps import answer, take_back
from tests.browser.embedded import PartnerSite, Show, on_air
from tests.browser.page import until
from tests.support.figures import tell
from tests.support.promises import STARVED_FACTOR, assert_promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

_STATE = "() => globalThis.heard.filter(({ type }) => type === 'state').at(-1)?.state"
_SHOWN_STATE = "document.getElementById('player').dataset.state"
_BEHIND_S = """() => {
  const { buffered, currentTime } = document.getElementById("video");
  return buffered.end(buffered.length - 1) - currentTime;
}"""
# As after a stall: much of what was before a revocation is still to be played.
_FALL_BEHIND = """() => {
  const video = document.getElementById("video"), { buffered } = video;
  video.currentTime = buffered.end(buffered.length - 1) - 3.2;
}"""
# Notes what stands in the player: [ms, state, share of each colour in the picture that is not covered].
_LOOK = """(colours) => {
  const lines = (globalThis.lines = []);
  new MutationObserver((changes) => {
    const added = changes.flatMap(({ addedNodes }) => [...addedNodes]);
    lines.push(...added.map(({ textContent }) => [Date.now(), textContent]));
  }).observe(document.getElementById("lines"), { childList: true });
  const sightings = (globalThis.sightings = []);
  const video = document.getElementById("video");
  const paint = new OffscreenCanvas(32, 18).getContext("2d", { willReadFrequently: true });
  setInterval(() => {
    const state = document.getElementById("player").dataset.state;
    paint.clearRect(0, 0, 32, 18);
    const is_seen = state === "playing" && document.getElementById("still").hidden;
    if (is_seen) paint.drawImage(video, 0, 0, 32, 18);
    const { data } = paint.getImageData(0, 0, 32, 18);
    const share = (colour) => {
      let near = 0;
      for (let i = 0; i < data.length; i += 4) {
        near += data[i + 3] && colour.every((value, c) => Math.abs(data[i + c] - value) <= 40);
      }
      return near / (data.length / 4);
    };
    sightings.push([Date.now(), state, colours.map(share)]);
  }, 25);
}"""
_NEWEST = """() => {
  const video = document.getElementById("video");
  const note = () => {
    globalThis.newest_ms = Date.now();
    video.requestVideoFrameCallback(note);
  };
  video.requestVideoFrameCallback(note);
}"""
_FLASH_AND_SAY = """(text) => {
  const prototype = CanvasRenderingContext2D.prototype;
  const { fillRect } = prototype;
  prototype.fillRect = function (...box) {
    this.fillStyle = "#fff";
    fillRect.apply(this, box);
  };
  setTimeout(() => { prototype.fillRect = fillRect; }, 700);
  const field = document.getElementById("chat-text");
  field.value = text;
  field.form.requestSubmit();
}"""
_PART = re.compile(r"/seg-\d+-\d+\.m4s")
_SAY = """(command) => document.getElementById('embed').contentWindow
  .postMessage({ parley: 1, command }, '*')"""

GOES_DARK_S = 1.0
HLS_CUT_S = 0.5
WHEP_CUT_S = 0.25
WHEP_DARK_S = 3.0
BACK_S = 2.0
CHAT_S = 0.2


@pytest_asyncio.fixture(loop_scope="module")
async def show(parley, join, room) -> AsyncIterator[Show]:
    async with on_air(parley, join, room) as running:
        yield running


async def watch_and_block(page, show):
    await page.goto(f"{show.site.origin}/")
    await until(page, f"() => ({_STATE})() === 'playing'", within_s=30)
    origins = await page.evaluate("() => [...new Set(heard.map(({ origin }) => origin))]")
    assert origins == [show.parley.url]
    await page.evaluate(_SAY, "unmute")
    await until(page, "() => heard.some(({ type }) => type === 'muted')")
    began = time.monotonic()
    await show.block()
    await until(page, f"() => ({_STATE})() === 'ended'")
    assert_promised("the kill switch in the embed", time.monotonic() - began, GOES_DARK_S)
    await page.evaluate(_SAY, "play")
    await until(page, "() => heard.at(-1)?.reason === 'forbidden'")


async def test_an_embed_plays_on_the_partners_page_in_chromium_until_the_kill_switch(browser, show):
    page = await browser.page()
    try:
        await watch_and_block(page, show)
    finally:
        await page.close()


async def test_an_embed_plays_on_the_partners_page_in_firefox_until_the_kill_switch(fox, show):
    page = await fox.page()
    try:
        await watch_and_block(page, show)
    finally:
        await page.close()


async def played(page, span_s):
    """Wait until the embed has played so much more."""
    at_s = await page.evaluate("() => document.getElementById('video').currentTime")
    later = "(at) => document.getElementById('video').currentTime > at"
    await until(page, later, at_s + span_s, within_s=30)


async def watch_hls_and_block(page, show):
    await page.goto(f"{show.url}#play=hls")
    await until(page, "() => document.getElementById('video').currentTime > 0", within_s=30)
    await played(page, 3)
    assert await page.evaluate(_BEHIND_S) < 5
    assert await page.evaluate("() => document.getElementById('video').videoWidth") > 0
    assert await page.evaluate("() => document.getElementById('video').srcObject") is None
    began = time.monotonic()
    await show.block()
    await until(page, f"() => {_SHOWN_STATE} === 'ended'")
    assert_promised("the kill switch in the embed that plays HLS", time.monotonic() - began, GOES_DARK_S)


async def test_where_no_media_connection_gets_through_chromium_plays_hls(browser, show):
    page = await browser.page()
    try:
        await watch_hls_and_block(page, show)
    finally:
        await page.close()


async def test_where_no_media_connection_gets_through_firefox_plays_hls(fox, show):
    page = await fox.page()
    try:
        await watch_hls_and_block(page, show)
    finally:
        await page.close()


async def watch_both(page, show, bob, *, play):
    """Open the embed until it shows Ada and Bob; from now on what stands there is noted."""
    await page.goto(f"{show.url}#play={play}")
    await page.evaluate(_LOOK, [show.ada.colour, bob.colour])
    await until(page, "() => sightings.at(-1)?.[2].every((share) => share > 0.05)", within_s=30)


async def revoke(person):
    """Take everything back in the room's page; the Unix ms of the click."""
    await person.page.click("#control-consent")
    await until(person.page, "() => document.getElementById('revoke')")
    return await person.page.evaluate(
        "() => { document.getElementById('revoke').click(); return Date.now(); }"
    )


async def plays_on_without(page, since_ms):
    """Wait until a picture of Ada alone was there, and three seconds more were played."""
    alone = "(since) => sightings.some(([ms, , [ada, bob]]) => ms > since && ada > 0.05 && bob === 0)"
    await until(page, alone, since_ms, within_s=30)
    await played(page, 3)


async def revoke_and_come_back(page, show, bob):
    """Ada revokes while she is seen by WHEP; nothing of her stands there, and Bob comes after her."""
    await page.goto(show.url)
    await page.evaluate(_LOOK, [show.ada.colour, bob.colour])
    await until(page, "() => sightings.at(-1)?.[2][0] > 0.05", within_s=30)
    await page.evaluate(_NEWEST)
    await until(page, "() => globalThis.newest_ms")
    revoked_ms = await revoke(show.ada)
    await until(page, "() => sightings.at(-1)[2][0] === 0")
    last_s = (await page.evaluate("() => newest_ms") - revoked_ms) / 1000
    assert_promised("from the revocation to the last picture by WHEP", last_s, WHEP_CUT_S)
    seen = await page.evaluate("() => sightings")
    stood_s = (max(ms for ms, _, (of_ada, _) in seen if of_ada > 0) - revoked_ms) / 1000
    assert_promised("until the last picture by WHEP stands no longer", stood_s, WHEP_DARK_S)
    await answer(bob, "yes")
    await until(page, "() => sightings.at(-1)[2][1] > 0.05")
    assert "ended" not in {state for _, state, _ in await page.evaluate("() => sightings")}


async def test_a_revocation_ends_what_is_seen_by_whep_in_chromium(browser, show, join):
    page = await browser.page()
    try:
        await revoke_and_come_back(page, show, await join("bob", uses={"live": True}))
    finally:
        await page.close()


@pytest.mark.wide
async def test_a_revocation_ends_what_is_seen_by_whep_in_firefox(fox, show, join):
    page = await fox.page()
    try:
        await revoke_and_come_back(page, show, await join("bob", uses={"live": True}))
    finally:
        await page.close()


async def test_a_revocation_ends_a_person_in_the_embed_that_plays_hls_and_others_play_on(browser, show, join):
    bob = await join("bob", uses={"live": True})
    await answer(bob, "yes")
    page = await browser.page()
    try:
        await watch_both(page, show, bob, play="hls")
        await played(page, 4)
        await page.evaluate(_FALL_BEHIND)
        revoked_ms = await revoke(bob)
        before = [of_bob for ms, _, (_, of_bob) in await page.evaluate("() => sightings") if ms < revoked_ms]
        assert before[-1] > 0.05
        await plays_on_without(page, revoked_ms)
        seen = await page.evaluate("() => sightings")
        last_ms = max(ms for ms, _, (_, of_bob) in seen if of_bob > 0)
        back_ms = min(ms for ms, _, (of_ada, _) in seen if ms > last_ms and of_ada > 0.05)
        assert_promised(
            "from the revocation to the last picture in HLS", (last_ms - revoked_ms) / 1000, HLS_CUT_S
        )
        assert_promised("until the others are there again", (back_ms - revoked_ms) / 1000, BACK_S)
        assert "ended" not in {state for _, state, _ in seen}
    finally:
        await page.close()


async def test_a_part_that_a_revocation_took_back_ends_nothing_for_the_others(browser, show, join):
    bob = await join("bob", uses={"live": True})
    await answer(bob, "yes")
    page = await browser.page()
    statuses, is_cut, is_held = set(), asyncio.Event(), asyncio.Event()
    page.page.on("response", lambda response: statuses.add(response.status))

    async def hold(route):
        is_held.set()
        await is_cut.wait()
        await route.continue_()

    try:
        await watch_both(page, show, bob, play="hls")
        await page.page.route(_PART, hold)
        async with asyncio.timeout(20):
            await is_held.wait()
        await take_back(bob)
        released_ms = time.time() * 1000
        is_cut.set()
        await plays_on_without(page, released_ms)
        assert 410 in statuses, "the part was gone"
        assert "ended" not in {state for _, state, _ in await page.evaluate("() => sightings")}
    finally:
        await page.page.unroute_all(behavior="ignoreErrors")
        await page.close()


@pytest.mark.parametrize("play", [pytest.param("whep", marks=pytest.mark.wide), "hls"])
async def test_a_chat_line_comes_with_the_picture_beside_which_it_was_written(browser, show, play):
    status, _ = await show.parley.api("PATCH", f"/broadcasts/{show.broadcast}", {"chat": False})
    assert status == 200
    await show.ada.page.click("#control-chat")
    page = await browser.page()
    try:
        await page.goto(f"{show.url}#play={play}")
        await page.evaluate(_LOOK, [(255, 255, 255), show.ada.colour])
        for text in ("one", "two", "three"):
            await until(page, "() => sightings.at(-1)?.[2][1] > 0.2", within_s=30)
            begun = await page.evaluate("() => sightings.length")
            await show.ada.page.evaluate(_FLASH_AND_SAY, text)
            flash = "(from) => sightings.slice(from).find(([, , [white]]) => white > 0.2)?.[0]"
            flash_ms = await until(page, flash, begun)
            line_ms = await until(
                page, "(said) => lines.find(([, text]) => text === said)?.[0]", f"Ada {text}"
            )
            behind_s = (line_ms - flash_ms) / 1000
            tell(f"a chat line by {play} after its picture: {behind_s:.3f} s, promised within {CHAT_S:g} s")
            assert abs(behind_s) <= STARVED_FACTOR * CHAT_S
    finally:
        await page.close()


async def test_another_site_cannot_frame_the_link_and_hears_nothing(browser, show):
    thief = PartnerSite("127.0.0.1")
    await thief.start()
    page = await browser.page()
    try:
        thief.embedded = show.url
        await page.goto(f"{thief.origin}/")
        await asyncio.sleep(2)
        assert await page.evaluate("() => heard") == []
        assert any("frame-ancestors" in message or "Framing" in message for message in page.messages)
        assert not [frame for frame in page.page.frames if frame.url.startswith(show.parley.url)]
    finally:
        await page.close()
        await thief.stop()
