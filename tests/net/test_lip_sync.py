"""Sound and picture stay together while a viewer moves between the layers of a camera."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.parley import serve
from tests.browser.sdk_page import Watching, publish
from tests.net.witness import sound_ahead_s, watch
from tests.support.figures import tell
from tests.support.promises import STARVED_FACTOR

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.shares("a browser's pipes close late")]

ROOM = "stage"
WIDTH, HEIGHT, FPS = 960, 540, 12
SWITCH_S = 1.0
APART_S = 0.04
"""A switch moves sound and picture no further apart."""
SYNC_S = 5.0
"""Browsers report the clock of a sound so often."""
TOLD_S = 1.2
"""After so long a viewer has been told the clock of the layer that it gets."""


async def test_switches_of_layers_move_sound_and_picture_no_further_apart(tmp_path: Path) -> None:
    async with serve(tmp_path / "data") as parley, chromium.launch() as browser:
        publisher, page = await browser.page(), await browser.page()
        await watch(page)
        await publish(
            publisher, parley, ROOM, size=(WIDTH, HEIGHT), fps=FPS, options={"simulcast": True}, is_heard=True
        )
        viewer = await Watching.start(page, parley, ROOM)
        await viewer.shows({HEIGHT}, 30)
        before_s = await _apart_s(page)
        apart = []
        for height in (HEIGHT // 4, HEIGHT // 2, HEIGHT, HEIGHT // 4, HEIGHT):
            await viewer.ask(height)
            await viewer.shows({height}, SWITCH_S * STARVED_FACTOR)
            apart.append(await _apart_s(page))
        await asyncio.sleep(TOLD_S)
        apart.append(await _apart_s(page))
        tell(
            f"sound ahead of the picture by {before_s * 1000:.0f} ms before the switches, then by "
            f"{', '.join(f'{s * 1000:.0f}' for s in apart)} ms"
        )
        assert max(abs(s - before_s) for s in apart) <= APART_S * STARVED_FACTOR


async def _apart_s(page: chromium.ChromiumPage) -> float:
    """How far the sound is ahead of the picture."""
    deadline = time.monotonic() + SYNC_S * STARVED_FACTOR
    while (ahead_s := await sound_ahead_s(page)) is None:
        assert time.monotonic() < deadline, "the page does not know when its sound and picture were made"
        await asyncio.sleep(0.1)
    return ahead_s
