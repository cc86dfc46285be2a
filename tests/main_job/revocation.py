"""B takes everything back: what each sink still gave out of B, and until when."""

import asyncio
import re
import time
from dataclasses import dataclass

import numpy as np

from tests.browser.page import until
from tests.main_job.cast import SEEN, UNSEEN, A, B, D
from tests.main_job.hearing import has_tone, lacks_tone, levels
from tests.support import waiting
from tests.support.figures import tell

PROMISE_MS = 250
LIMIT_MS = 4 * PROMISE_MS
"""What a shared machine is given for the promise; the printed figures are exact."""
_SEGMENTS = 3
_ASKED_ON_S = 0.5

_NOTE_CLICK = """() => document.addEventListener(
    "click", () => { globalThis.clicked_ms = Date.now(); }, { capture: true, once: true })"""


@dataclass(frozen=True)
class Revocation:
    """When B clicked, by the wall clock and by this process's, and when B's page was told that it is done."""

    called_ms: float
    called_s: float
    done_s: float
    told_ms: float

    @property
    def limit_s(self):
        return self.called_s + LIMIT_MS / 1000

    @property
    def limit_ms(self):
        return self.called_ms + LIMIT_MS


async def b_revokes(stage, outside):
    """B revokes while seen and heard in every sink. Asserts its absence from then on; the Revocation."""
    page = stage.people[B].page
    files = stage.recording
    await page.click("#control-consent")
    await until(page, "() => document.querySelector('#revoke')?.checkVisibility() ?? false")
    held = [segment.name for segment in outside.hls.segments if segment.shows(B)]
    assert outside.hls.segments[-1].name == held[-1], "the newest segment lacks B before B revokes"
    is_told = asyncio.Event()
    asking = asyncio.create_task(outside.hls.last_served(held[-1], is_told))
    revocation = await _click(page)
    sizes = files.sizes(B)
    others = [files.sizes(who) for who in (A, D)]
    await asyncio.sleep(_ASKED_ON_S)
    is_told.set()
    served_s = await asking
    await _goes_on_without_b(outside, revocation)
    assert {await outside.hls.status(name) for name in held[-_SEGMENTS:]} == {410}
    assert files.sizes(B) == sizes, "B's files grew after the revocation"
    for who, before in zip((A, D), others, strict=True):
        assert all(size > before[name] for name, size in files.sizes(who).items()), (
            f"{who.name}'s files stood"
        )
    await _figures(outside, files, revocation, served_s)
    return revocation


async def _click(page):
    await page.evaluate(_NOTE_CLICK)
    await page.click("#revoke")
    told = await until(page, "() => document.querySelector('.measured')?.textContent")
    done_s = time.monotonic()
    called_ms = await page.evaluate("() => globalThis.clicked_ms")
    called_s = time.monotonic() - (time.time() - called_ms / 1000)
    return Revocation(called_ms, called_s, done_s, float(re.search(r"(\d+) ms", told)[1]))


async def _goes_on_without_b(outside, revocation):
    """Every sink goes on with A, and has neither picture nor sound of B any more."""
    hls, rtmp, embed = outside.hls, outside.rtmp, outside.embed
    await waiting.until(
        lambda: len(hls.since(revocation.done_s)) >= _SEGMENTS, "HLS goes on without B", patience_s=30
    )
    await waiting.until(lambda: len(rtmp.since(revocation.limit_s)) > 30, "RTMP goes on without B")
    for segment in hls.since(revocation.done_s):
        assert max(segment.shares(B)) < UNSEEN, "HLS shows B after the revocation"
        assert lacks_tone(segment.sound, B), "HLS sounds of B after the revocation"
    assert min(hls.segments[-1].shares(A)) > SEEN, "A went with B on HLS"
    sounds = [segment.sound for segment in hls.since(revocation.done_s)]
    assert has_tone(np.concatenate(sounds), A), f"A's sound went with B's on HLS: {levels(sounds, A)}"
    for sighting in rtmp.since(revocation.limit_s):
        assert sighting.share(B) < UNSEEN, "RTMP shows B after the revocation"
    assert lacks_tone(rtmp.heard.between(revocation.limit_s), B), "RTMP sounds of B after the revocation"
    assert rtmp.seen[-1].share(A) > SEEN, "A went with B on RTMP"
    assert has_tone(rtmp.heard.between(revocation.limit_s), A), "A's sound went with B's on RTMP"
    assert await embed.pictures(since_ms=revocation.limit_ms), "the embed goes on"
    assert not await embed.sees(B, since_ms=revocation.limit_ms), "the embed shows B after the revocation"
    assert not await embed.hears(B, since_ms=revocation.limit_ms), (
        "the embed sounds of B after the revocation"
    )


async def _figures(outside, files, revocation, served_s):
    """Prints and limits, for each sink, the time from B's click to the last that it gave out of B."""
    hls_picture_s = max(segment.at_s for segment in outside.hls.segments if segment.shows(B))
    hls_sound_s = max(segment.at_s for segment in outside.hls.segments if has_tone(segment.sound, B))
    since_s = {
        "RTMP, last picture decoded behind the partner": outside.rtmp.last_with(B),
        "RTMP, last frame with B's sound decoded behind the partner": outside.rtmp.heard.last_with(B),
        "HLS, last answer with a segment that holds B": served_s,
        "HLS, last new segment with a picture of B": hls_picture_s,
        "HLS, last new segment with sound of B": hls_sound_s,
    }
    since_ms = {
        "embed, last new picture presented": await outside.embed.last_seen_ms(B),
        "embed, last sound played": await outside.embed.last_heard_ms(B),
        "files, last write to a file of B": files.last_write_s(B) * 1000,
    }
    figures = {
        "server, call to done as B's page is told": revocation.told_ms,
        **{what: (at_s - revocation.called_s) * 1000 for what, at_s in since_s.items()},
        **{what: at_ms - revocation.called_ms for what, at_ms in since_ms.items()},
    }
    tell("revocation, ms from B's click to:")
    for what, figure in figures.items():
        tell(f"  {figure:7.0f}  {what}")
    late = [what for what, figure in figures.items() if figure > LIMIT_MS]
    assert not late, f"more than {LIMIT_MS} ms: {late}"
