"""What Opus RED is good for: sound behind a path that loses packets, told by the browser itself."""

import asyncio
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import ChromiumPage
from tests.browser.page import Capture
from tests.browser.parley import serve
from tests.browser.people import enter
from tests.net.bridge import bridge
from tests.net.link import link
from tests.net.namespace import MACHINE
from tests.net.shaper import Conditions
from tests.support.figures import tell

pytestmark = [pytest.mark.slow, pytest.mark.browser]

_SOUND = """async () => {
  for (const connection of connections) {
    for (const row of (await connection.getStats()).values()) {
      if (row.type === "inbound-rtp" && row.kind === "audio" && row.totalSamplesReceived > 0) {
        return [row.concealedSamples - row.silentConcealedSamples, row.totalSamplesReceived];
      }
    }
  }
  return [0, 0];
}"""


async def _concealed(pages: list[ChromiumPage], seconds: float) -> list[float]:
    """The share of samples that each page had to make up."""
    before = [await page.evaluate(_SOUND) for page in pages]
    await asyncio.sleep(seconds)
    after = [await page.evaluate(_SOUND) for page in pages]
    return [(new[0] - old[0]) / (new[1] - old[1]) for old, new in zip(before, after, strict=True)]


@pytest.mark.wide
async def test_red_halves_what_is_made_up_at_a_tenth_of_loss(tmp_path: Path) -> None:
    async with (
        link() as net,
        serve(tmp_path / "data", arguments=["--media-bind", net.near_ip]) as parley,
        bridge(net.far, int(parley.url.rsplit(":", 1)[1]), MACHINE, int(parley.url.rsplit(":", 1)[1])),
        chromium.launch() as here,
        chromium.launch(far=net.far) as there,
    ):
        viewers = []
        for room, codecs in (("plain", ["opus"]), ("doubled", ["red", "opus"])):
            status, body = await parley.api("POST", "/rooms", {"name": room, "audio_codecs": codecs})
            assert status == 201, body
            near, far = (
                await here.page(Capture((200, 40, 40), 400)),
                await there.page(Capture((40, 200, 40), 700)),
            )
            speaker = await enter(parley, near, room, "near", (200, 40, 40), 400)
            listener = await enter(parley, far, room, "far", (40, 200, 40), 700)
            await listener.hears(speaker)
            viewers.append(far)
        await net.shape(down=Conditions(delay_s=0.02, loss=0.1))
        await asyncio.sleep(2)
        plain, doubled = await _concealed(viewers, 12)
        tell(f"10 % loss: {plain:.1%} of the sound made up by Opus alone, {doubled:.1%} with RED")
        assert plain > 0.03, "the path loses nothing"
        assert doubled < plain / 2
