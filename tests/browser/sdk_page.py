"""Pages that use the SDK alone: a camera that takes bits, and a viewer that notes what it is shown."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.browser.page import BrowserPage
from tests.browser.parley import Parley

ROUNDED = 2
"""Encoders round heights to even numbers and blocks."""

_PUBLISH = """async ([token, [width, height, fps], is_rich, options, is_heard]) => {
  const { Room } = await import("/static/sdk/parley.js");
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const noise = new ImageData(width, Math.round(height / 6));
  let frame = 0;
  setInterval(() => {
    if (globalThis.is_still) return;
    context.fillStyle = `hsl(${frame * 3} 80% 50%)`;
    context.fillRect(0, 0, width, height);
    context.fillStyle = "white";
    context.fillRect((frame * 11) % width, (frame * 7) % height, width / 8, height / 8);
    frame += 1;
    if (!is_rich) return;
    // A band of fresh noise takes bits.
    const data = new Uint32Array(noise.data.buffer);
    for (let at = 0; at < data.length; at += 2) {
      data[at] = data[at + 1] = 0xff000000 | (Math.random() * 0x1000000);
    }
    context.putImageData(noise, 0, (frame * 7) % (height - noise.height));
  }, 1000 / fps);
  const made = (globalThis.connections = []);
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); made.push(this); }
  };
  const room = (globalThis.room = await Room.connect({ token }));
  await room.accept_terms(room.terms.version, true);
  await room.publish(canvas.captureStream(fps).getVideoTracks()[0], "camera", options);
  if (!is_heard) return;
  const sound = new AudioContext();
  const tone = new OscillatorNode(sound, { frequency: 440 });
  const sink = sound.createMediaStreamDestination();
  tone.connect(sink);
  tone.start();
  await room.publish(sink.stream.getAudioTracks()[0], "mic");
}"""
_WATCH = """async (token) => {
  const { Room } = await import("/static/sdk/parley.js");
  const shown = (globalThis.shown = { height: 0, gap: 0, last: 0, frames: 0, pictures: [] });
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.append(video);
  const seen = (now, { height }) => {
    shown.height = height;
    shown.gap = Math.max(shown.gap, shown.last ? now - shown.last : 0);
    shown.last = now;
    shown.frames += 1;
    shown.pictures.push([now, height]);
    video.requestVideoFrameCallback(seen);
  };
  video.requestVideoFrameCallback(seen);
  const take = ({ kind, track, media }) => {
    const srcObject = new MediaStream([media]);
    if (kind === "audio") {
      document.body.append(Object.assign(new Audio(), { autoplay: true, srcObject }));
      return;
    }
    globalThis.track = track;
    video.srcObject = srcObject;
  };
  const room = (globalThis.room = await Room.connect({ token }));
  room.received.forEach(take);
  room.on("track_subscribed", take);
  const starved = new Map();
  const starved_ms = (track) => {
    const { sum, since } = starved.get(track) ?? { sum: 0, since: null };
    return sum + (since === null ? 0 : performance.now() - since);
  };
  room.on("layer", ({ track, state }) => {
    starved.set(track, { sum: starved_ms(track), since: state === "starved" ? performance.now() : null });
  });
  globalThis.starvation = () => room.received.map(({ track, media }) => [media.id, starved_ms(track)]);
}"""
_SENDING = """async () => {
  const rows = [];
  for (const row of (await connections.at(-1).getStats()).values()) {
    if (row.type === "outbound-rtp") rows.push([row.rid, row.framesEncoded]);
  }
  return rows.sort();
}"""
_HOLD = "(is_still) => { globalThis.is_still = is_still; }"
_THIN = "(temporal) => room.set_subscription(track, { temporal })"
_ASK = "(height) => room.set_subscription(track, { height })"
_PAUSE = "(is_paused) => room.set_subscription(track, { enabled: !is_paused })"
_PICTURES = "() => shown.pictures.map(([at, height]) => [(performance.now() - at) / 1000, height])"
_GAP = "() => { const gap = Math.max(shown.gap, performance.now() - shown.last); shown.gap = 0; return gap; }"


async def publish(
    page: BrowserPage,
    parley: Parley,
    room: str,
    *,
    size: tuple[int, int],
    fps: int,
    options: dict[str, object],
    is_rich: bool = False,
    is_heard: bool = False,
    identity: str = "near",
) -> None:
    """Let a page publish its camera in a room, with the SDK's options; a rich picture takes many bits.

    `is_heard`: with a sound.
    """
    await page.goto(parley.url)
    token = parley.token(room, identity, grants=("join", "publish"))
    await page.evaluate(_PUBLISH, [token, [*size, fps], is_rich, options, is_heard])


async def encoded(page: BrowserPage) -> dict[str | None, int]:
    """Frames that a page that publishes has encoded, by rid; None: without one."""
    return dict(await page.evaluate(_SENDING))


async def hold(page: BrowserPage, *, is_still: bool) -> None:
    """Let the picture of a page that publishes stand still, so that no frame is made, or go on."""
    await page.evaluate(_HOLD, is_still)


async def sends(page: BrowserPage, rids: Sequence[str | None], within_s: float) -> None:
    """Wait until a page that publishes encodes these layers alone; None: the one that has no name.

    Raises:
        AssertionError: it encodes others, or not all of these.
    """
    started = time.monotonic()
    while True:
        before = await encoded(page)
        await asyncio.sleep(0.5)
        after = await encoded(page)
        active = [rid for rid in after if after[rid] > before.get(rid, 0)]
        if active == list(rids):
            return
        assert time.monotonic() - started < within_s, f"{active} are encoded, {rids} wanted"


@dataclass(frozen=True)
class Watching:
    """A page that watches the one camera of a room."""

    page: BrowserPage

    @classmethod
    async def start(cls, page: BrowserPage, parley: Parley, room: str) -> "Watching":
        await page.goto(parley.url)
        await page.evaluate(_WATCH, parley.token(room, "far", grants=("join", "subscribe")))
        return cls(page)

    async def ask(self, height: int) -> None:
        """Ask for a picture of so many lines."""
        await self.page.evaluate(_ASK, height)

    async def ask_temporal(self, temporal: int | None) -> None:
        """Ask for pictures up to a temporal layer; None: all."""
        await self.page.evaluate(_THIN, temporal)

    async def pause(self, *, is_paused: bool) -> None:
        """Let nothing of the camera come, or go on."""
        await self.page.evaluate(_PAUSE, is_paused)

    async def goes_on(self, within_s: float) -> float:
        """Seconds until a new picture is shown.

        Raises:
            AssertionError: there is none in time.
        """
        started, before = time.monotonic(), await self.page.evaluate("() => shown.frames")
        while await self.page.evaluate("() => shown.frames") == before:
            assert time.monotonic() - started < within_s, f"no picture in {within_s} s"
            await asyncio.sleep(0.02)
        return time.monotonic() - started

    async def starved_s(self) -> dict[str, float]:
        """For how long the page was told that its path does not carry a media, by the media's id."""
        return {media: ms / 1000 for media, ms in await self.page.evaluate("() => starvation()")}

    async def pictures(self) -> list[tuple[float, int]]:
        """All that were shown: how many seconds ago, and of what height."""
        return [(ago_s, height) for ago_s, height in await self.page.evaluate(_PICTURES)]

    async def frames_in(self, span_s: float) -> int:
        """How many new pictures come in so long."""
        before = await self.page.evaluate("() => shown.frames")
        await asyncio.sleep(span_s)
        return int(await self.page.evaluate("() => shown.frames")) - int(before)

    async def shows(self, heights: set[int], within_s: float) -> float:
        """Seconds until the picture has one of these heights.

        Raises:
            AssertionError: it does not in time.
        """
        started = time.monotonic()
        while True:
            shown = await self.page.evaluate("() => shown.height")
            taken_s = time.monotonic() - started
            if any(abs(shown - height) <= ROUNDED for height in heights):
                return taken_s
            assert taken_s < within_s, f"{shown} lines after {taken_s:.1f} s, {heights} wanted"
            await asyncio.sleep(0.05)

    async def longest_gap_s(self) -> float:
        """The longest time without a new picture since the last call."""
        return float(await self.page.evaluate(_GAP)) / 1000
