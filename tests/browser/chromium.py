"""Debian's Chromium driven by playwright, with files or the capture hook as its devices."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright

from tests.browser.fake_media import write_picture, write_sound
from tests.browser.page import SHOTS, BrowserHungError, BrowserMissingError, Capture, Colour, probe_script
from tests.net.namespace import MACHINE, Namespace

_ANSWERS_S = 25.0
"""Longer than the driver's own limits, which a page that takes no input does not heed."""


@contextlib.asynccontextmanager
async def _answering(within_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise BrowserHungError(f"Chromium did not answer for {within_s:g} s") from error


class ChromiumPage:
    """One tab of Chromium."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.messages.append(f"{message.text} ({message.location.get('url')})")

    async def goto(self, url: str) -> None:
        """Load `url` and wait for its load event."""
        await self.page.goto(url)

    async def evaluate(self, body: str, argument: object = None) -> Any:
        """Run a JavaScript function with a JSON argument."""
        async with _answering(60):
            return await self.page.evaluate(body, argument)

    async def click(self, selector: str) -> None:
        """Click as a person does."""
        async with _answering(_ANSWERS_S):
            await self.page.locator(f"{selector} >> visible=true").first.click(timeout=10_000)

    async def fill(self, selector: str, text: str) -> None:
        """Replace a field's text."""
        async with _answering(_ANSWERS_S):
            await self.page.locator(f"{selector} >> visible=true").first.fill(text, timeout=10_000)

    async def choose(self, selector: str, label: str) -> None:
        """Choose an option of a select by its label."""
        await self.page.select_option(selector, label=label, timeout=10_000)

    async def reload(self) -> None:
        """Load the page again, as a person does."""
        await self.page.reload()

    async def close(self) -> None:
        """Close the tab and its profile."""
        await self.page.context.close()

    async def press(self, key: str) -> None:
        """Press one key."""
        await self.page.keyboard.press(key)

    async def screenshot(self, name: str) -> Path:
        """Save the visible page."""
        SHOTS.mkdir(exist_ok=True)
        path = SHOTS / f"{name}.png"
        await self.page.screenshot(path=path, animations="disabled")
        return path

    async def resize(self, width: int, height: int) -> None:
        """Change the window's inner size."""
        await self.page.set_viewport_size({"width": width, "height": height})


class Chromium:
    """One running Chromium; ends with `launch`'s context."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def page(
        self,
        capture: Capture | None = None,
        *,
        size: tuple[int, int] = (1280, 800),
        colour_scheme: str = "dark",
        reduced_motion: bool = False,
        touch: bool = False,
    ) -> ChromiumPage:
        """A tab in a profile of its own; `capture` stands in for its devices."""
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=colour_scheme,  # type: ignore[arg-type]
            reduced_motion="reduce" if reduced_motion else "no-preference",
            has_touch=touch,
            is_mobile=touch,
            ignore_https_errors=True,
        )
        await context.add_init_script(probe_script())
        if capture:
            await context.add_init_script(capture.script())
        return ChromiumPage(await context.new_page())


@contextlib.asynccontextmanager
async def launch(
    tmp_path: Path | None = None,
    *,
    colour: Colour | None = None,
    tone_hz: int | None = None,
    everyday: bool = False,
    any_certificate: bool = False,
    far: Namespace = MACHINE,
) -> AsyncIterator[Chromium]:
    """Run Chromium. With `colour` and `tone_hz` its camera and microphone play files written to `tmp_path`.

    `far`: the network namespace that it lives in.
    `any_certificate`: trust whoever a TLS connection leads to, TURN servers too.
    `everyday`: only the fake devices (and root's `--no-sandbox`) tell it from a person's browser.

    Raises:
        BrowserMissingError: Chromium is not installed or does not start.
    """
    executable = shutil.which("chromium")
    if executable is None:
        raise BrowserMissingError("Chromium is needed by the browser tests: apt-get install chromium")
    flags = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream=device-count=2",
        "--disable-gpu",
    ]
    if not everyday:
        flags += ["--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection"]
    if any_certificate:
        flags.append("--ignore-certificate-errors")
    if colour is not None and tone_hz is not None:
        if tmp_path is None:
            raise ValueError("tmp_path is needed for the camera's and microphone's files")
        name = f"{'-'.join(map(str, colour))}-{tone_hz}"
        picture = write_picture(tmp_path / f"{name}.y4m", colour)
        sound = write_sound(tmp_path / f"{name}.wav", tone_hz)
        flags += [
            f"--use-file-for-fake-video-capture={picture}",
            f"--use-file-for-fake-audio-capture={sound}",
        ]
    async with async_playwright() as driver:
        try:
            with far.script(executable) as script:
                browser = await driver.chromium.launch(executable_path=script, headless=True, args=flags)
        except Error as error:
            raise BrowserMissingError(f"Chromium at {executable} does not start: {error.message}") from error
        try:
            yield Chromium(browser)
        finally:
            await browser.close()
