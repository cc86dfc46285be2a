"""The harness itself: each kind of fake device is told apart by colour and pitch in a bare page."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.browser import chromium, firefox
from tests.browser.page import BrowserPage, Capture, hears, sees

pytestmark = pytest.mark.browser

_PAGE = """<!doctype html><link rel=icon href=data:,><title>t</title>
<video id=v autoplay muted playsinline></video><button>go</button><input>"""
_OPEN = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  document.querySelector('#v').srcObject = stream;
  const send = new RTCPeerConnection(), receive = new RTCPeerConnection();
  send.onicecandidate = ({ candidate }) => candidate && receive.addIceCandidate(candidate);
  receive.onicecandidate = ({ candidate }) => candidate && send.addIceCandidate(candidate);
  globalThis.connections = [send, receive];
  const far = document.body.appendChild(document.createElement('video'));
  far.id = 'far'; far.autoplay = true; far.srcObject = new MediaStream();
  receive.ontrack = ({ track }) => far.srcObject.addTrack(track);
  for (const track of stream.getTracks()) send.addTrack(track, stream);
  await send.setLocalDescription();
  await receive.setRemoteDescription(send.localDescription);
  await receive.setLocalDescription();
  await send.setRemoteDescription(receive.localDescription);
}"""


@pytest.fixture
async def page_url() -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def _check(page: BrowserPage, url: str, colour: tuple[int, int, int], tone_hz: int) -> None:
    await page.goto(url)
    await page.fill("input", "Hello")
    assert await page.evaluate("() => document.querySelector('input').value") == "Hello"
    await page.evaluate(
        "() => { document.querySelector('button').onclick = (e) => { globalThis.trusted = e.isTrusted } }"
    )
    await page.click("button")
    assert await page.evaluate("() => trusted") is True
    await page.evaluate(_OPEN)
    await sees(page, "#v", colour)
    await sees(page, "#far", colour)
    await hears(page, "#far", tone_hz)
    assert page.messages == []


async def test_chromium_plays_the_files_as_its_camera_and_microphone(page_url, tmp_path):
    async with chromium.launch(tmp_path, colour=(200, 40, 40), tone_hz=660) as browser:
        await _check(await browser.page(), page_url, (200, 40, 40), 660)


async def test_chromium_pages_have_capture_sources_of_their_own(page_url):
    async with chromium.launch() as browser:
        for colour, tone_hz in (((40, 160, 60), 500), ((40, 60, 200), 900)):
            await _check(await browser.page(Capture(colour, tone_hz)), page_url, colour, tone_hz)


async def test_firefox_pages_have_capture_sources_of_their_own(page_url):
    async with firefox.launch(tone_hz=700) as browser:
        await _check(await browser.page(Capture((200, 180, 40), 700)), page_url, (200, 180, 40), 700)
