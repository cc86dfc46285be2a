"""A viewer moves between the layers of a camera, whatever codec and kind of layers it has."""

import asyncio
import time

import pytest

from tests.browser.page import BrowserPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.shares("the module's server and browser"),
]

WIDTH, HEIGHT, FPS = 960, 540, 12
QUARTER, HALF = HEIGHT // 4, HEIGHT // 2
ROUNDED = 2
"""Encoders round heights to even numbers and blocks."""
SWITCH_S = 1.0
"""A layer that was asked for is there after so long."""
FREEZE_S = 0.5
STARVED_FACTOR = 4

_PUBLISH = """async ([token, size, options]) => {
  const { Room } = await import("/static/sdk/parley.js");
  const [width, height, fps] = size;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let frame = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${frame * 5} 80% 50%)`;
    context.fillRect(0, 0, width, height);
    context.fillStyle = "white";
    context.fillRect((frame * 11) % width, (frame * 7) % height, width / 8, height / 8);
    frame += 1;
  }, 1000 / fps);
  const room = (globalThis.room = await Room.connect({ token }));
  await room.accept_terms(room.terms.version, true);
  await room.publish(canvas.captureStream(fps).getVideoTracks()[0], "camera", options);
}"""
_WATCH = """async (token) => {
  const { Room } = await import("/static/sdk/parley.js");
  const shown = (globalThis.shown = { height: 0, gap: 0, last: 0 });
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.append(video);
  const seen = (now, { height }) => {
    shown.height = height;
    shown.gap = Math.max(shown.gap, shown.last ? now - shown.last : 0);
    shown.last = now;
    video.requestVideoFrameCallback(seen);
  };
  video.requestVideoFrameCallback(seen);
  const take = ({ kind, track, media }) => {
    if (kind !== "video") return;
    globalThis.track = track;
    video.srcObject = new MediaStream([media]);
  };
  const room = (globalThis.room = await Room.connect({ token }));
  room.received.forEach(take);
  room.on("track_subscribed", take);
}"""
_ASK = "(height) => room.set_subscription(track, { height })"
_SHOWN = "() => { const now = { ...shown }; shown.gap = 0; return now; }"


async def _shows(page: BrowserPage, height: int, within_s: float) -> float:
    """Seconds until the picture has this height."""
    started = time.monotonic()
    while True:
        shown = await page.evaluate("() => shown.height")
        taken_s = time.monotonic() - started
        if abs(shown - height) <= ROUNDED:
            return taken_s
        assert taken_s < within_s, f"{shown} lines after {taken_s:.1f} s, {height} wanted"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("vp8", {"simulcast": True}),
        ("h264", {"simulcast": True}),
        ("vp9", {"simulcast": True}),
        ("av1", {"simulcast": True}),
        ("vp9", {"scalability_mode": "L3T3_KEY"}),
        ("av1", {"scalability_mode": "L3T3_KEY"}),
        ("vp9", {"scalability_mode": "L3T3"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(map(str, value.values()))),
)
async def test_a_viewer_gets_the_layer_that_it_asks_for(parley, browser, room, codec, options):
    status, body = await parley.api("POST", "/rooms", {"name": room, "video_codecs": [codec]})
    assert status == 201, body
    publisher, viewer = await browser.page(), await browser.page()
    try:
        for page in (publisher, viewer):
            await page.goto(parley.url)
        token = parley.token(room, "near", grants=("join", "publish"))
        await publisher.evaluate(_PUBLISH, [token, [WIDTH, HEIGHT, FPS], options])
        await viewer.evaluate(_WATCH, parley.token(room, "far", grants=("join", "subscribe")))
        await _shows(viewer, HEIGHT, 30)
        took, gaps = [], []
        for height in (QUARTER, HALF, HEIGHT, QUARTER, HEIGHT):
            await viewer.evaluate(_SHOWN)
            await viewer.evaluate(_ASK, height)
            took.append(await _shows(viewer, height, SWITCH_S * STARVED_FACTOR))
            await asyncio.sleep(0.5)
            gaps.append((await viewer.evaluate(_SHOWN))["gap"] / 1000)
        print(
            f"{codec} {options}: to each layer in {', '.join(f'{s * 1000:.0f}' for s in took)} ms, "
            f"longest gap {max(gaps) * 1000:.0f} ms"
        )
        assert max(gaps) <= FREEZE_S * STARVED_FACTOR
    finally:
        await publisher.close()
        await viewer.close()
