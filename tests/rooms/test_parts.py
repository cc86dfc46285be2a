"""The small parts: mailbox, offer peek, timers with futures, codes that the protocol names."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rooms
from rooms import Code, Mailbox
from rooms.clock import SystemClock, wait_all
from rooms.offer import peek
from tests.rooms.rig import CAPTURES, FakeClock


def test_a_mailbox_keeps_order_and_ends_with_its_last_event() -> None:
    box: Mailbox[object] = Mailbox(10)
    box.put(1), box.put(2)
    box.close("last")
    box.put("late")
    assert [box.poll(), box.poll(), box.poll(), box.poll()] == [1, 2, "last", None]


def test_an_event_of_a_replaceable_type_drops_its_twin_and_overtakes_nothing() -> None:
    box: Mailbox[object] = Mailbox(2, replaceable=(str,))
    box.put("old"), box.put(1), box.put("new")
    assert [box.poll(), box.poll(), box.poll()] == [1, "new", None]
    box.put("next")
    assert box.poll() == "next"
    assert not box.is_closed


def test_one_event_too_many_closes_the_mailbox_and_says_so_once() -> None:
    calls: list[int] = []
    box: Mailbox[object] = Mailbox(2, overflow_event="gone", on_overflow=lambda: calls.append(1))
    for number in range(5):
        box.put(number)
    assert calls == [1]
    assert [box.poll(), box.poll(), box.poll(), box.poll()] == [0, 1, "gone", None]
    assert box.is_closed


async def test_reading_a_mailbox_can_be_cancelled_without_losing_an_event() -> None:
    box: Mailbox[object] = Mailbox(2)
    reading = asyncio.get_running_loop().create_task(box.get())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    box.put("kept")
    assert await box.get() == "kept"
    box.close()
    assert [event async for event in box] == []


async def test_waiting_ends_when_all_are_done_or_the_time_is_over() -> None:
    clock = FakeClock()
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    waiting = loop.create_task(wait_all(clock, [first, second], 0.15))
    await asyncio.sleep(0)
    first.set_result(None)
    await clock.advance(0.1)
    assert not waiting.done()
    await clock.advance(0.1)
    assert await waiting is False
    second.set_result(None)
    assert await wait_all(clock, [first, second], 0.15) is True


async def test_the_system_clock_counts_forward() -> None:
    clock = SystemClock()
    fired = asyncio.get_running_loop().create_future()
    clock.call_later(0, lambda: fired.set_result(None))
    await fired
    assert clock.monotonic() > 0
    assert clock.wall_ms() > 1_700_000_000_000


def test_an_offer_tells_its_connection_and_what_it_sends() -> None:
    seen = peek((CAPTURES / "chromium-offer-sendonly-av.txt").read_text())
    assert seen.connection.startswith("4388322525154347891 sha-256 BF:DB:C4:")
    assert seen.sending == {"0", "1"}
    assert seen.kinds == {"0": "audio", "1": "video"}


@pytest.mark.parametrize("capture", ["chromium-offer-recvonly-av", "firefox-offer-recvonly-av"])
def test_an_offer_that_only_receives_sends_nothing(capture: str) -> None:
    seen = peek((CAPTURES / f"{capture}.txt").read_text())
    assert seen.sending == frozenset()
    assert set(seen.kinds.values()) == {"audio", "video"}


def test_rejected_and_silent_sections_do_not_count_and_bundle_only_ones_do() -> None:
    offer = (
        "o=- 7 1 IN IP4 0.0.0.0\n"
        "m=audio 0 X\na=mid:a\n"
        "m=video 0 X\na=mid:b\na=bundle-only\n"
        "m=video 9 X\na=mid:c\na=inactive\n"
        "m=application 9 X\na=mid:d\n"
        "m=audio 9 X\n"
    )
    assert peek(offer).sending == {"b", "#4"}


@given(st.text(max_size=2000))
def test_no_text_makes_the_peek_fail(text: str) -> None:
    peek(text)


@given(
    st.lists(st.sampled_from(["o=", "m=audio", "m=video 9", "a=mid:", "a=mid:x", "a=sendonly", " ", "\r"]))
)
def test_no_broken_description_makes_the_peek_fail(lines: list[str]) -> None:
    seen = peek("\n".join(lines))
    assert all(mid in seen.kinds for mid in seen.sending)


def test_everything_the_facade_names_is_there_and_sorted() -> None:
    assert sorted(rooms.__all__, key=lambda name: (not name.isupper(), name)) == rooms.__all__
    assert all(hasattr(rooms, name) for name in rooms.__all__)


def test_refusal_codes_are_those_of_the_protocol() -> None:
    from pathlib import Path  # noqa: PLC0415 - only this test needs it

    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    section = text.split("## 6. Errors")[1].split("## 7.")[0]
    assert [code for code in Code if f"`{code}`" not in section] == []
