"""A real browser that publishes through a path which loses packets: what a viewer on a clean one gets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser import chromium, firefox
from tests.browser.chromium import ChromiumPage
from tests.browser.page import BrowserPage
from tests.browser.parley import serve
from tests.browser.sdk_page import Watching, encoded, hold, publish
from tests.net.bridge import bridge
from tests.net.link import Link, link
from tests.net.namespace import MACHINE
from tests.net.shaper import Conditions
from tests.net.witness import Received, videos, watch
from tests.support.figures import keep, tell
from tests.support.promises import STARVED_FACTOR

MEASURED_S = 30
NOTICED_S = 5
"""In which the publisher's own estimate of its path has heard of the loss."""
REPAIRED_S = 2.0
"""In which what is under way arrives, repairs included."""
MOVES_S = 1.0
"""In which a picture that stood still moves again at the viewer."""
STILL_FPS = 2
"""Firefox sends a picture that stands still again, once a second; from here on it moves."""
SIZE, FPS = (640, 360), 20
DECODED = 0.985
"""Of all frames that were encoded."""
SEEN_FPS = 5
"""What a camera on a shared machine makes at least; the share is what counts."""
NO_FREEZE_S = 0.5
LOSSY = Conditions(delay_s=0.05, loss=0.05)

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(180)]

_REPAIRS = """async () => {
  const rows = [...(await connections.at(-1).getStats()).values()];
  const [row] = rows.filter(({ type, kind }) => type === "outbound-rtp" && kind === "video");
  return [row.nackCount, row.retransmittedPacketsSent ?? 0, row.pliCount];
}"""


@dataclass(frozen=True)
class Stage:
    """A publisher behind the link, and a viewer here."""

    net: Link
    camera: BrowserPage
    page: ChromiumPage
    viewer: Watching

    async def video(self) -> Received:
        """What the viewer receives of the publisher's camera."""
        return (await videos(self.page))[0]

    async def drained(self) -> tuple[int, Received]:
        """Frames that were encoded, and what came of them; none is under way, or waits at the publisher."""
        await hold(self.camera, is_still=True)
        before, now = None, await self.video()
        while before is None or now.decoded - before.decoded > STILL_FPS * REPAIRED_S:
            await asyncio.sleep(REPAIRED_S)
            before, now = now, await self.video()
        made = sum((await encoded(self.camera)).values())
        await hold(self.camera, is_still=False)
        return made, now


@contextlib.asynccontextmanager
async def stage(tmp_path: Path, publisher: str) -> AsyncIterator[Stage]:
    """Both in a room, and the camera is seen."""
    launch = chromium.launch if publisher == "chromium" else firefox.launch
    async with (
        link() as net,
        serve(tmp_path / "data", arguments=["--media-bind", net.near_ip]) as parley,
        bridge(net.far, int(parley.url.rsplit(":", 1)[1]), MACHINE, int(parley.url.rsplit(":", 1)[1])),
        launch(far=net.far) as there,
        chromium.launch() as here,
    ):
        far, near = await there.page(), await here.page()
        await watch(near)
        await publish(far, parley, "net", size=SIZE, fps=FPS, options={}, is_rich=True)
        viewer = await Watching.start(near, parley, "net")
        await viewer.goes_on(30)
        yield Stage(net, far, near, viewer)


@pytest.mark.parametrize("publisher", ["chromium", pytest.param("firefox", marks=pytest.mark.wide)])
async def test_loss_on_the_way_of_a_publisher_is_repaired_for_its_viewers(
    tmp_path: Path, publisher: str
) -> None:
    async with stage(tmp_path, publisher) as there:
        await there.net.shape(up=LOSSY, down=Conditions(delay_s=LOSSY.delay_s))
        await asyncio.sleep(NOTICED_S)
        encoded_before, before = await there.drained()
        repairs_before = await there.camera.evaluate(_REPAIRS)
        await there.net.report()
        await asyncio.sleep(MOVES_S)
        frozen_before = (await there.video()).frozen_s
        await there.viewer.longest_gap_s()
        await asyncio.sleep(MEASURED_S)
        gap_s = await there.viewer.longest_gap_s()
        frozen_s = (await there.video()).frozen_s - frozen_before
        encoded_after, after = await there.drained()
        repairs_after = await there.camera.evaluate(_REPAIRS)
        up, _ = await there.net.report()
    made, came = encoded_after - encoded_before, after.decoded - before.decoded
    decoded = came / max(made, 1)
    nacks, sent_again, plis = (
        late - early for late, early in zip(repairs_after, repairs_before, strict=True)
    )
    tell(
        f"5 % loss up, RTT 100 ms, {publisher} publishes: {decoded:.2%} ({came} of {made}) of the encoded "
        f"frames decoded, longest gap {gap_s * 1000:.0f} ms, "
        f"frozen for {frozen_s:.2f} s as the browser counts; "
        f"{up.lost} of {up.lost + up.packets} packets lost, the publisher was sent {nacks} NACKs "
        f"and {plis} PLIs and sent {sent_again} packets again, "
        f"the viewer sent {after.nacks - before.nacks} NACKs"
    )
    keep(
        f"uplink-{publisher}",
        {
            "publisher": publisher,
            "seconds": MEASURED_S,
            "decoded": round(decoded, 5),
            "encoded_frames": made,
            "longest_gap_ms": round(gap_s * 1000),
            "frozen_s": round(frozen_s, 2),
            "lost_packets": up.lost,
            "packets": up.lost + up.packets,
        },
    )
    assert up.lost > 0
    assert made > SEEN_FPS * MEASURED_S
    assert decoded >= DECODED
    assert gap_s <= NO_FREEZE_S * STARVED_FACTOR
