"""The browser's own account of what it receives: `getStats` of every peer connection of a page."""

from dataclasses import dataclass

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
  for (const connection of new Set(window.connections)) {
    if (connection.connectionState === "closed") continue;
    for (const row of (await connection.getStats()).values()) {
      if (row.type === "inbound-rtp" && row.kind === "video") rows.push(row);
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
    nacks: int


async def watch(page: ChromiumPage) -> None:
    """Keep every peer connection that the page will make, for `videos`."""
    await page.page.add_init_script(_HOOK)


async def videos(page: ChromiumPage) -> list[Received]:
    """What the page receives of each video."""
    rows: list[dict[str, object]] = await page.page.evaluate(_READ)
    return [
        Received(
            frames=int(str(row.get("framesReceived", 0))),
            decoded=int(str(row.get("framesDecoded", 0))),
            frozen_s=float(str(row.get("totalFreezesDuration", 0.0))),
            nacks=int(str(row.get("nackCount", 0))),
        )
        for row in rows
    ]
