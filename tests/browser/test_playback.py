"""The page of a finished recording in Chromium and Firefox: film, seeking, chat in time, people, files."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import av
import pytest
import pytest_asyncio

from tests.browser import chromium
from tests.browser.consent_steps import add_channel, answer, indicator
from tests.browser.page import BrowserPage, Capture, until
from tests.browser.parley import Parley
from tests.browser.people import Person, enter
from tests.browser.test_looks import SIZES, check, tab_to

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server, browser and recording"),
]

ROOM = "harbour-talk"
RED, GREEN = (200, 40, 40), (40, 150, 60)
WISH = {"width": 640, "height": 360, "fps": 15}
_AT = "() => document.getElementById('video').currentTime"
_READY = "() => document.getElementById('video').readyState >= 2"
_MIDDLE_OF_THE_BAR = """() => {
  const { left, top, width, height } = document.getElementById('seek').getBoundingClientRect();
  return [left + width / 2, top + height / 2];
}"""
_STILL = """() => /"(.*)"/.exec(document.getElementById('preview-still').style.backgroundImage)?.[1]"""
_SIZE = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}"""
_CAPTIONS = """() => [...document.getElementById('video').textTracks[0].activeCues]
  .flatMap(({ text }) => text.split(String.fromCharCode(10)))"""
_STATE = "() => document.getElementById('player').dataset.state"


@dataclass(frozen=True)
class Kept:
    """A finished recording."""

    parley: Parley
    id: str
    room: str

    @property
    def path(self) -> str:
        return f"/recordings/{self.id}"

    def token(self, **options: Any) -> str:
        return self.parley.token(self.room, "host", **({"grants": ("record",)} | options))

    def link(self, **options: Any) -> str:
        return f"{self.parley.url}{self.path}#token={self.token(**options)}"

    async def film(self, **wish: Any) -> dict[str, Any]:
        """A composed file, once it is made."""
        status, made = await self.parley.api("POST", f"{self.path}/renditions", {**WISH, **wish})
        assert status == 202, made
        deadline = time.monotonic() + 60
        while made["state"] in {"queued", "rendering"}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
            _, made = await self.parley.api("GET", f"{self.path}/renditions/{made['id']}")
        assert made["state"] == "finished", made
        return made  # type: ignore[no-any-return]


async def say(person: Person, text: str) -> None:
    """Write a line, with the chat open or not."""
    if await person.page.evaluate("() => document.getElementById('panel-chat').checkVisibility()") is False:
        await person.page.click("#control-chat")
    await person.page.fill("#chat-text", text)
    await person.page.press("Enter")
    await person.says_is_shown(text)


async def come_in(
    parley: Parley, browser: chromium.Chromium, room: str, who: dict[str, bool]
) -> list[Person]:
    """People who agree to be recorded, and to a replay or not."""
    await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    people = []
    for (identity, agrees), (colour, hz) in zip(who.items(), ((RED, 440), (GREEN, 660)), strict=False):
        page = await browser.page(Capture(colour, hz))
        uses = {"record": True, "replay": agrees}
        people.append(await enter(parley, page, room, identity, colour, hz, uses=uses))
    return people


async def begin(parley: Parley, room: str, people: list[Person]) -> str:
    """A recording that everybody is in."""
    _, info = await parley.api("POST", "/recordings", {"room": room})
    for person in people:
        await answer(person, "yes")
        await indicator(person, "record", "you are in")
    return str(info["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(parley: Parley, browser: chromium.Chromium) -> Kept:
    """A recording of ada, who agrees to a replay, and bo, who does not and leaves early."""
    ada, bo = people = await come_in(parley, browser, ROOM, {"ada": True, "bo": False})
    recording = await begin(parley, ROOM, people)
    await asyncio.sleep(1.5)
    await say(ada, "Welcome aboard, see https://example.org/map")
    await asyncio.sleep(1)
    await say(bo, "Glad to be here")
    await asyncio.sleep(1)
    await bo.page.click("#control-leave")
    await asyncio.sleep(2)
    await say(ada, "That was all")
    await asyncio.sleep(1)
    await parley.api("POST", f"/recordings/{recording}/stop")
    for person in people:
        await person.page.close()
    return Kept(parley, recording, ROOM)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def films(kept: Kept) -> dict[str, dict[str, Any]]:
    """A film of everybody as MP4, and one for viewers as WebM."""
    return {"mp4": await kept.film(), "webm": await kept.film(format="webm", use="replay", chat="none")}


async def watch(page: BrowserPage, link: str) -> None:
    """Open a page that has a film."""
    await page.goto(link)
    await until(page, _READY, within_s=30)


async def is_at(page: BrowserPage, at_s: float, within_s: float = 10) -> None:
    """Wait until the picture is at a time (a third of a second more or less)."""
    now = """(at) => {
      const { currentTime, seeking } = document.getElementById('video');
      return !seeking && Math.abs(currentTime - at) < 0.35;
    }"""
    await until(page, now, at_s, within_s=within_s)


async def shows(page: BrowserPage, colour: tuple[int, int, int], *, is_shown: bool = True) -> None:
    """Assert that a part of the picture has about this colour, or none has."""
    found = """([colour, is_shown]) => {
      const video = document.getElementById('video');
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [64, 36];
      const paint = canvas.getContext('2d');
      paint.drawImage(video, 0, 0, 64, 36);
      const { data } = paint.getImageData(0, 0, 64, 36);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (colour.every((value, channel) => Math.abs(data[i + channel] - value) < 45)) count += 1;
      }
      return is_shown === (count > 60);
    }"""
    await until(page, found, [list(colour), is_shown])


async def look(page, kept, films):
    """What everybody with the host's link sees, in any browser."""
    await watch(page, kept.link())
    length = "() => document.getElementById('video').duration"
    _, playback = await kept.parley.api("GET", f"{kept.path}/playback")
    assert await page.evaluate(length) == pytest.approx(playback["duration_ms"] / 1000, abs=0.3)
    for film in films.values():
        if await page.evaluate(f"() => document.querySelector('[data-film={film['id']}].film-now') === null"):
            await page.click("#tab-films")
            await page.click(f'[data-film="{film["id"]}"] [aria-label="Play this film"]')
            await until(page, _READY)
        else:
            await page.click("#play")
        assert film["id"] in await page.evaluate("() => document.getElementById('video').currentSrc")
        before = await page.evaluate(_AT)
        await until(page, "(at) => document.getElementById('video').currentTime > at + 0.5", before)
        for share in (0.7, 0.2):
            middle = playback["duration_ms"] / 1000 * share
            await page.evaluate(
                """(share) => {
                  const bar = document.getElementById('seek');
                  const { left, top, width, height } = bar.getBoundingClientRect();
                  const [clientX, clientY] = [left + width * share, top + height / 2];
                  const place = { clientX, clientY, pointerId: 1, bubbles: true };
                  bar.setPointerCapture = () => {};
                  bar.dispatchEvent(new PointerEvent('pointerdown', place));
                  bar.dispatchEvent(new PointerEvent('pointerup', place));
                }""",
                share,
            )
            await until(
                page, "(at) => Math.abs(document.getElementById('video').currentTime - at) < 1", middle
            )
        await page.click("#play")
        await until(page, f"() => ({_STATE})() === 'paused'")
    return playback


async def quotes(page, kept):
    """Chat in time: a click goes to the line's moment, and the line of the moment is marked."""
    await page.click("#tab-chat")
    _, chat = await kept.parley.api("GET", f"{kept.path}/chat")
    assert [(line["name"], line["text"]) for line in chat["items"]] == [
        ("Ada", "Welcome aboard, see https://example.org/map"),
        ("Bo", "Glad to be here"),
        ("Ada", "That was all"),
    ]
    for number in (2, 1):
        await page.click(f".quote:nth-child({number + 1}) .quote-time")
        await is_at(page, chat["items"][number]["at_ms"] / 1000)
        marked = """(number) => [...document.querySelectorAll('.quote')]
          .findIndex((one) => one.getAttribute('aria-current') === 'true') === number"""
        await until(page, marked, number)
        said = f"{chat['items'][number]['name']}: {chat['items'][number]['text']}"
        await until(page, f"(said) => ({_CAPTIONS})().at(-1) === said", said)
    assert (
        await page.evaluate("() => document.querySelector('.quote a').rel") == "nofollow noopener noreferrer"
    )


async def test_the_film_plays_seeks_and_follows_the_chat_in_chromium(kept, films, browser):
    page = await browser.page()
    playback = await look(page, kept, films)
    await page.click("#tab-films")
    await page.click(f'[data-film="{films["mp4"]["id"]}"] [aria-label="Play this film"]')
    await until(page, _READY)
    await page.click("#tab-chat")
    await page.click(".quote:nth-child(1) .quote-time")
    await shows(page, RED)
    await shows(page, GREEN)
    await quotes(page, kept)
    names = "() => [...document.querySelectorAll('.attendee-name')].map(({ textContent }) => textContent)"
    assert await page.evaluate(names) == ["Ada", "Bo"]
    bo = playback["people"][1]["spans"][0]
    assert bo["to_ms"] < playback["duration_ms"] - 1500
    await page.click(".attendee:nth-child(2) .lane-span")
    await is_at(page, bo["from_ms"] / 1000)
    there = "() => document.querySelectorAll('.attendee-there').length"
    await page.press("End")
    await page.evaluate("() => document.getElementById('seek').focus()")
    await page.press("End")
    await until(page, f"() => ({there})() <= 1")
    moments = "() => [...document.querySelectorAll('.moment')].map(({ textContent }) => textContent)"
    assert any("Bo is out" in text for text in await page.evaluate(moments))
    await check(page, "recording-desktop-dark")
    await page.close()


@pytest.mark.wide
async def test_the_film_plays_seeks_and_follows_the_chat_in_firefox(kept, films, fox):
    page = await fox.page()
    await look(page, kept, films)
    await quotes(page, kept)
    await page.screenshot("recording-firefox")
    assert page.messages == []
    await page.close()


async def test_the_chat_stands_over_the_picture_also_where_it_fills_the_screen(kept, films, browser):
    page = await browser.page()
    await watch(page, kept.link())
    mode = "() => document.getElementById('video').textTracks[0].mode"
    pressed = "() => document.getElementById('captions').getAttribute('aria-pressed')"
    in_picture = "() => document.getElementById('captions').hidden"
    assert films["mp4"]["chat"] == "burned"
    await until(page, "() => document.querySelectorAll('.quote').length === 3")
    assert await page.evaluate(in_picture) is True
    await page.click("#tab-films")
    await page.click(f'[data-film="{films["webm"]["id"]}"] [aria-label="Play this film"]')
    await until(page, _READY)
    assert await page.evaluate(in_picture) is False
    await until(page, f"() => ({_STATE})() === 'playing'")
    await page.click("#play")
    await until(page, f"() => ({_STATE})() === 'paused'")
    await page.click("#tab-chat")
    assert (await page.evaluate(mode), await page.evaluate(pressed)) == ("hidden", "false")
    await page.click("#captions")
    assert (await page.evaluate(mode), await page.evaluate(pressed)) == ("showing", "true")
    await page.click(".quote:nth-child(2) .quote-time")
    await page.click("#full")
    await until(page, "() => document.fullscreenElement?.id === 'player'")
    await until(page, f"() => ({_CAPTIONS})().length === 2")
    assert await page.evaluate(_CAPTIONS) == [
        "Ada: Welcome aboard, see https://example.org/map",
        "Bo: Glad to be here",
    ]
    await check(page, "recording-captions-full-screen")
    await page.press("f")
    await until(page, "() => !document.fullscreenElement")
    await page.press("c")
    assert (await page.evaluate(mode), await page.evaluate(pressed)) == ("hidden", "false")
    await page.close()


def _destination(name: str) -> str:
    found = f"(one) => one.innerText.includes('{name}')"
    return f"() => [...document.querySelectorAll('.destination')].find({found})"


async def test_a_replay_is_confirmed_followed_and_ended_on_the_page(kept, films, browser):
    await add_channel(kept.parley, "Evening", site="replays.example", uses=("live", "replay"))
    page = await browser.page()
    await watch(page, kept.link(grants=("record", "broadcast")))

    async def replays() -> list[dict[str, Any]]:
        _, found = await kept.parley.api("GET", f"/broadcasts?room={kept.room}")
        return [one for one in found["items"] if one["replay"]["recording"] == kept.id]

    await page.click("#replay")
    evening = _destination("Evening")
    await until(page, f"() => ({evening})() !== undefined")
    disabled = "() => document.getElementById('replay-next').disabled"
    assert await page.evaluate(disabled) is True
    await page.evaluate(f"() => ({evening})().querySelector('input').click()")
    await check(page, "recording-replay-choose")
    await page.click("#replay-next")
    await until(page, "() => document.activeElement.id === 'replay-go'")
    words = await page.evaluate("() => document.getElementById('replay-words').innerText")
    assert words == "It goes to Evening (replays.example) at once. What a site has received, it may keep."
    await check(page, "recording-replay-confirm")
    assert await replays() == []
    await page.click("#replay-go")
    await until(page, "() => document.querySelector('.on-air .state-live') !== null", within_s=20)
    await check(page, "recording-replay-runs")
    (replay,) = await replays()
    assert (replay["state"], replay["destinations"][0]["state"]) == ("running", "live")
    await page.click(".on-air .button-alarm")
    await until(page, "() => document.querySelector('.on-air') === null", within_s=20)
    (replay,) = await replays()
    assert replay["state"] == "stopped"
    await page.close()


async def test_a_replay_is_planned_for_a_time_on_the_page_and_given_up(kept, films, browser):
    await add_channel(kept.parley, "Tomorrow", site="planned.example", uses=("live", "replay"))
    page = await browser.page()
    await watch(page, kept.link(grants=("record", "broadcast")))
    await page.click("#replay")
    tomorrow = _destination("Tomorrow")
    await until(page, f"() => ({tomorrow})() !== undefined")
    await page.evaluate(f"() => ({tomorrow})().querySelector('input').click()")
    tomorrow_ms = await page.evaluate(
        """() => {
          const at = new Date(Date.now() + 86_400_000);
          at.setSeconds(0, 0);
          const local = new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
          const input = document.getElementById("replay-at");
          input.value = local;
          input.dispatchEvent(new Event("change"));
          return at.getTime();
        }"""
    )
    await page.click("#replay-next")
    await until(page, "() => document.activeElement.id === 'replay-go'")
    words = await page.evaluate("() => document.getElementById('replay-words').innerText")
    assert words.startswith("It goes to Tomorrow (planned.example) on "), words
    await check(page, "recording-replay-plan")
    await page.click("#replay-go")
    await until(page, "() => document.querySelector('.on-air') !== null")
    assert (await page.evaluate("() => document.querySelector('.on-air').innerText")).startswith("Begins on ")
    await check(page, "recording-replay-planned")

    async def states() -> list[tuple[str, int]]:
        _, found = await kept.parley.api("GET", f"/broadcasts?room={kept.room}")
        replays = [one for one in found["items"] if one["replay"] and one["replay"]["at_ms"]]
        return [(one["state"], one["replay"]["at_ms"]) for one in replays]

    assert await states() == [("scheduled", tomorrow_ms)]
    await page.click(".on-air .button-alarm")
    await until(page, "() => document.querySelector('.on-air') === null", within_s=20)
    assert [state for state, _ in await states()] != ["scheduled"]
    await page.close()


async def test_stills_are_shown_where_the_pointer_is(kept, films, browser):
    page = await browser.page()
    await watch(page, kept.link())
    box = await page.evaluate(_MIDDLE_OF_THE_BAR)
    await page.page.mouse.move(*box)
    await until(page, "() => !document.getElementById('preview').hidden")
    url = await until(page, _STILL)
    assert "stills-000.jpg?use=record&" in url
    size = await page.evaluate(_SIZE, url)
    assert size[0] % 160 == 0
    await check(page, "recording-preview")
    await page.close()


async def test_somebodys_own_file_is_what_they_published(kept, films, browser):
    page = await browser.page()
    await watch(page, kept.link())
    async with page.page.expect_download(timeout=30_000) as download:
        await page.click('.attendee:nth-child(1) [data-source="camera"]')
    made = await download.value
    assert made.suggested_filename == "Ada - camera.webm"
    with av.open(str(await made.path())) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["vp8", "opus"]
        frames = [frame.time for frame in container.decode(video=0)]
        assert frames[0] < 0.5
        assert frames[-1] - frames[0] > 4
    await page.close()


async def test_viewers_see_and_read_only_who_agreed_to_a_replay(kept, films, browser):
    _, link = await kept.parley.api("POST", f"{kept.path}/links", {"ttl_s": 600})
    page = await browser.page(size=SIZES["phone"], colour_scheme="light")
    await watch(page, link["url"])
    await page.click("#play")
    await shows(page, RED)
    await shows(page, GREEN, is_shown=False)
    text = await page.evaluate("() => document.body.innerText")
    assert "Ada" in text
    assert "One more person was there and is not shown" in text
    await until(page, "() => document.querySelectorAll('.quote').length === 2")
    cues = "() => [...document.getElementById('video').textTracks[0].cues].map(({ text }) => text)"
    lines = "\n".join(await page.evaluate(cues)).split("\n")
    assert {line.partition(":")[0] for line in lines} == {"Ada"}
    whole = await page.evaluate("() => document.body.textContent")
    assert "Bo" not in whole
    assert "Glad" not in whole
    shown = "(s) => document.querySelector(s)?.checkVisibility() ?? false"
    for selector in (".attendee-files button", "#tab-films", "#share", "#replay", "#all"):
        assert await page.evaluate(shown, selector) is False, selector
    await page.click("#play")
    await check(page, "recording-viewer-phone-light")
    await page.close()


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desktop", "light")])
async def test_the_page_and_the_list_look_right(kept, films, browser, size, scheme):
    page = await browser.page(size=SIZES[size], colour_scheme=scheme)
    await watch(page, kept.link())
    await until(page, "() => document.querySelectorAll('.quote').length === 3")
    await check(page, f"recording-{size}-{scheme}")
    for tab in ("moments", "films"):
        await page.click(f"#tab-{tab}")
        await check(page, f"recording-{tab}-{size}-{scheme}")
    await page.click("#another .button")
    await check(page, f"recording-another-{size}-{scheme}")
    await page.click("#share")
    await until(page, "() => document.getElementById('viewer-link')?.value.includes('#token=')")
    await check(page, f"recording-share-{size}-{scheme}")
    await page.press("Escape")
    await page.click("#all")
    await until(page, "() => document.querySelector('.card img')?.complete")
    await check(page, f"recordings-{size}-{scheme}")
    await page.click(".card")
    await until(page, _READY, within_s=30)
    await page.close()


async def test_keys_suffice(kept, films, browser):
    page = await browser.page(reduced_motion=True)
    await watch(page, kept.link())
    _, playback = await kept.parley.api("GET", f"{kept.path}/playback")
    await tab_to(page, "seek")
    await page.press("ArrowRight")
    await is_at(page, 5)
    await page.press("Home")
    await is_at(page, 0)
    await page.press("End")
    await is_at(page, playback["duration_ms"] / 1000)
    said = "() => document.getElementById('seek').getAttribute('aria-valuetext')"
    assert (await page.evaluate(said)).startswith("0:")
    await page.press("p")
    left = playback["people"][1]["spans"][0]["to_ms"]
    await is_at(page, left / 1000)
    await page.press("j")
    await is_at(page, max(0, left / 1000 - 10))
    await page.press("k")
    await until(page, f"() => ({_STATE})() === 'playing'")
    await page.press("k")
    await page.press("m")
    await until(page, "() => document.getElementById('video').muted")
    await tab_to(page, "tab-chat")
    await page.press("ArrowRight")
    await until(page, "() => document.activeElement.id === 'tab-moments'")
    await page.press("Tab")
    await page.press("Enter")
    await is_at(page, 0)
    await page.close()


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("{path}", "opens with a link of your own"),
        ("{path}#token={expired}", "This link has ended"),
        ("{path}#token={guest}", "does not open recordings"),
        ("/recordings/rec_nothing#token={host}", "There is no such recording"),
        ("/recordings", "open with a link of your own"),
        ("/recordings#token={guest}", "does not open recordings"),
    ],
)
async def test_what_does_not_open_is_told_in_words(kept, browser, link, words):
    parley = kept.parley
    tokens = {
        "expired": parley.token(ROOM, "host", grants=("record",), ttl_s=-60, nbf=int(time.time()) - 3600),
        "guest": parley.token(ROOM, "guest"),
        "host": kept.token(),
    }
    page = await browser.page(size=SIZES["phone"])
    await page.goto(parley.url + link.format(path=kept.path, **tokens))
    await until(page, "(words) => document.body.innerText.includes(words)", words)
    await page.screenshot(f"recording-refused-{len(words)}")
    await page.close()


async def test_a_film_is_made_from_the_page_and_again_without_who_withdraws(parley, browser, room):
    cy, di = people = await come_in(parley, browser, room, {"cy": False, "di": False})
    kept = Kept(parley, await begin(parley, room, people), room)
    await asyncio.sleep(1.5)
    await parley.api("POST", f"{kept.path}/stop")
    await di.page.close()
    page = cy.page
    await page.goto(kept.link())
    await until(page, "() => document.querySelector('.making') !== null")
    assert await page.evaluate("() => location.hash + location.search") == ""
    await check(page, "recording-none")
    await page.click(".making .button-primary")
    await until(page, "() => document.querySelector('progress') !== null")
    await check(page, "recording-making")
    await until(page, _READY, within_s=60)
    _, made = await parley.api("GET", f"{kept.path}/renditions")
    (film,) = made["items"]
    assert (film["layout"], film["state"], len(film["people"])) == ("grid", "finished", 2)
    near_the_end = """() => {
      const video = document.getElementById('video');
      video.currentTime = video.duration - 0.5;
    }"""
    await page.evaluate(near_the_end)
    await shows(page, GREEN)

    status, _ = await parley.api("POST", "/consents/withdrawals", {"identity": "di", "room": room})
    assert status == 202
    # What was read already is out of reach; the next look is without the person.
    await page.reload()
    await until(page, "() => document.querySelectorAll('.attendee').length === 1")
    assert "Di" not in await page.evaluate("() => document.body.textContent")
    await until(page, _READY, within_s=60)
    await page.evaluate(near_the_end)
    await shows(page, RED)
    await shows(page, GREEN, is_shown=False)
    _, told = await parley.api("GET", "/consents/withdrawals?identity=di")
    (copy,) = next(item["copies"] for item in told["items"] if item["recording"] == kept.id)
    assert (copy["rendition"], copy["outcome"]) == (film["id"], "made_again")
    assert set(copy["files"]) == {"rendition.mp4", "stills-000.jpg", "stills.vtt", "poster.jpg"}
    await page.click("#tab-films")
    await page.click('[aria-label="Remove this film"]')
    await until(page, "() => document.querySelector('.making') !== null")
    await page.close()
