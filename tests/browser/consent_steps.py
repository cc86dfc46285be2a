"""What people do about consent in the room's page, and what it shows of it."""

import re
from collections.abc import Awaitable, Callable, Sequence

from tests.browser.page import BrowserPage, until
from tests.browser.parley import Parley
from tests.browser.people import Person, tile


async def answer(person: Person, choice: str) -> None:
    """Answer the notice: `yes` or `no`."""
    await person.page.click(f"#notice-{choice}")
    await until(person.page, "() => !document.querySelector('dialog.notice')")


async def indicator(person: Person, kind: str, own: str, *, site: str = "This server") -> None:
    """Assert that the indicator shows an activity, the site it goes to and one's own part in it."""
    await until(
        person.page,
        """([kind, own, site]) => {
             const pill = document.querySelector(`#indicator:not([hidden]) .pill-${kind}`);
             return pill?.querySelector('.pill-sites').textContent === site
               && pill.querySelector('.pill-own').textContent === own;
           }""",
        [kind, own, site],
    )


async def watch_indicator(person: Person) -> Callable[[], Awaitable[tuple[int, str]]]:
    """Watch for the indicator; who calls the result waits for when it came (Unix ms) and what was spoken."""
    await person.page.evaluate("""() => {
        const found = window.indicator_watch = { at_ms: 0, spoken: "" };
        new MutationObserver((_, observer) => {
          if (!document.getElementById("indicator").hidden) found.at_ms ||= Date.now();
          found.spoken ||= document.getElementById("alerts")?.textContent ?? "";
          if (found.at_ms && found.spoken) observer.disconnect();
        }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
    }""")

    async def watched() -> tuple[int, str]:
        found = "(({ at_ms, spoken }) => (at_ms && spoken ? [at_ms, spoken] : null))(window.indicator_watch)"
        at_ms, spoken = await until(person.page, f"() => {found}")
        return int(at_ms), str(spoken)

    return watched


async def no_indicator(person: Person) -> None:
    """Assert that nothing is shown to go out."""
    await until(person.page, "() => document.getElementById('indicator').hidden")


async def left_out(page: BrowserPage, person: Person, *, is_out: bool) -> None:
    """Assert what a page shows of a person's part in what goes out."""
    await until(
        page, "([s, out]) => document.querySelector(s).hidden !== out", [tile(person, ".tile-out"), is_out]
    )


async def take_back(person: Person) -> int:
    """Take everything back in the panel of one's own consent; the milliseconds that the page says it took."""
    await person.page.click("#control-consent")
    await person.page.click("#revoke")
    await until(person.page, "() => Boolean(document.querySelector('.measured'))")
    measured = re.fullmatch(
        r"Done in (\d+) ms\. Nothing of you goes out any more\.", await person.text(".measured")
    )
    assert measured is not None
    return int(measured[1])


async def add_channel(
    parley: Parley, name: str, *, site: str = "partner.example", uses: Sequence[str] = ("live",)
) -> None:
    """Register an HLS channel of a partner site, and the site if it is new."""
    _, partners = await parley.api("GET", "/partners")
    found = [item["id"] for item in partners["items"] if item["site"] == site]
    if not found:
        _, terms = await parley.api("GET", "/terms")
        partner = {
            "name": "Partner TV",
            "site": site,
            "policy_url": f"https://{site}/privacy",
            "uses": list(uses),
            "terms_version": terms["version"],
        }
        status, made = await parley.api("POST", "/partners", partner)
        assert status == 201, made
        found = [made["id"]]
    status, made = await parley.api(
        "POST", "/destinations", {"name": name, "partner": found[0], "kind": "hls"}
    )
    assert status == 201, made


async def go_live(person: Person, channel: str) -> None:
    """Start a broadcast at a channel, from the room's page."""
    await person.page.click("#control-live")
    number = await until(
        person.page,
        """(name) => [...document.querySelectorAll('.destination')]
             .findIndex((one) => one.textContent.includes(name)) + 1""",
        channel,
    )
    assert await person.page.evaluate("() => document.querySelector('dialog .button-primary').disabled")
    await person.page.click(f".destination:nth-of-type({number}) input")
    await person.page.click("dialog .button-primary")


async def end_broadcast(person: Person) -> None:
    """End the broadcast that runs; what viewers outside are shown stays announced for a while."""
    await person.page.click("#control-live")
    await person.page.click(".running-now .button-alarm")
    await until(person.page, "() => !document.querySelector('#indicator [data-activity^=bc_]')")
