"""People in a room: a browser page that joined through the door, and what the others see of them."""

from dataclasses import dataclass

from tests.browser.page import BrowserPage, Colour, hears, sees, until
from tests.browser.parley import Parley


@dataclass(frozen=True)
class Person:
    """One person: their page, and how they look and sound."""

    page: BrowserPage
    identity: str
    colour: Colour
    tone_hz: int

    async def sees(self, other: "Person", *, within_s: float = 20.0) -> None:
        """Assert that this person's page shows the other's moving picture."""
        await sees(self.page, tile(other, "video"), other.colour, within_s=within_s)

    async def hears(self, other: "Person", *, within_s: float = 20.0) -> None:
        """Assert that this person's page plays the other's sound."""
        await hears(self.page, tile(other, "audio"), other.tone_hz, within_s=within_s)

    async def meets(self, other: "Person") -> None:
        """Assert that both see and hear each other."""
        for one, two in ((self, other), (other, self)):
            await one.sees(two)
            await one.hears(two)

    async def says_is_shown(self, text: str) -> None:
        """Assert that this person's chat shows a line with exactly this text."""
        await until(
            self.page,
            "(text) => [...document.querySelectorAll('.line-text')].some((one) => one.textContent === text)",
            text,
        )

    async def text(self, selector: str) -> str:
        """The text of the first match, or the empty string."""
        found = await self.page.evaluate("(s) => document.querySelector(s)?.textContent ?? ''", selector)
        return str(found)


def tile(person: Person, inside: str = "") -> str:
    """The selector of a person's tile, or of something in it."""
    return f'.tile[data-identity="{person.identity}"] {inside}'.strip()


async def act(person: Person, other: Person, action: str) -> None:
    """Choose an action from the menu of the other's tile."""
    await person.page.click(tile(other, ".tile-menu"))
    await choose_item(person.page, action)


async def choose_item(page: BrowserPage, text: str) -> None:
    """Click an item of the open menu."""
    position = await until(
        page,
        """(text) => [...document.querySelectorAll('.menu-item')]
             .findIndex((item) => item.textContent.trim() === text) + 1""",
        text,
    )
    await page.click(f".menu-item:nth-child({position})")


async def show_room(page: BrowserPage, within_s: float = 15.0) -> None:
    """Wait until the page is in the room."""
    await until(
        page,
        """() => {
             const shown = (id) => !document.getElementById(id).hidden;
             const said = (id) => document.getElementById(id).textContent;
             if (shown("ended")) throw new Error(said("ended"));
             if (shown("join-problem")) throw new Error(said("join-problem"));
             return shown("room");
           }""",
        within_s=within_s,
    )


async def pass_door(
    page: BrowserPage, *, name: str | None = None, uses: dict[str, bool] | None = None, watch: bool = False
) -> None:
    """Fill in the pre-join screen and join."""
    await until(page, "() => !document.getElementById('door').hidden")
    if name is not None:
        await page.fill("#name", name)
    if watch:
        await page.click("#watch")
    else:
        for use, answer in (uses or {}).items():
            await page.click(f'input[name="use-{use}"][value="{"yes" if answer else "no"}"]')
        for box in ("#age", "#accept"):
            if await page.evaluate("(s) => document.querySelector(s).checkVisibility()", box):
                await page.click(box)
        await until(page, "() => document.getElementById('preview-video').videoWidth > 0")
        await page.click("#join")
    await show_room(page)


async def enter(
    parley: Parley,
    page: BrowserPage,
    room: str,
    identity: str,
    colour: Colour,
    tone_hz: int,
    *,
    name: str | None = None,
    uses: dict[str, bool] | None = None,
    grants: tuple[str, ...] = ("join", "publish", "subscribe", "chat"),
    by: str | None = None,
) -> Person:
    """Open the room's link and join through the door; `by` is another address of the same server."""
    link = parley.link(room, identity, grants=grants)
    await page.goto(link.replace(parley.url, by) if by else link)
    await pass_door(page, name=name or identity.title(), uses=uses)
    return Person(page, identity, colour, tone_hz)
