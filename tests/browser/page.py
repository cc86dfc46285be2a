"""What a test may do with a browser's page, the same for Chromium and Firefox."""

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

_JS = Path(__file__).parent / "js"
SHOTS = Path(__file__).parent / "shots"

Colour = tuple[int, int, int]


class BrowserHungError(AssertionError):
    """A browser did not answer its driver at all, beyond every limit of the driver's own."""


class BrowserMissingError(AssertionError):
    """A browser that the tests need is not installed; a failure, never a skip."""


@dataclass(frozen=True)
class Capture:
    """What stands in for a page's cameras, microphones and screen (see js/capture.js)."""

    colour: Colour
    tone_hz: int
    screen: Colour | None = None
    second_colour: Colour | None = None
    second_tone_hz: int | None = None

    def script(self, *, own_sources: bool = False) -> str:
        """The preload script of this source.

        `own_sources`: keep Firefox's fake microphone, and let it capture one of its own tabs as the screen.
        """
        cameras = [{"label": "Test camera", "colour": self.colour}]
        microphones = [{"label": "Test microphone", "tone_hz": self.tone_hz}]
        if self.second_colour:
            cameras.append({"label": "Second camera", "colour": self.second_colour})
        if self.second_tone_hz:
            microphones.append({"label": "Second microphone", "tone_hz": self.second_tone_hz})
        if own_sources:
            microphones = [{"label": "Test microphone"}]
        screen = "tab" if own_sources and self.screen else self.screen
        spec = {"cameras": cameras, "microphones": microphones, "screen": screen}
        return f"{(_JS / 'capture.js').read_text()}\ninstallCapture({json.dumps(spec)});"


def probe_script() -> str:
    """The preload script that gives a page `probe` (see js/probe.js)."""
    return (_JS / "probe.js").read_text()


class BrowserPage(Protocol):
    """One tab."""

    messages: list[str]
    """Console errors and uncaught exceptions, in order."""

    async def goto(self, url: str) -> None:
        """Load `url` and wait for its load event."""

    async def evaluate(self, body: str, argument: object = None) -> Any:
        """Run the JavaScript function `body`, say `async (x) => x + 1`, with a JSON argument; its result."""

    async def click(self, selector: str) -> None:
        """Click the first visible match as a person does (with user activation)."""

    async def fill(self, selector: str, text: str) -> None:
        """Replace a field's text by typing."""

    async def choose(self, selector: str, label: str) -> None:
        """Choose an option of a select."""

    async def reload(self) -> None:
        """Load the page again, as a person does."""

    async def close(self) -> None:
        """Close the tab."""

    async def press(self, key: str) -> None:
        """Press one key: `Enter`, `Escape`, `Tab` or a character."""

    async def screenshot(self, name: str) -> Path:
        """Save the visible page as tests/browser/shots/<name>.png."""


async def until(page: BrowserPage, body: str, argument: object = None, *, within_s: float = 15.0) -> Any:
    """Poll a JavaScript function until its result is truthy; that result.

    Raises:
        AssertionError: it was not within `within_s`; names the last result and the page's errors.
    """
    deadline = time.monotonic() + within_s
    while True:
        result = await page.evaluate(body, argument)
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {within_s} s: {body}({argument!r}) is {result!r}; console: {page.messages[-5:]}"
            )
        await asyncio.sleep(0.1)


def colour_distance(a: Colour | list[int], b: Colour | list[int]) -> int:
    """The largest difference of a channel."""
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


async def sees(
    page: BrowserPage, selector: str, colour: Colour, *, within_s: float = 20.0, tolerance: int = 40
) -> None:
    """Assert that a <video> matching `selector` shows `colour` and that its picture moves."""
    await until(
        page,
        """async ([selector, colour, tolerance]) => {
             for (const video of document.querySelectorAll(selector)) {
               const seen = probe.colour(video);
               if (!seen || !seen.every((value, i) => Math.abs(value - colour[i]) <= tolerance)) continue;
               if (await probe.moves(video)) return true;
             }
             return false;
           }""",
        [selector, colour, tolerance],
        within_s=within_s,
    )


async def hears(
    page: BrowserPage, selector: str, tone_hz: int, *, within_s: float = 20.0, tolerance_hz: int = 20
) -> None:
    """Assert that an element matching `selector` plays a sound whose loudest pitch is `tone_hz`."""
    await until(
        page,
        """async ([selector, tone_hz, tolerance]) => {
             for (const element of document.querySelectorAll(selector)) {
               const heard = await probe.tone(element);
               if (heard && heard.level > 0.02 && Math.abs(heard.hz - tone_hz) <= tolerance) return true;
             }
             return false;
           }""",
        [selector, tone_hz, tolerance_hz],
        within_s=within_s,
    )


async def is_silent(page: BrowserPage, selector: str, *, within_s: float = 10.0) -> None:
    """Assert that no element matching `selector` plays any sound."""
    await until(
        page,
        """async (selector) => {
             for (const element of document.querySelectorAll(selector)) {
               const heard = await probe.tone(element);
               if (heard && heard.level > 0.005) return false;
             }
             return true;
           }""",
        selector,
        within_s=within_s,
    )
