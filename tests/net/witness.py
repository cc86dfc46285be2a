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
    rows.push(...(await connection.getStats()).values());
  }
  return rows.filter(({ type }) => type === "inbound-rtp" || type === "transport");
}"""
_WRAPPING = 28
"""Bytes of IP and UDP around a datagram, which browsers do not count."""


@dataclass(frozen=True, slots=True)
class Received:
    """One received video, since the page began."""

    media: str
    """Id of its MediaStreamTrack."""
    frames: int
    decoded: int
    frozen_s: float
    nacks: int


async def watch(page: ChromiumPage) -> None:
    """Keep every peer connection that the page will make, for `videos`."""
    await page.page.add_init_script(_HOOK)


async def videos(page: ChromiumPage) -> list[Received]:
    """What the page receives of each video."""
    return [
        Received(
            media=str(row.get("trackIdentifier", "")),
            frames=int(str(row.get("framesReceived", 0))),
            decoded=int(str(row.get("framesDecoded", 0))),
            frozen_s=float(str(row.get("totalFreezesDuration", 0.0))),
            nacks=int(str(row.get("nackCount", 0))),
        )
        for row in await _rows(page)
        if row["type"] == "inbound-rtp" and row["kind"] == "video"
    ]


async def sound_ahead_s(page: ChromiumPage) -> float | None:
    """How far the sound that the page plays is ahead of its picture by the sender's clock; None: unknown."""
    rows = [row for row in await _rows(page) if row["type"] == "inbound-rtp"]
    played = {row["kind"]: row.get("estimatedPlayoutTimestamp") for row in rows}
    if played.get("audio") is None or played.get("video") is None:
        return None
    return (float(str(played["audio"])) - float(str(played["video"]))) / 1000


async def taken_bytes(page: ChromiumPage) -> int:
    """What has come over the page's media transports since it began, headers of IP and UDP included."""
    rows = [row for row in await _rows(page) if row["type"] == "transport"]
    return sum(int(str(row["bytesReceived"])) + _WRAPPING * int(str(row["packetsReceived"])) for row in rows)


async def _rows(page: ChromiumPage) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = await page.page.evaluate(_READ)
    return rows
