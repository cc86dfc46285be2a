"""The browser's own account of what it receives: `getStats` of every peer connection of a page."""

import time
from dataclasses import dataclass

from playwright.async_api import Page

from tests.browser.chromium import ChromiumPage

_HOOK = """
(() => {
  const made = (window.connections = []);
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); made.push(this); }
  };
})();
"""
_READ = """async () => {
  const rows = [];
  for (const connection of window.connections) {
    if (connection.connectionState === "closed") continue;
    for (const row of (await connection.getStats()).values()) {
      if (row.type === "inbound-rtp" || row.type === "outbound-rtp" || row.type === "candidate-pair"
          || row.type === "remote-inbound-rtp" || row.type === "local-candidate") rows.push(row);
    }
  }
  return rows;
}"""


@dataclass(frozen=True, slots=True)
class Received:
    """One received video, since the page began."""

    frames: int
    decoded: int
    dropped: int
    freezes: int
    frozen_s: float
    width: int
    height: int
    received_bytes: int
    lost: int
    nacks: int
    at: float


_LIVELY = """
(() => {
  const [width, height, fps] = SIZE;
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = new MediaStream();
    if (wanted.video) {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d");
      const noise = new ImageData(width, 64);
      let frame = 0;
      setInterval(() => {
        // A moving picture that takes bits: bands of fresh noise over a drifting ramp.
        const data = new Uint32Array(noise.data.buffer);
        for (let at = 0; at < data.length; at += 2) {
          data[at] = data[at + 1] = 0xff000000 | (Math.random() * 0x1000000);
        }
        context.fillStyle = `hsl(${frame * 3} 80% 50%)`;
        context.fillRect(0, 0, width, height);
        context.putImageData(noise, 0, (frame * 7) % (height - 64));
        frame += 1;
      }, 1000 / fps);
      stream.addTrack(canvas.captureStream(fps).getVideoTracks()[0]);
    }
    if (wanted.audio) {
      const audio = new AudioContext();
      const tone = audio.createOscillator();
      const out = audio.createMediaStreamDestination();
      tone.connect(out);
      tone.start();
      stream.addTrack(out.stream.getAudioTracks()[0]);
    }
    return stream;
  };
})();
"""
_GAPS = """() => {
  const gaps = (window.gaps = { longest: 0 });
  const video = [...document.querySelectorAll(".tile:not(.tile-self) video")].find((one) => one.srcObject);
  let last = performance.now();
  const seen = (now) => {
    gaps.longest = Math.max(gaps.longest, now - last);
    last = now;
    if (window.gaps === gaps) video.requestVideoFrameCallback(seen);
  };
  video.requestVideoFrameCallback(seen);
}"""


async def watch(page: ChromiumPage) -> None:
    """Keep every peer connection that the page will make, for `videos`."""
    await page.page.add_init_script(_HOOK)


async def film(page: ChromiumPage, width: int, height: int, fps: int) -> None:
    """Let the page's camera show a picture that takes bits, and its microphone a tone."""
    await page.page.add_init_script(_LIVELY.replace("SIZE", str([width, height, fps])))


async def count_gaps(page: ChromiumPage) -> None:
    """Begin anew to note the longest time between two pictures that the first other person's tile shows."""
    await page.evaluate(_GAPS)


async def longest_gap(page: ChromiumPage) -> float:
    """That time so far, seconds."""
    return float(await page.evaluate("() => window.gaps.longest")) / 1000


async def stats(page: ChromiumPage | Page) -> list[dict[str, object]]:
    """All rows of interest, as the browser names them."""
    rows: list[dict[str, object]] = await page.evaluate(_READ)
    return rows


async def videos(page: ChromiumPage) -> list[Received]:
    """What the page receives of each video."""
    return [
        Received(
            frames=int(str(row.get("framesReceived", 0))),
            decoded=int(str(row.get("framesDecoded", 0))),
            dropped=int(str(row.get("framesDropped", 0))),
            freezes=int(str(row.get("freezeCount", 0))),
            frozen_s=float(str(row.get("totalFreezesDuration", 0.0))),
            width=int(str(row.get("frameWidth", 0))),
            height=int(str(row.get("frameHeight", 0))),
            received_bytes=int(str(row.get("bytesReceived", 0))),
            lost=int(str(row.get("packetsLost", 0))),
            nacks=int(str(row.get("nackCount", 0))),
            at=time.monotonic(),
        )
        for row in await stats(page)
        if row["type"] == "inbound-rtp" and row["kind"] == "video"
    ]
