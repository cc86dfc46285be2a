"""A real browser behind a bad network: what it says itself of the picture that it gets."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import network_charts
from bench.network import StepFigures
from tests.browser import chromium, firefox
from tests.browser.chromium import ChromiumPage
from tests.browser.page import BrowserPage
from tests.browser.parley import serve
from tests.browser.sdk_page import Watching, encoded, hold, publish
from tests.net.bridge import bridge
from tests.net.link import Link, link
from tests.net.namespace import MACHINE
from tests.net.shaper import Conditions
from tests.net.timeline import Timeline
from tests.net.witness import Received, videos, watch
from tests.support.figures import keep, tell
from tests.support.promises import STARVED_FACTOR

HIGH, LOW, SHOWN = 360, 180, "h"
"""Heights of two encodings of a 640 x 360 camera, and the name of the first."""

FPS, WHOLE, WHOLE_WITHIN_S = 20, 0.7, 15
"""Pictures a second; the share of them from which all temporal layers are there; how long that may take."""
IS_MEASURED = "LOSSY_S" in os.environ
"""Whether to hold the machine to what is promised; 60 s or more of loss make the share of frames a figure."""
LOSSY_S = float(os.environ.get("LOSSY_S", "20"))
SLACK = 1 if IS_MEASURED else STARVED_FACTOR
NOTICED_S = 7
"""The SDK measures loss every three seconds, between two readings; then pictures wait for repairs."""
REPAIRED_S = 1.0
"""In which what is under way arrives, repairs included."""
DECODED, STARVED_DECODED = 0.995, 0.985
"""The promise, of all frames that were encoded, and what is asserted of few; the figure is printed."""
AGREES = 0.1
"""Share by which the browser's count of bytes may differ from the link's."""
SEEN_FPS = 5
"""What a camera on a shared machine makes at least; the shares are what is promised."""

NARROW_BPS, LOW_BPS = 1_000_000, 500_000
"""A narrow path, and what `web/sdk/encodings.js` allows the layer that it carries."""
USED = 0.6
"""Of what that layer may take, as the link counts, once it has settled."""
NO_FREEZE_S = 0.5
LOWER_S, HIGHER_S = 5, 15
"""In which the layer follows the path, down and up."""

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(120 + LOSSY_S)]


@dataclass(frozen=True)
class Stage:
    """A publisher here, and a viewer behind the link."""

    net: Link
    camera: BrowserPage
    page: ChromiumPage
    viewer: Watching

    async def video(self) -> Received:
        """What the viewer receives of the publisher's camera."""
        return (await videos(self.page))[0]

    async def drained(self) -> tuple[int, Received]:
        """Frames that were encoded of the layer that is shown, and what came of them; none is under way."""
        await hold(self.camera, is_still=True)
        await asyncio.sleep(REPAIRED_S)
        made = (await encoded(self.camera))[SHOWN], await self.video()
        await hold(self.camera, is_still=False)
        return made


@contextlib.asynccontextmanager
async def stage(tmp_path: Path, publisher: str) -> AsyncIterator[Stage]:
    """Both in a room, the viewer's picture at its best."""
    launch = chromium.launch if publisher == "chromium" else firefox.launch
    async with (
        link() as net,
        serve(tmp_path / "data", arguments=["--media-bind", net.near_ip]) as parley,
        bridge(net.far, int(parley.url.rsplit(":", 1)[1]), MACHINE, int(parley.url.rsplit(":", 1)[1])),
        launch() as here,
        chromium.launch(far=net.far) as there,
    ):
        near, far = await here.page(), await there.page()
        await watch(far)
        options: dict[str, object] = {"simulcast": True}
        await publish(near, parley, "net", size=(640, 360), fps=FPS, options=options, is_rich=True)
        viewer = await Watching.start(far, parley, "net")
        made = Stage(net, near, far, viewer)
        await viewer.shows({HIGH}, 30)
        for _ in range(WHOLE_WITHIN_S):  # a starved encoder never gets there
            if await viewer.frames_in(1.0) >= WHOLE * FPS:
                break
        yield made


@pytest.mark.parametrize("publisher", ["chromium", "firefox"])
async def test_loss_is_repaired_and_a_narrower_path_gets_a_lower_layer(
    tmp_path: Path, publisher: str
) -> None:
    async with stage(tmp_path, publisher) as there:
        await _bear_loss(there, publisher)
        await _follow(there, publisher)


async def _bear_loss(there: Stage, publisher: str) -> None:
    """5 % loss each packet down, a round trip of 100 ms."""
    await there.net.shape(up=Conditions(delay_s=0.05), down=Conditions(delay_s=0.05, loss=0.05))
    await asyncio.sleep(NOTICED_S)
    encoded_before, before = await there.drained()
    await asyncio.sleep(REPAIRED_S)
    frozen_before = (await there.video()).frozen_s
    await there.viewer.longest_gap_s()
    await asyncio.sleep(LOSSY_S)
    gap_s = await there.viewer.longest_gap_s()
    frozen_s = (await there.video()).frozen_s - frozen_before
    encoded_after, after = await there.drained()
    made = encoded_after - encoded_before
    decoded = (after.decoded - before.decoded) / max(made, 1)
    tell(
        f"5 % loss, RTT 100 ms: {decoded:.2%} (promised {DECODED:.1%}) of {made} encoded frames decoded, "
        f"longest gap {gap_s * 1000:.0f} ms, "
        f"frozen for {frozen_s:.2f} s as the browser counts, {after.nacks - before.nacks} NACKs"
    )
    seen = {"decoded": round(decoded, 5), "encoded_frames": made, "longest_gap_ms": round(gap_s * 1000)}
    counted = {"frozen_s": round(frozen_s, 2), "nacks": after.nacks - before.nacks}
    keep(f"loss-{publisher}", {"publisher": publisher, "seconds": LOSSY_S, **seen, **counted})
    assert made > SEEN_FPS * LOSSY_S
    assert decoded >= (DECODED if IS_MEASURED else STARVED_DECODED)
    assert frozen_s <= NO_FREEZE_S * STARVED_FACTOR
    assert gap_s <= NO_FREEZE_S * SLACK


async def _follow(there: Stage, publisher: str) -> None:
    """3 Mb/s, then 1, then 3 again."""
    wide = Conditions(bps=3_000_000, delay_s=0.02)
    await there.net.shape(up=Conditions(delay_s=0.02))
    timeline = Timeline(there.net, there.page)
    async with timeline.kept():
        await timeline.narrow(wide)
        await asyncio.sleep(4)
        await there.viewer.shows({HIGH}, 20)
        narrow_s = await timeline.narrow(Conditions(bps=NARROW_BPS, delay_s=0.02))
        down_s = await there.viewer.shows({LOW}, LOWER_S * SLACK)
        await asyncio.sleep(3)
        fall = await timeline.longest(there.viewer, narrow_s)
        settled_s = timeline.now_s()
        await asyncio.sleep(5)
        settled = timeline.since(settled_s)
        wide_s = await timeline.narrow(wide)
        up_s = await there.viewer.shows({HIGH}, HIGHER_S * SLACK)
        await asyncio.sleep(1)
        climb = await timeline.longest(there.viewer, wide_s)
        await asyncio.sleep(3)
        pictures = await timeline.pictures(there.viewer)
    found = StepFigures(
        publisher=publisher,
        narrow_s=narrow_s,
        lower_after_s=down_s,
        fall=fall,
        wide_s=wide_s,
        higher_after_s=up_s,
        climb=climb,
        moments=timeline.moments,
        pictures=pictures,
    )
    keep(f"step-{publisher}", found.plain(), network_charts.step(found))
    link_bps, seen_bps = (count * 8 / settled.seconds for count in (settled.link_bytes, settled.seen_bytes))
    tell(
        f"3 -> 1 Mb/s: lower layer after {down_s:.1f} s, longest gap {fall.ms:.0f} ms; "
        f"at 1 Mb/s {link_bps / 1000:.0f} kb/s by the link's count, "
        f"{seen_bps / 1000:.0f} by the browser's, queue p95 {settled.queued(0.95):.0f} ms; "
        f"1 -> 3 Mb/s: back after {up_s:.1f} s, longest gap {climb.ms:.0f} ms"
    )
    assert fall.ms <= NO_FREEZE_S * SLACK * 1000
    assert climb.ms <= NO_FREEZE_S * SLACK * 1000
    assert link_bps >= USED * LOW_BPS
    assert abs(seen_bps - link_bps) <= AGREES * link_bps
    assert settled.queued(0.95) <= 100 * STARVED_FACTOR
