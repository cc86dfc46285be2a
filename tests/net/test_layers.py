"""A viewer moves between the layers of a camera, whatever codec and kind of layers it has."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browser import chromium, firefox
from tests.browser.page import BrowserPage, until
from tests.browser.parley import Parley, serve
from tests.browser.sdk_page import Watching, publish, sends
from tests.support.figures import keep, tell
from tests.support.promises import STARVED_FACTOR

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

WIDTH, HEIGHT, FPS = 960, 540, 12
QUARTER, HALF = HEIGHT // 4, HEIGHT // 2
ASKED = (QUARTER, HALF, HEIGHT, QUARTER, HEIGHT)
SWITCH_S = 1.0
"""A layer that was asked for is there after so long."""
FREEZE_S = 0.5
RESTS_AFTER_S = 5.0
COUNTED_S = 1.5
MOST_BPS = 400_000
_SENDS = """async () => {
  const rows = [...(await connections.at(-1).getStats()).values()];
  return rows.filter(({ rid, framesEncoded }) => rid && framesEncoded > 0).length > 0;
}"""
_MODE = """async () => {
  const rows = [...(await connections.at(-1).getStats()).values()];
  const [row] = rows.filter(({ type, kind }) => type === "outbound-rtp" && kind === "video");
  return [row.scalabilityMode, row.frameHeight];
}"""
# Takes the camera back and publishes it again, with each of these options in turn; the m-sections then,
# and the bit rates that are allowed.
_AGAIN = """async (turns) => {
  const { media } = room.published.find(({ source }) => source === "camera");
  for (const options of turns) {
    await room.unpublish("camera");
    await room.publish(media, "camera", options);
  }
  const connection = connections.at(-1);
  const sending = connection.getTransceivers().find(({ direction }) => direction === "sendonly");
  const { encodings } = sending.sender.getParameters();
  const sections = connection.localDescription.sdp.match(/^m=/gm).length;
  return [sections, encodings.map(({ maxBitrate }) => maxBitrate)];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    """A running server."""
    async with serve(tmp_path_factory.mktemp("parley") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[chromium.Chromium]:
    """A running Chromium."""
    async with chromium.launch() as running:
        yield running


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("vp8", {"simulcast": True}),
        pytest.param("h264", {"simulcast": True}, marks=pytest.mark.wide),
        pytest.param("vp9", {"simulcast": True}, marks=pytest.mark.wide),
        pytest.param("av1", {"simulcast": True}, marks=pytest.mark.wide),
        ("vp9", {"scalability_mode": "L3T3_KEY"}),
        pytest.param("av1", {"scalability_mode": "L3T3_KEY"}, marks=pytest.mark.wide),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
async def test_a_viewer_gets_the_layer_that_it_asks_for(
    parley: Parley, browser: chromium.Chromium, codec: str, options: dict[str, object]
) -> None:
    room = f"{codec}-{'-'.join(options)}"
    status, body = await parley.api("POST", "/rooms", {"name": room, "video_codecs": [codec]})
    assert status == 201, body
    publisher, page = await browser.page(), await browser.page()
    try:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options=options)
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)
        await _thins_out(viewer, codec)
        await viewer.longest_gap_s()
        took, gaps = [], []
        for height in ASKED:
            await viewer.ask(height)
            took.append(await viewer.shows({height}, SWITCH_S * STARVED_FACTOR))
            gaps.append(await viewer.longest_gap_s())
        tell(
            f"{codec} {options}: to each layer in {', '.join(f'{s * 1000:.0f}' for s in took)} ms, "
            f"longest gap {max(gaps) * 1000:.0f} ms"
        )
        keep(
            f"layers-{room}",
            {
                "codec": codec,
                "options": options,
                "asked": ASKED,
                "after_ms": [round(s * 1000) for s in took],
                "longest_gap_ms": [round(s * 1000) for s in gaps],
            },
        )
        assert max(gaps) <= FREEZE_S * STARVED_FACTOR
    finally:
        await publisher.close()
        await page.close()


async def _thins_out(viewer: Watching, codec: str) -> None:
    """The lowest temporal layer has a quarter of the pictures, and all of them come back."""
    all_of_them = FPS * COUNTED_S
    told = []
    for temporal, least, most in ((None, 0.6, 1.5), (0, 0.05, 0.5), (None, 0.6, 1.5)):
        await viewer.ask_temporal(temporal)
        deadline = time.monotonic() + (SWITCH_S + COUNTED_S) * STARVED_FACTOR
        share = -1.0
        while not least <= share <= most:
            assert time.monotonic() < deadline, f"{share:.2f} of the pictures come, {least} to {most} wanted"
            share = await viewer.frames_in(COUNTED_S) / all_of_them
        told.append(f"{share:.2f}")
    tell(f"{codec}: of the pictures {', '.join(told)} come: all, of the lowest temporal layer, all again")


@contextlib.asynccontextmanager
async def camera_page(name: str, browser: chromium.Chromium) -> AsyncIterator[BrowserPage]:
    """A page of the module's Chromium, or of a Firefox of its own."""
    async with contextlib.AsyncExitStack() as stack:
        page: BrowserPage
        if name == "chromium":
            page = await browser.page()
        else:
            page = await (await stack.enter_async_context(firefox.launch())).page()
        stack.push_async_callback(page.close)
        yield page


@pytest.mark.parametrize("name", ["chromium", pytest.param("firefox", marks=pytest.mark.wide)])
async def test_a_layer_that_nobody_watches_rests_and_is_back_at_once(
    parley: Parley, browser: chromium.Chromium, name: str
) -> None:
    room = f"resting-{name}"
    async with camera_page(name, browser) as publisher, camera_page("chromium", browser) as page:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options={"simulcast": True})
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)
        await viewer.ask(QUARTER)
        await viewer.shows({QUARTER}, SWITCH_S * STARVED_FACTOR)
        await sends(publisher, ["l"], RESTS_AFTER_S * STARVED_FACTOR)
        await viewer.longest_gap_s()
        await viewer.ask(HEIGHT)
        back_s = await viewer.shows({HEIGHT}, SWITCH_S * STARVED_FACTOR)
        gap_s = await viewer.longest_gap_s()
        tell(
            f"{name}: a rested layer is back after {back_s * 1000:.0f} ms, longest gap {gap_s * 1000:.0f} ms"
        )
        keep(
            f"rest-{name}",
            {"publisher": name, "back_ms": round(back_s * 1000), "longest_gap_ms": round(gap_s * 1000)},
        )
        assert gap_s <= FREEZE_S * STARVED_FACTOR


@pytest.mark.parametrize("codec", ["vp9", pytest.param("av1", marks=pytest.mark.wide)])
async def test_spatial_layers_that_nobody_watches_rest_and_are_back_at_once(
    parley: Parley, browser: chromium.Chromium, codec: str
) -> None:
    room = f"upper-{codec}"
    status, body = await parley.api("POST", "/rooms", {"name": room, "video_codecs": [codec]})
    assert status == 201, body
    options: dict[str, object] = {"scalability_mode": "L3T3_KEY"}
    async with camera_page("chromium", browser) as publisher, camera_page("chromium", browser) as page:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options=options)
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)
        gaps = []
        for height, mode in ((QUARTER, "L1T3"), (HALF, "L2T3_KEY"), (QUARTER, "L1T3")):
            await viewer.ask(height)
            await viewer.shows({height}, SWITCH_S * STARVED_FACTOR)
            await viewer.longest_gap_s()
            await _encodes(publisher, mode, height, RESTS_AFTER_S * STARVED_FACTOR)
            await viewer.shows({height}, SWITCH_S * STARVED_FACTOR)
            gaps.append(await viewer.longest_gap_s())
        await viewer.ask(HEIGHT)
        back_s = await viewer.shows({HEIGHT}, SWITCH_S * STARVED_FACTOR)
        gaps.append(await viewer.longest_gap_s())
        await _encodes(publisher, "L3T3_KEY", HEIGHT, SWITCH_S * STARVED_FACTOR)
        tell(
            f"{codec}: spatial layers that rested are back after {back_s * 1000:.0f} ms, "
            f"longest gap {max(gaps) * 1000:.0f} ms"
        )
        keep(
            f"spatial-{codec}", {"back_ms": round(back_s * 1000), "gaps_ms": [round(s * 1000) for s in gaps]}
        )
        assert max(gaps) <= FREEZE_S * STARVED_FACTOR


async def _encodes(publisher: BrowserPage, mode: str, height: int, within_s: float) -> None:
    """Wait until a camera of one encoding is encoded in these layers, the largest of this height."""
    deadline = time.monotonic() + within_s
    while (found := await publisher.evaluate(_MODE)) != [mode, height]:
        assert time.monotonic() < deadline, f"{found} is encoded, {mode} of {height} lines wanted"
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("chromium", "vp8", {}),
        pytest.param("chromium", "vp9", {"scalability_mode": "L3T3_KEY"}, marks=pytest.mark.wide),
        pytest.param("firefox", "vp8", {}, marks=pytest.mark.wide),
    ],
    ids=["chromium", "chromium-svc", "firefox"],
)
async def test_a_camera_of_one_encoding_that_nobody_watches_rests_and_is_back_at_once(
    parley: Parley, browser: chromium.Chromium, name: str, codec: str, options: dict[str, object]
) -> None:
    room = f"whole-{name}-{codec}"
    status, body = await parley.api("POST", "/rooms", {"name": room, "video_codecs": [codec]})
    assert status == 201, body
    async with camera_page(name, browser) as publisher, camera_page("chromium", browser) as page:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options=options)
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)
        await viewer.pause(is_paused=True)
        await sends(publisher, [], RESTS_AFTER_S * STARVED_FACTOR)
        await viewer.pause(is_paused=False)
        back_s = await viewer.goes_on(SWITCH_S * STARVED_FACTOR)
        await sends(publisher, [None], SWITCH_S * STARVED_FACTOR)
        tell(f"{name}, {codec}: a camera that rested is back after {back_s * 1000:.0f} ms")


@pytest.mark.wide
async def test_a_camera_that_rested_when_it_ended_sends_when_it_is_published_again(
    parley: Parley, browser: chromium.Chromium
) -> None:
    room = "again"
    async with camera_page("chromium", browser) as publisher, camera_page("chromium", browser) as page:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options={})
        await sends(publisher, [None], RESTS_AFTER_S * STARVED_FACTOR)
        await sends(publisher, [], RESTS_AFTER_S * STARVED_FACTOR)
        await publisher.evaluate(_AGAIN, [{}])
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)


@pytest.mark.parametrize("name", ["chromium", pytest.param("firefox", marks=pytest.mark.wide)])
async def test_a_camera_published_again_sends_the_layers_that_rested_before(
    parley: Parley, browser: chromium.Chromium, name: str
) -> None:
    """Layers rest; what is published then is all there for who comes, with its own options."""
    room = f"anew-{name}"
    async with camera_page(name, browser) as publisher, camera_page("chromium", browser) as page:
        await publish(publisher, parley, room, size=(WIDTH, HEIGHT), fps=FPS, options={"simulcast": True})
        await until(publisher, _SENDS)
        await sends(publisher, [], RESTS_AFTER_S * STARVED_FACTOR)
        simulcast: dict[str, object] = {"simulcast": True}
        await publisher.evaluate(_AGAIN, [simulcast, {"max_bitrate_bps": MOST_BPS}, simulcast])
        viewer = await Watching.start(page, parley, room)
        await viewer.shows({HEIGHT}, 30)
        sections, bps = await publisher.evaluate(_AGAIN, [{"max_bitrate_bps": MOST_BPS / 2}])
        assert bps == [MOST_BPS / 2], "as it was asked for"
        assert sections == 2, "the first stays, the other is used again"
