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
    frozen_s: float
    width: int
    height: int
    lost: int
    nacks: int
    at: float


async def watch(page: ChromiumPage) -> None:
    """Keep every peer connection that the page will make, for `videos`."""
    await page.page.add_init_script(_HOOK)


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
            frozen_s=float(str(row.get("totalFreezesDuration", 0.0))),
            width=int(str(row.get("frameWidth", 0))),
            height=int(str(row.get("frameHeight", 0))),
            lost=int(str(row.get("packetsLost", 0))),
            nacks=int(str(row.get("nackCount", 0))),
            at=time.monotonic(),
        )
        for row in await stats(page)
        if row["type"] == "inbound-rtp" and row["kind"] == "video"
    ]
