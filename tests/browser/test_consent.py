"""What a person is told, asked and shown about recording and broadcasting, in the room's page."""

import asyncio
import json
import time

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
    watch_indicator,
)
from tests.browser.page import hears, sees, until
from tests.browser.people import tile
from tests.support.promises import assert_promised

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

HOST = ("join", "publish", "subscribe", "chat", "record")
YES_TO_ALL = {"live": True, "record": True}


@pytest.fixture
async def explicit(parley, room) -> str:
    """The test's room, in which each use is asked."""
    status, body = await parley.api("POST", "/rooms", {"name": room, "mode": "explicit"})
    assert status == 201, body
    return room


def recorded_people(parley, recording: str) -> set[str]:
    """Who has a picture of some length in a recording: their random ids."""
    files = [path for path in parley.data_dir.rglob("*-camera-*.webm") if recording in str(path)]
    return {path.name.partition("-camera-")[0] for path in files if path.stat().st_size > 1_000}


def listed_people(parley, recording: str) -> set[str]:
    """Whom the manifest of a recording lists, by their random ids; nobody before it is finished."""
    found = [path for path in parley.data_dir.rglob("manifest.json") if recording in str(path)]
    people = json.loads(found[0].read_text())["manifest"]["people"] if found else []
    return {person["person"] for person in people}


async def eventually(check, what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.1)


async def test_a_recording_is_announced_asked_shown_and_taken_back(join, explicit):
    ada = await join("ada", uses=YES_TO_ALL, grants=HOST)
    bo = await join("bo", uses={"record": True, "live": False})
    await ada.meets(bo)
    watched = await watch_indicator(bo)
    clicked_ms = await ada.page.evaluate(
        "() => { document.getElementById('control-record').click(); return Date.now(); }"
    )
    shown_ms, spoken = await watched()
    assert_promised("the indicator after the click", (shown_ms - clicked_ms) / 1000, 0.5)
    assert "Recording has started" in spoken, "told to who listens, too"
    for person in (ada, bo):
        await until(
            person.page, "() => document.querySelector('dialog.notice')?.textContent.includes('this server')"
        )
        await indicator(person, "record", "you are out")
        await answer(person, "yes")
        await indicator(person, "record", "you are in")
    await left_out(ada.page, bo, is_out=False)
    assert await take_back(bo) < 4 * 250
    await indicator(bo, "record", "you are out")
    await left_out(ada.page, bo, is_out=True)
    await ada.meets(bo)
    await ada.page.click("#control-record")
    await no_indicator(bo)


async def test_who_comes_during_a_recording_answers_first_and_may_stay_out_of_it(join, explicit):
    ada = await join("ada", uses=YES_TO_ALL, grants=HOST)
    await ada.page.click("#control-record")
    await answer(ada, "yes")
    bo = await join("bo")
    await indicator(bo, "record", "you are out")
    await until(bo.page, "() => document.querySelector('dialog.notice')")
    await bo.sees(ada)
    assert await ada.page.evaluate("(s) => document.querySelector(s).hidden", tile(bo, "video"))
    await bo.page.press("Escape")
    await bo.page.press("Escape")
    assert await bo.page.evaluate("() => document.querySelector('dialog.notice').open")
    await answer(bo, "no")
    await ada.meets(bo)
    await left_out(ada.page, bo, is_out=True)


async def test_a_notice_cannot_be_answered_by_what_one_was_typing(join, explicit):
    ada = await join("ada", uses=YES_TO_ALL, grants=HOST)
    bo = await join("bo")
    await bo.page.click("#control-chat")
    await bo.page.fill("#chat-text", "half a sentence")
    await ada.page.click("#control-record")
    await until(bo.page, "() => document.querySelector('dialog.notice')")
    for key in ("Enter", "Tab", "Enter"):
        await bo.page.press(key)
    assert await bo.page.evaluate("() => document.querySelector('dialog.notice').open")
    await answer(bo, "no")
    assert await bo.page.evaluate("() => document.getElementById('chat-text').value") == "half a sentence"


async def test_in_a_notice_room_accepting_the_terms_is_the_yes(join):
    ada = await join("ada", grants=HOST)
    bo = await join("bo")
    await ada.page.click("#control-record")
    await until(bo.page, "() => document.getElementById('notice-yes')?.textContent === 'Understood, I am in'")
    await answer(bo, "yes")
    await indicator(bo, "record", "you are in")
    await answer(ada, "no")
    await indicator(ada, "record", "you are out")
    await left_out(bo.page, ada, is_out=True)


async def test_an_embedded_player_shows_who_agreed_and_goes_dark_when_they_take_it_back(
    parley, browser, join, explicit
):
    ada = await join("ada", uses=YES_TO_ALL)
    bo = await join("bo", uses={"live": False, "record": False})
    await ada.meets(bo)
    token = parley.token(explicit, "watcher", grants=("join", "subscribe"), external=True)
    outside = await browser.page(size=(800, 450))
    await outside.goto(f"{parley.url}/embed/{explicit}#token={token}")
    await answer(ada, "yes")
    await sees(outside, "#video", ada.colour)
    await until(outside, "() => document.getElementById('player').dataset.state === 'playing'")
    assert await outside.evaluate("() => document.getElementById('video').muted")
    await outside.click("#sound")
    await hears(outside, "#video", ada.tone_hz)
    await ada.page.click("#control-chat")
    await ada.page.fill("#chat-text", "Hello outside")
    await ada.page.press("Enter")
    await until(outside, "() => document.getElementById('lines').textContent === 'Ada Hello outside'")
    await outside.screenshot("embed")
    await ada.page.click("#control-consent")
    await ada.page.click("#revoke")
    await until(
        outside,
        """async () => {
             const video = document.getElementById('video');
             return !video.srcObject || !(await probe.moves(video));
           }""",
    )
    status, _ = await parley.api("DELETE", f"/rooms/{explicit}")
    assert status == 204
    await until(outside, "() => document.getElementById('player').dataset.state === 'ended'")
    await until(
        ada.page, "() => document.getElementById('ended-title').textContent === 'The room was closed'"
    )
    assert await outside.evaluate("() => violations") == []
    await outside.close()


async def test_new_terms_are_asked_of_who_is_in_the_room(parley, join):
    ada = await join("ada")
    terms = {
        "version": "next",
        "title": "Newer terms",
        "paragraphs": ["These are newer."],
        "age_statement": "I am 18 years old or older.",
        # The other tests of this module go on under these terms.
        "uses": [
            {"use": use, "title": use.title(), "text": "As before.", "media": ["audio", "video", "chat"]}
            for use in ("live", "record", "replay")
        ],
        "effective_ms": 0,
        "material": True,
    }
    status, body = await parley.api("POST", "/terms", terms)
    assert status == 201, body
    await ada.page.click("[data-key=terms] button")
    await until(ada.page, "() => document.querySelector('dialog')?.textContent.includes('These are newer.')")
    for number in (1, 2):
        await ada.page.click(f"dialog label:nth-of-type({number}) input")
    await ada.page.click("dialog .button-primary")
    await until(ada.page, "() => !document.querySelector('dialog, [data-key=terms]')")
    await ada.page.click("#control-chat")
    await ada.page.fill("#chat-text", "I have read them")
    await ada.page.press("Enter")
    await ada.says_is_shown("I have read them")


async def test_going_live_is_started_at_a_chosen_site_and_ended_in_the_page(parley, join, explicit):
    await add_channel(parley, "Main channel")
    ada = await join("ada", uses=YES_TO_ALL, grants=(*HOST, "broadcast"))
    await go_live(ada, "Main channel")
    await answer(ada, "yes")
    await indicator(ada, "live", "you are in", site="Partner TV")
    await end_broadcast(ada)


async def test_somebody_asks_to_be_removed_from_what_was_recorded(parley, join, explicit):
    ada = await join("ada", uses=YES_TO_ALL, grants=HOST)
    bo = await join("bo", uses={"record": True, "live": False})
    await ada.meets(bo)
    await ada.page.click("#control-record")
    for person in (ada, bo):
        await answer(person, "yes")
        await indicator(person, "record", "you are in")
    _, listed = await parley.api("GET", f"/recordings?room={explicit}")
    [recording] = [item["id"] for item in listed["items"]]
    await eventually(lambda: len(recorded_people(parley, recording)) == 2, "both are recorded")
    await ada.page.click("#control-record")
    await no_indicator(bo)
    await bo.page.click("#control-consent")
    await bo.page.click("#withdraw")
    await bo.page.click("#withdraw-no")
    assert await bo.page.evaluate("() => document.querySelector('.measured')") is None
    await bo.page.click("#withdraw")
    await bo.page.click("#withdraw-yes")
    await until(bo.page, "() => document.querySelector('.measured') !== null")
    assert await bo.text(".measured") == "You are being removed from one recording."
    await eventually(lambda: len(recorded_people(parley, recording)) == 1, "no file of bo is kept")
    # The files go first, the manifest that says what is left is signed last.
    left = recorded_people(parley, recording)
    await eventually(lambda: listed_people(parley, recording) == left, "bo is out")
