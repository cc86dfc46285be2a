"""A server, a Chromium and, if asked for, a Firefox per module; people in tabs that end with each test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.browser import chromium, firefox
from tests.browser.page import BrowserPage, Capture, Colour
from tests.browser.parley import Parley, serve
from tests.browser.people import Person, enter

Join = Callable[..., Awaitable[Person]]

_LOOKS = [((200, 40, 40), 440), ((40, 150, 60), 620), ((50, 70, 210), 860), ((210, 180, 40), 1180)]
_FOX: tuple[Colour, int] = ((30, 140, 160), 700)
_numbers = itertools.count(1)


@pytest.fixture
def room() -> str:
    """A room name that no other test uses."""
    return f"room-{next(_numbers)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parley(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parley]:
    """A running server."""
    async with serve(tmp_path_factory.mktemp("parley") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[chromium.Chromium]:
    """A running Chromium."""
    async with chromium.launch() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fox() -> AsyncIterator[firefox.Firefox]:
    """A running Firefox; its one microphone plays one tone, so one person at a time uses it."""
    async with firefox.launch(tone_hz=_FOX[1]) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def join_fox(parley: Parley, fox: firefox.Firefox, room: str) -> AsyncIterator[Join]:
    """`await join_fox("fox", ...)`: a person with Firefox joins the test's room in a window of their own."""
    pages: list[firefox.FirefoxPage] = []

    async def joining(
        identity: str = "fox", *, size: tuple[int, int] = (1000, 700), **options: object
    ) -> Person:
        colour, tone_hz = _FOX
        page = await fox.page(
            Capture(colour, tone_hz, screen=(26, 28, 32), second_colour=(240, 240, 240)), size=size
        )
        pages.append(page)
        return await enter(parley, page, room, identity, colour, tone_hz, **options)  # type: ignore[arg-type]

    yield joining
    for page in pages:
        # Windows of one Firefox share what pages remember: the next person has a browser of their own.
        await page.evaluate("() => localStorage.clear()")
        await check_and_close(page)


async def check_and_close(page: BrowserPage) -> None:
    """Close a page that broke no security policy and opened no dialog of the browser."""
    assert await page.evaluate("() => globalThis.violations ?? []") == []
    assert await page.evaluate("() => globalThis.dialogs ?? []") == []
    await page.close()


@pytest_asyncio.fixture(loop_scope="module")
async def join(parley: Parley, browser: chromium.Chromium, room: str) -> AsyncIterator[Join]:
    """`await join("ada", ...)`: a person with a look of their own joins the test's room in a new tab."""
    pages: list[chromium.ChromiumPage] = []

    async def joining(
        identity: str,
        *,
        size: tuple[int, int] = (1000, 700),
        second_tone_hz: int | None = None,
        **options: object,
    ) -> Person:
        colour, tone_hz = _LOOKS[len(pages)]
        capture = Capture(
            colour,
            tone_hz,
            screen=(120, 40, 160),
            second_colour=(240, 240, 240),
            second_tone_hz=second_tone_hz,
        )
        page = await browser.page(capture, size=size)
        pages.append(page)
        return await enter(parley, page, room, identity, colour, tone_hz, **options)  # type: ignore[arg-type]

    yield joining
    for page in pages:
        await check_and_close(page)
