"""When the ledger cannot be written.

New grants are refused, running ones go on, revocations cut first and are retried.
"""

import asyncio

import pytest

from policy import LIVE, RECORD, RoomMode, RoomSettings
from rooms import Code, Cut, Participant, Refused, State
from store import Head, Ledger, LedgerEntry, StoreReadOnly
from tests.rooms.rig import Rig, rig, until


class Breaker:
    """Makes the ledger's appends fail until it is mended, or so many times."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_broken = False
        self.failures = 0
        self.attempts = 0
        self._append = ledger.append
        monkeypatch.setattr(ledger, "append", self.append)

    async def append(self, *entries: LedgerEntry) -> Head:
        self.attempts += 1
        self.failures -= 1
        if self.is_broken or self.failures >= 0:
            raise StoreReadOnly("it cannot be written: check the folder's permissions")
        return await self._append(*entries)


class Stall:
    """Makes the ledger's appends wait until `open` is set."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self._append = ledger.append
        monkeypatch.setattr(ledger, "append", self.append)

    async def append(self, *entries: LedgerEntry) -> Head:
        self.waiting += 1
        await self.open.wait()
        return await self._append(*entries)


@pytest.fixture
def breaker(house: Rig, monkeypatch: pytest.MonkeyPatch) -> Breaker:
    return Breaker(house.store.ledger, monkeypatch)


async def test_an_acknowledgement_lets_publish_and_grants_nothing_until_it_is_written(
    house: Rig, breaker: Breaker
) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada)
    breaker.is_broken = True
    await house.acknowledge(bob)
    await house.publish(bob)
    assert not house.gate(consumer.activity, bob)
    # What was granted before goes on.
    assert house.gate(consumer.activity, ada)
    breaker.is_broken = False
    await house.clock.advance(1.1)
    await until(lambda: house.gate(consumer.activity, bob), "grant")


async def test_an_agreement_is_refused_with_a_time_to_try_again(house: Rig, breaker: Breaker) -> None:
    ada = await house.join("ada")
    breaker.is_broken = True
    with pytest.raises(Refused) as refusal:
        await ada.consent({RECORD: True})
    assert (refusal.value.code, refusal.value.retry_after_s) == (Code.UNAVAILABLE, 5.0)


async def test_no_recording_starts(house: Rig, breaker: Breaker) -> None:
    ada = await house.join("ada")
    breaker.is_broken = True
    with pytest.raises(Refused) as refusal:
        await house.record()
    assert refusal.value.code is Code.UNAVAILABLE
    assert ada.room.activities() == ()


async def test_a_revocation_cuts_first_and_is_written_once_the_ledger_is_back(
    house: Rig, breaker: Breaker
) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    breaker.is_broken = True
    revocation = await ada.revoke()
    assert not house.gate(consumer.activity, ada)
    assert consumer.of(Cut)
    assert not revocation.is_recorded
    keeper = house.service._house.keeper
    assert (keeper.waiting, keeper.is_failing) == (1, True)
    await house.clock.advance(1.1)
    assert keeper.waiting == 1
    breaker.is_broken = False
    await house.clock.advance(1.1)
    await until(lambda: keeper.waiting == 0, "retry")
    assert not keeper.is_failing
    assert ("revoked", "revoked") in await house.rows()


async def test_retries_come_one_at_a_time_and_not_without_a_pause(house: Rig, breaker: Breaker) -> None:
    ada = await house.join("ada")
    breaker.is_broken = True
    await ada.revoke()
    before = breaker.attempts
    await house.clock.advance(5.5)
    assert breaker.attempts - before == 5


async def test_a_newcomer_may_publish_in_the_room_and_is_used_once_the_ledger_is_back(
    house: Rig, breaker: Breaker
) -> None:
    breaker.is_broken = True
    ada = await house.join("ada")
    await house.publish(ada)
    await ada.chat("the call goes on")
    breaker.is_broken = False
    consumer = await house.record()
    await house.acknowledge(ada)
    await until(lambda: house.gate(consumer.activity, ada), "grant")
    kinds = [kind for kind, _ in await house.rows()]
    # The acceptance came first in time and stands first in the ledger.
    assert kinds == ["terms_accepted", "activity_started", "notice_acknowledged"]


async def test_a_ledger_that_is_back_before_a_newcomer_is_inside_holds_up_nobody(
    house: Rig, breaker: Breaker
) -> None:
    breaker.failures = 1
    # To write down the refusal takes a turn at the door, and the acceptance is written with it.
    ada = await house.join("ada", choices={LIVE: False})
    assert breaker.attempts > 1
    assert not house.service._house.keeper.is_failing
    consumer = await house.record()
    await house.acknowledge(ada)
    assert house.gate(consumer.activity, ada)
    assert next(kind for kind, _ in await house.rows()) == "terms_accepted"


async def test_a_resumed_person_stays_out_until_the_ledger_has_noted_it(house: Rig, breaker: Breaker) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    breaker.is_broken = True
    await ada.suspend()
    again = await house.join("ada", accept=None, resume=ada.resume_secret)
    assert not house.gate(consumer.activity, again)
    breaker.is_broken = False
    await house.clock.advance(1.1)
    await until(lambda: house.gate(consumer.activity, again), "reopening")


async def test_an_agreement_that_was_not_written_does_not_come_true_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(settings=RoomSettings(mode=RoomMode.EXPLICIT)) as house:
        breaker = Breaker(house.store.ledger, monkeypatch)
        ada = await house.join("ada")
        consumer = await house.record()
        await house.acknowledge(ada)
        breaker.is_broken = True
        with pytest.raises(Refused):
            await ada.consent({RECORD: True})
        breaker.is_broken = False
        await house.clock.advance(5)
        assert not house.gate(consumer.activity, ada)
        assert "use_agreed" not in [kind for kind, _ in await house.rows()]


async def test_a_ledger_that_fails_verification_cuts_everyone(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada, bob)
    house.store.ledger._head = None
    await house.store._writer.run(
        lambda connection: (
            connection.exec_driver_sql("DROP TRIGGER ledger_no_update"),
            connection.exec_driver_sql("UPDATE ledger SET person = 'u_other' WHERE seq = 1"),
        )
    )
    report = await house.service.consent.verify_ledger()
    assert not report.is_verified
    assert report.problem == "row 1 was changed"
    await until(lambda: len(consumer.of(Cut)) == 2, "cuts")
    assert not house.gate(consumer.activity, ada)
    assert not house.gate(consumer.activity, bob)
    # The call goes on, and nothing can be started or agreed to.
    cleo = await house.join("cleo")
    await house.acknowledge(cleo)
    await house.publish(cleo)
    assert not house.gate(consumer.activity, cleo)
    with pytest.raises(Refused):
        await house.record()


async def test_calls_at_once_share_their_writes(house: Rig, breaker: Breaker) -> None:
    await asyncio.gather(*(house.join(f"person {number}") for number in range(50)))
    assert await house.store.ledger.size() == 50
    assert breaker.attempts < 25


async def test_what_is_agreed_to_at_the_door_is_not_taken_and_the_acceptance_is_written_later(
    house: Rig, breaker: Breaker
) -> None:
    breaker.is_broken = True
    ada = await house.join("ada", choices={RECORD: True})
    unasked = (await house.join("bob")).consent_states()[RECORD]
    assert ada.consent_states()[RECORD] is unasked
    breaker.is_broken = False
    await house.clock.advance(1.1)
    await until(lambda: house.member(ada).facts.holds == frozenset(), "acceptance")
    assert [kind for kind, _ in await house.rows()].count("use_agreed") == 0


async def test_who_resumes_and_is_not_answered_has_no_signalling(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada)
    await ada.suspend()
    stall = Stall(house.store.ledger, monkeypatch)
    resuming = asyncio.create_task(house.join("ada", accept=None, resume=ada.resume_secret))
    await until(lambda: stall.waiting, "the ledger")
    resuming.cancel()
    await asyncio.wait([resuming])
    stall.open.set()
    states = lambda: {info.identity: info.state for info in bob.room.participants()}  # noqa: E731
    await until(lambda: states()["ada"] is State.SUSPENDED, "the place is kept for the grace time")
    assert not house.gate(consumer.activity, ada)
    await house.clock.advance(30.5)
    await until(lambda: "ada" not in states(), "and lost after it")


async def test_a_hold_that_is_laid_on_while_it_is_lifted_stays(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    await ada.suspend()
    stall = Stall(house.store.ledger, monkeypatch)
    resuming = asyncio.create_task(house.join("ada", accept=None, resume=ada.resume_secret))
    await until(lambda: stall.waiting, "the ledger")
    newest = house.member(ada).session
    assert isinstance(newest, Participant)
    suspending = asyncio.create_task(newest.suspend())
    await asyncio.sleep(0)
    stall.open.set()
    await asyncio.gather(resuming, suspending)
    assert not house.gate(consumer.activity, ada)
    again = await house.join("ada", accept=None, resume=newest.resume_secret)
    await until(lambda: house.gate(consumer.activity, again), "resumed by the next")
