"""Data between browsers through the SDK: Chromium, Firefox and Chromium again."""

import pytest

from tests.browser import chromium, firefox
from tests.browser.page import BrowserPage, Capture, until
from tests.browser.parley import Parley, serve

pytestmark = pytest.mark.browser

COUNT = 1_000
ACCEPT = {"terms_version": "2026-11", "age_18": True}
PLENTY = {
    f"PARLEY_DATA_{name}": value
    for name, value in {
        "MESSAGES_PER_S": "250",
        "MESSAGES_BURST": "2500",
        "BYTES_PER_S": "250000",
        "BYTES_BURST": "2500000",
        "ROOM_PER_S": "100000",
        "NODE_PER_S": "100000",
    }.items()
}

_JOIN = """async ([token, accept]) => {
  const { Room } = await import("/static/sdk/parley.js");
  const room = globalThis.room = await Room.connect({ token, accept, data: true });
  globalThis.got = [];
  globalThis.told = [];
  room.on("data", ({ identity, topic, private: secret, reliable, bytes }) => {
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    got.push([identity, topic, secret, reliable, bytes.length, number]);
  });
  for (const name of ["error", "data_refused", "data_lost"]) {
    room.on(name, ({ code, reason }) => told.push([name, code, reason]));
  }
}"""
_SEND = """async ([count, options, size]) => {
  for (let number = 0; number < count; number++) {
    const bytes = new Uint8Array(size);
    new DataView(bytes.buffer).setUint32(0, number);
    await room.send_data(bytes, options);
    if (!options.reliable) await new Promise((next) => setTimeout(next, 5));
  }
}"""
_FROM = "([identity, topic]) => got.filter((one) => one[0] === identity && one[1] === topic)"


async def enter(parley: Parley, page: BrowserPage, identity: str, **claims: object) -> BrowserPage:
    await page.goto(f"{parley.url}/terms")
    await page.evaluate(_JOIN, [parley.token("demo", identity, **claims), ACCEPT])  # type: ignore[arg-type]
    await until(page, "() => room.is_data_open")
    return page


async def arrived(page: BrowserPage, identity: str, topic: str, count: int) -> list[list[object]]:
    body = f"([identity, topic, count]) => ({_FROM})([identity, topic]).length >= count"
    await until(page, body, [identity, topic, count], within_s=90)
    found: list[list[object]] = await page.evaluate(_FROM, [identity, topic])
    return found


async def test_reliable_messages_come_all_in_order_and_lossy_ones_come(tmp_path) -> None:
    async with (
        serve(tmp_path / "data", environment=PLENTY) as parley,
        chromium.launch() as browser,
        firefox.launch() as fox,
    ):
        ada = await enter(parley, await browser.page(Capture((200, 40, 40), 500)), "ada")
        eve = await enter(parley, await fox.page(), "eve")
        bob = await enter(parley, await browser.page(), "bob", grants=("join", "subscribe", "chat"))
        people = {"ada": ada, "eve": eve, "bob": bob}
        for sender in ("ada", "eve"):
            options = {"topic": "all", "reliable": True}
            await people[sender].evaluate(_SEND, [COUNT, options, 100])
            for reader in people.keys() - {sender}:
                found = await arrived(people[reader], sender, "all", COUNT)
                assert [number for *_, number in found] == list(range(COUNT)), (sender, reader)
                assert {tuple(rest) for *rest, _ in found} == {(sender, "all", False, True, 100)}
        for page in people.values():
            await page.evaluate(_SEND, [50, {"topic": "now", "reliable": False}, 40])
        for sender in people:
            for reader in people.keys() - {sender}:
                found = await arrived(people[reader], sender, "now", 40)
                assert {(reliable, size) for _, _, _, reliable, size, _ in found} == {(False, 40)}
        # The largest message, to one of them, while media is added to the same connection.
        await ada.evaluate("""async () => {
          const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
          await room.publish(stream.getAudioTracks()[0], "mic");
        }""")
        await until(eve, "() => room.received.length === 1")
        await ada.evaluate(_SEND, [5, {"topic": "big", "to": ["eve"], "reliable": True}, 16_000])
        found = await arrived(eve, "ada", "big", 5)
        assert {tuple(rest) for *rest, _ in found} == {("ada", "big", True, True, 16_000)}
        assert await bob.evaluate(_FROM, ["ada", "big"]) == []
        refused = await ada.evaluate(
            "() => room.send_data(new Uint8Array(17_000)).then(() => null, (error) => error.code)"
        )
        assert refused == "too_large"
        for page in people.values():
            assert await page.evaluate("() => told") == []
            assert page.messages == []


async def test_the_default_caps_hold_for_a_browser_and_it_is_told(tmp_path) -> None:
    async with serve(tmp_path / "data") as parley, chromium.launch() as browser:
        ada = await enter(parley, await browser.page(), "ada")
        bob = await enter(parley, await browser.page(), "bob")
        await ada.evaluate(_SEND, [COUNT, {"topic": "flood", "reliable": True}, 100])
        await until(
            ada, "() => told.some(([name, code]) => name === 'data_refused' && code === 'rate_limited')"
        )
        found = await arrived(bob, "ada", "flood", 200)
        assert len(found) < COUNT
        await ada.evaluate("() => room.leave()")
        await bob.evaluate("() => room.leave()")
