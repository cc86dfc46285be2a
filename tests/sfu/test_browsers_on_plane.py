"""Real browsers see and hear each other through the native core, without signalling."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sfu import CodecPolicy, MediaConfig, MediaPlane, PeerFailed, Router, SubscriberId, TrackId
from tests.browser import chromium, firefox
from tests.browser.page import BrowserPage, Capture, hears, is_silent, sees, until
from tests.sfu.page_server import media_address, serve

pytestmark = pytest.mark.browser

_WIDTH = "async (width) => (await inbound(down)).some((s) => s.kind === 'video' && s.width === width)"
RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (40, 160, 60)


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    config = MediaConfig(addresses=(media_address(),), port=0, gate_slots=64)
    plane = await MediaPlane.start(config)
    yield plane.router("r", CodecPolicy())
    await plane.close()


async def meets(page: BrowserPage, url: str, owner: str) -> dict[str, TrackId]:
    """Load the page and publish."""
    await page.goto(url)
    return await page.evaluate("(owner) => publish(owner)", owner)


async def test_two_chromium_tabs_see_and_hear_each_other(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        one = await browser.page(Capture(RED, 500))
        two = await browser.page(Capture(BLUE, 900))
        first = await meets(one, url, "p_one")
        second = await meets(two, url, "p_two")
        await one.evaluate("(tracks) => subscribe('p_one', tracks)", list(second.values()))
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", list(first.values()))
        await sees(one, "video", BLUE)
        await sees(two, "video", RED)
        await hears(one, "audio", 900)
        await hears(two, "audio", 500)
        assert one.messages == two.messages == []
        await router.set_enabled(TrackId(first["audio"]), False)
        await is_silent(two, "audio")
        await router.set_enabled(TrackId(first["audio"]), True)
        await hears(two, "audio", 500)


@pytest.mark.wide
async def test_chromium_and_firefox_see_and_hear_each_other(router: Router) -> None:
    async with (
        serve(router) as url,
        chromium.launch() as browser,
        firefox.launch(tone_hz=700) as other,
    ):
        one = await browser.page(Capture(RED, 500))
        two = await other.page(Capture(GREEN, 700))
        first = await meets(one, url, "p_one")
        second = await meets(two, url, "p_two")
        await one.evaluate("(tracks) => subscribe('p_one', tracks)", list(second.values()))
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", list(first.values()))
        await sees(one, "video", GREEN)
        await sees(two, "video", RED)
        await hears(one, "audio", 700)
        await hears(two, "audio", 500)


async def test_red_reaches_chromium_as_it_came_and_firefox_as_opus(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser, firefox.launch(tone_hz=700) as other:
        one, two = await browser.page(Capture(RED, 500)), await browser.page(Capture(BLUE, 900))
        three = await other.page(Capture(GREEN, 700))
        tracks = await meets(one, url, "p_one")
        for page, owner in ((two, "p_two"), (three, "p_three")):
            await page.goto(url)
            await page.evaluate("([owner, track]) => subscribe(owner, [track])", [owner, tracks["audio"]])
            await hears(page, "audio", 500)
        with_red, without = sorted((await router.stats()).forwards, key=lambda forward: forward.peer)
        sizes = [row.counters["bytes"] / row.counters["packets"] for row in (with_red, without)]
        assert sizes[0] > 1.6 * sizes[1], "every frame comes twice, or once"
        # In-band FEC is agreed on as well, both ways.
        for page, connection in ((one, "up"), (two, "down"), (three, "down")):
            assert "useinbandfec=1" in await page.evaluate(f"() => {connection}.localDescription.sdp")
            assert "useinbandfec=1" in await page.evaluate(f"() => {connection}.remoteDescription.sdp")
        # A publisher echoes our reference times: the way there and back is known.
        deadline = asyncio.get_running_loop().time() + 4 * 2
        while not any(0 < peer.counters["rtt_us"] < 500_000 for peer in (await router.stats()).peers[:1]):
            assert asyncio.get_running_loop().time() < deadline, await router.stats()
            await asyncio.sleep(0.1)


async def test_a_subscriber_of_a_simulcast_track_gets_the_layer_that_it_asks_for(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        # The browser's own fake camera: simulcast needs a larger picture than the capture hook's.
        one = await browser.page()
        two = await browser.page()
        await one.goto(url)
        await two.goto(url)
        encodings = [{"rid": "l", "scaleResolutionDownBy": 2}, {"rid": "h"}]
        tracks = await one.evaluate("(encodings) => publish('p_one', encodings)", encodings)
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", list(tracks.values()))
        sub = SubscriberId(await two.evaluate("() => sub"))
        await until(two, _WIDTH, 640)
        await router.set_layer(sub, TrackId(tracks["video"]), spatial=0)
        await until(two, _WIDTH, 320)
        await router.set_layer(sub, TrackId(tracks["video"]))
        await until(two, _WIDTH, 640)


async def test_a_viewer_is_switched_between_publishers(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        one = await browser.page(Capture(RED, 500))
        two = await browser.page(Capture(BLUE, 900))
        viewer = await browser.page()
        first = await meets(one, url, "p_one")
        second = await meets(two, url, "p_two")
        await viewer.goto(url)
        answer = await viewer.evaluate("(tracks) => watch(tracks)", list(first.values()))
        await sees(viewer, "video", RED)
        await hears(viewer, "audio", 500)
        kinds = {track: kind for kind, track in first.items()}
        for mid, track in answer["tracks"]:
            await router.set_source(answer["peer"], mid, TrackId(second[kinds[track]]))
        await sees(viewer, "video", BLUE)
        await hears(viewer, "audio", 900)


async def test_ice_restarts_on_both_connections_and_media_goes_on(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        one = await browser.page(Capture(RED, 500))
        two = await browser.page(Capture(BLUE, 900))
        first = await meets(one, url, "p_one")
        await two.goto(url)
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", list(first.values()))
        await sees(two, "video", RED)
        before = await one.evaluate("() => localUfrag(up)"), await two.evaluate("() => localUfrag(down)")
        await one.evaluate("() => up.restartIce()")
        again = await one.evaluate("() => renegotiate('p_one')")
        await two.evaluate("() => restartDown()")
        after = await one.evaluate("() => localUfrag(up)"), await two.evaluate("() => localUfrag(down)")
        assert again == first
        assert before[0] != after[0]
        assert before[1] != after[1]
        await sees(two, "video", RED)
        await until(one, "() => up.connectionState === 'connected' && up.iceConnectionState !== 'checking'")
        await hears(two, "audio", 500)


async def test_a_screen_is_added_and_taken_away_while_the_camera_goes_on(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        one = await browser.page(Capture(RED, 500, screen=GREEN))
        two = await browser.page(Capture(BLUE, 900))
        first = await meets(one, url, "p_one")
        await two.goto(url)
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", list(first.values()))
        await sees(two, "video", RED)
        await one.evaluate("""async () => {
          const screen = await navigator.mediaDevices.getDisplayMedia({ video: true });
          globalThis.screenSender = up.addTransceiver(screen.getTracks()[0], { direction: "sendonly" });
        }""")
        second = await one.evaluate("() => renegotiate('p_one')")
        assert {kind: second[kind] for kind in first} == first
        screen = next(track for kind, track in second.items() if kind not in first)
        await two.evaluate("(tracks) => subscribe('p_two', tracks)", [screen])
        await sees(two, "video", GREEN)
        await sees(two, "video", RED)
        await one.evaluate("() => { screenSender.stop(); }")
        third = await one.evaluate("() => renegotiate('p_one')")
        assert third == first
        await sees(two, "video", RED)


async def test_a_closed_tab_is_noticed(router: Router) -> None:
    async with serve(router) as url, chromium.launch() as browser:
        one = await browser.page(Capture(RED, 500))
        await meets(one, url, "p_one")
        await until(one, "() => up.connectionState === 'connected'")
        await one.evaluate("() => up.close()")
        reasons = [event.reason for event in await _events_until_failure(router)]
        assert reasons == ["closed_by_peer"]


async def _events_until_failure(router: Router) -> list[PeerFailed]:
    async with asyncio.timeout(20):
        async for event in router.events:
            if isinstance(event, PeerFailed):
                return [event]
    return []
