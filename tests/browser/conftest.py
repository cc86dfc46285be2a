"""One server and one Chromium per test module; people in tabs of their own, gone after each test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.browser import chromium
from tests.browser.page import Capture
from tests.browser.parley import Parley, serve
from tests.browser.people import Person, enter

Join = Callable[..., Awaitable[Person]]

_LOOKS = [((200, 40, 40), 440), ((40, 150, 60), 620), ((50, 70, 210), 860), ((210, 180, 40), 1180)]
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


@pytest_asyncio.fixture(loop_scope="module")
async def join(parley: Parley, browser: chromium.Chromium, room: str) -> AsyncIterator[Join]:
    """`await join("ada", ...)`: a person with a look of their own joins the test's room in a new tab."""
    pages: list[chromium.ChromiumPage] = []

    async def joining(identity: str, *, size: tuple[int, int] = (1000, 700), **options: object) -> Person:
        colour, tone_hz = _LOOKS[len(pages)]
        capture = Capture(colour, tone_hz, screen=(120, 40, 160), second_colour=(240, 240, 240))
        page = await browser.page(capture, size=size)
        pages.append(page)
        return await enter(parley, page, room, identity, colour, tone_hz, **options)  # type: ignore[arg-type]

    yield joining
    for page in pages:
        assert await page.evaluate("() => globalThis.violations ?? []") == []
        assert await page.evaluate("() => globalThis.dialogs ?? []") == []
        await page.page.context.close()
