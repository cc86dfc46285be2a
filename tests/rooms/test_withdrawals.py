"""Withdrawal of what was recorded: cut first, then noted, then told to those who keep recordings."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from policy import LIVE, RECORD, REPLAY
from rooms import Cut, LedgerUnavailable, Withdrawal
from store import LedgerEntry, LedgerKind
from tests.rooms.rig import Rig
from tests.rooms.test_ledger_failure import Breaker


async def told(following: AsyncIterator[tuple[Withdrawal, ...]]) -> tuple[Withdrawal, ...]:
    async with asyncio.timeout(5):
        return await anext(following)


async def test_what_was_withdrawn_before_and_after_somebody_listens_is_told_once_in_order(house: Rig) -> None:
    withdrawals = house.service.withdrawals
    first = await withdrawals.withdraw("u_a", recording="rec_1")
    second = await withdrawals.withdraw("u_b", room="rm_1")
    following = withdrawals.follow()
    assert await told(following) == (first, second)
    waiting = asyncio.ensure_future(told(following))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    third = await withdrawals.withdraw("u_c")
    assert await waiting == (third,)
    assert (third.person, third.room, third.recording) == ("u_c", "", "")
    await following.aclose()


async def test_a_message_of_anybody_on_the_bus_withdraws_nothing(house: Rig) -> None:
    following = house.service.withdrawals.follow()
    waiting = asyncio.ensure_future(told(following))
    await asyncio.sleep(0.01)
    for message in (b"", b"u_a", b"\xff" * 100):
        await house.service._house.cluster.publish("consent.withdrawals", message)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    withdrawal = await house.service.withdrawals.withdraw("u_a")
    assert await waiting == (withdrawal,)
    await following.aclose()


async def test_following_ends_with_the_house(house: Rig) -> None:
    waiting = asyncio.ensure_future(anext(house.service.withdrawals.follow(), None))
    await asyncio.sleep(0.01)
    await house.service.close()
    async with asyncio.timeout(5):
        assert await waiting is None


async def test_a_recording_that_runs_loses_the_person_before_the_withdrawal_is_noted(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    recording, live = await house.record(), await house.broadcast()
    await house.acknowledge(ada, bob)
    await house.service.withdrawals.withdraw(ada.person)
    assert not house.gate(recording.activity, ada)
    assert house.gate(recording.activity, bob)
    assert house.gate(live.activity, ada)
    assert [cut.reason for cut in recording.of(Cut)] == ["withdrawn"]
    assert (await house.rows())[-2:] == [("revoked", "withdrawn"), ("withdrawn", "withdrawn")]
    standing = await house.store.ledger.choices_of(ada.person)
    assert (standing.uses[RECORD], standing.uses[REPLAY]) == (False, False)
    assert LIVE not in standing.uses
    # Agreeing again is possible, and counts from then on.
    await ada.consent({RECORD: True})
    assert house.gate(recording.activity, ada)


@pytest.mark.parametrize(
    ("scope", "is_cut"),
    [
        ({"room": "this"}, True),
        ({"room": "rm_other"}, False),
        ({"recording": "this"}, True),
        ({"recording": "rec_over"}, False),
    ],
)
async def test_only_what_the_withdrawal_names_is_cut(house: Rig, scope: dict[str, str], is_cut: bool) -> None:
    ada = await house.join("ada")
    recording = await house.record()
    await house.acknowledge(ada)
    ids = {"room": recording.activity.room_id, "recording": recording.activity.id}
    named = {key: ids[key] if value == "this" else value for key, value in scope.items()}
    await house.service.withdrawals.withdraw(ada.person, **named)
    assert house.gate(recording.activity, ada) is not is_cut
    [row] = await house.store.ledger.rows(kind=LedgerKind.WITHDRAWN)
    assert (row.room, row.activity) == (named.get("room", ""), named.get("recording", ""))


async def test_without_the_ledger_nothing_is_removed_and_the_cut_holds(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await house.join("ada")
    recording = await house.record()
    await house.acknowledge(ada)
    breaker = Breaker(house.store.ledger, monkeypatch)
    breaker.is_broken = True
    with pytest.raises(LedgerUnavailable):
        await house.service.withdrawals.withdraw(ada.person)
    assert not house.gate(recording.activity, ada)
    breaker.is_broken = False
    assert await house.store.ledger.rows(kind=LedgerKind.WITHDRAWN) == ()


async def test_what_was_carried_out_stands_in_the_ledger(house: Rig) -> None:
    house.service.withdrawals.carried_out("u_a", room="rm_1", recording="rec_1")
    await house.service.close()
    [row] = await house.store.ledger.rows(kind=LedgerKind.ERASED)
    assert (row.person, row.room, row.activity) == ("u_a", "rm_1", "rec_1")
    assert (await house.store.ledger.verify()).is_verified


async def test_very_many_withdrawals_of_one_person_are_all_told(house: Rig) -> None:
    recordings = [f"rec_{number}" for number in range(1_100)]
    await house.store.ledger.append(
        *(
            LedgerEntry(at_ms=number, kind=kind, person="u_a", activity=recording)
            for number, recording in enumerate(recordings)
            for kind in (LedgerKind.WITHDRAWN, LedgerKind.ERASED)
        )
    )
    asked, erased = await house.service.withdrawals.of("u_a")
    assert [withdrawal.recording for withdrawal in asked] == recordings
    assert list(erased) == recordings
    assert await house.service.withdrawals.of("u_b") == ((), {})
