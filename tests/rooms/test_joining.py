"""Who gets in, under which name, and what the others hear of it."""

import asyncio

import pytest

from policy import LIVE, RECORD, Acceptance, Limits, Permission, RoomSettings
from rooms import (
    Action,
    Code,
    JoinRequest,
    Participant,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    Refused,
    Removed,
    RoomClosed,
    RoomsConfig,
    SpeakersChanged,
    TrackPublished,
)
from rooms.announcement import AT_ONCE, PAUSE_S
from sfu import Levels
from store import Head, LedgerEntry, LedgerKind
from tests.rooms.rig import ACCEPTED, EVERYTHING, PERSON, START_MS, Rig, rig, until

HOSTILE_ROOMS = (
    "",
    "../../etc/passwd",
    "..\\..\\windows",
    "/abs",
    "a/b",
    "nul\x00byte",
    "x" * 300,
    "CON",
    "com1.txt",
    "right\u202eleft",
    "new\nline",
    ".hidden",
    "a..b",
    "\ud800",
)


async def refusal_of(join: object) -> Refused:
    with pytest.raises(Refused) as refusal:
        await join  # type: ignore[misc]
    return refusal.value


async def test_the_others_are_told_and_the_newcomer_is_not(house: Rig) -> None:
    ada = await house.join("ada")
    bob = await house.join("bob")
    assert [event.participant.identity for event in house.events(ada, ParticipantJoined)] == ["bob"]
    assert house.events(bob, ParticipantJoined) == []
    assert [info.identity for info in bob.others()] == ["ada"]


@pytest.mark.parametrize("name", HOSTILE_ROOMS)
async def test_a_hostile_room_name_is_refused(house: Rig, name: str) -> None:
    assert (await refusal_of(house.join("ada", room=name))).code is Code.INVALID_REQUEST
    assert house.service.rooms() == ()


@pytest.mark.parametrize("name", ["a\u202eb", "tab\there", "x" * 65, "\u200b"])
async def test_a_hostile_screen_name_is_refused(house: Rig, name: str) -> None:
    if name == "tab\there":
        assert (await house.join("ada", name=name)).name == "tab here"
        return
    assert (await refusal_of(house.join("ada", name=name))).code is Code.INVALID_REQUEST


async def test_a_token_without_join_is_refused(house: Rig) -> None:
    refusal = await refusal_of(house.join("ada", permissions=PERSON - {Permission.JOIN}))
    assert refusal.code is Code.FORBIDDEN


async def test_an_expired_token_is_refused(house: Rig) -> None:
    assert (await refusal_of(house.join("ada", expires_at_ms=START_MS))).code is Code.UNAUTHORIZED


async def test_the_newest_join_of_an_identity_wins(house: Rig) -> None:
    old = await house.join("ada")
    bob = await house.join("bob")
    house.drain(bob)
    new = await house.join("ada")
    assert new.id != old.id
    assert house.drain(old)[-1] == Removed("replaced")
    assert [type(event) for event in house.drain(bob)] == [ParticipantLeft, ParticipantJoined]
    assert [info.id for info in new.room.participants() if info.identity == "ada"] == [new.id]
    with pytest.raises(Refused):
        await old.chat("hello")
    await old.leave()
    assert new.is_attached


async def test_two_joins_of_one_identity_at_once_leave_one(house: Rig) -> None:
    joined = await asyncio.gather(*(house.join("ada") for _ in range(5)))
    assert len(joined[0].room.participants()) == 1
    assert sum(participant.is_attached for participant in joined) == 1


async def test_an_identity_cannot_be_taken_over_by_a_screen_name(house: Rig) -> None:
    admin = await house.join("admin", name="Admin", permissions=EVERYTHING)
    mallory = await house.join("mallory", name="ＡＤＭＩＮ")  # noqa: RUF001 - looks alike on purpose
    assert mallory.name == "ＡＤＭＩＮ (2)"  # noqa: RUF001
    assert mallory.identity == "mallory"
    assert admin.is_attached
    with pytest.raises(Refused) as refusal:
        await mallory.moderate(Action.REMOVE, "admin")
    assert refusal.value.code is Code.FORBIDDEN


async def test_a_full_room_refuses_with_a_time_to_come_back_but_lets_an_identity_return() -> None:
    async with rig(settings=RoomSettings(max_participants=2)) as house:
        await house.join("ada"), await house.join("bob")
        refusal = await refusal_of(house.join("cleo"))
        assert refusal.code is Code.ROOM_FULL
        assert refusal.retry_after_s
        assert (await house.join("ada")).is_attached


async def test_joins_at_once_do_not_overfill_a_room() -> None:
    async with rig(settings=RoomSettings(max_participants=10)) as house:
        results = await asyncio.gather(
            *(house.join(f"person {number}") for number in range(50)), return_exceptions=True
        )
        assert sum(not isinstance(result, BaseException) for result in results) == 10
        room = house.service.room("demo")
        assert room is not None
        assert room.count() == 10


async def test_a_storm_of_joins_opens_one_room_and_takes_everyone(house: Rig) -> None:
    joined = await asyncio.gather(*(house.join(f"person {number}", room="storm") for number in range(100)))
    assert len({participant.room.id for participant in joined}) == 1
    assert len(joined[0].room.participants()) == 100


async def test_the_number_of_rooms_is_bounded() -> None:
    async with rig(config=RoomsConfig(limits=Limits(rooms=2))) as house:
        await house.join("ada", room="one"), await house.join("ada", room="two")
        assert (await refusal_of(house.join("ada", room="three"))).code is Code.ROOM_FULL


async def test_rooms_are_made_by_the_api_alone_when_configured_so() -> None:
    async with rig(config=RoomsConfig(creates_on_join=False)) as house:
        assert (await refusal_of(house.join("ada"))).code is Code.FORBIDDEN
        await house.service.create_room("demo")
        await house.join("ada")


async def test_a_room_made_by_the_api_stays_and_an_empty_one_closes(house: Rig) -> None:
    await house.service.create_room("kept")
    ada = await house.join("ada", room="passing")
    bob = await house.join("bob", room="kept")
    await ada.leave(), await bob.leave()
    await house.clock.advance(61)
    await until(lambda: house.service.room("passing") is None, "closing")
    assert house.service.room("kept") is not None
    with pytest.raises(Refused) as refusal:
        await house.service.create_room("kept")
    assert refusal.value.code is Code.CONFLICT


async def test_a_room_keeps_its_id_and_the_kept_ones_their_settings_over_a_restart(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with rig(data_dir=tmp_path) as house:
        kept = await house.service.create_room("kept", RoomSettings(max_participants=3))
        ada = await house.join("ada", room="passing")
        ids = (kept.id, ada.room.id)
    async with rig(data_dir=tmp_path) as house:
        assert house.service.settings_of("kept").max_participants == 3
        room = house.service.room("kept")
        assert room is not None
        ada = await house.join("ada", room="passing")
        assert (room.id, ada.room.id) == ids


async def test_closing_a_room_tells_everyone_and_ends_what_runs(house: Rig) -> None:
    ada = await house.join("ada")
    consumer = await house.record()
    await house.acknowledge(ada)
    await house.service.close_room("demo")
    assert house.drain(ada)[-1] == RoomClosed("room_closed")
    assert type(consumer.seen[-1]).__name__ == "ActivityEnded"
    assert house.service.room("demo") is None
    page = house.plane.gates
    assert [slot for slot in range(1, 50) if page.value(slot) & 1] == []


async def test_a_draining_server_refuses_joins(house: Rig) -> None:
    house.service.drain()
    refusal = await refusal_of(house.join("ada"))
    assert (refusal.code, refusal.retry_after_s) == (Code.SHUTTING_DOWN, 2.0)


async def test_an_expired_stay_ends_and_a_renewed_one_goes_on(house: Rig) -> None:
    ada = await house.join("ada", expires_at_ms=START_MS + 60_000)
    bob = await house.join("bob", expires_at_ms=START_MS + 60_000)
    await bob.renew(START_MS + 120_000, PERSON)
    await house.clock.advance(61)
    await until(lambda: not ada.is_attached, "expiry")
    assert house.drain(ada)[-1] == Removed("token_expired")
    assert bob.is_attached


async def test_a_jump_of_the_wall_clock_ends_what_expired_within_half_a_minute(house: Rig) -> None:
    ada = await house.join("ada", expires_at_ms=START_MS + 3_600_000)
    house.clock.wall_shift_ms = 3_700_000
    await house.clock.advance(31)
    await until(lambda: not ada.is_attached, "expiry")


async def test_a_store_that_cannot_be_read_refuses_new_rooms_and_leaves_the_open_ones(house: Rig) -> None:
    ada = await house.join("ada")
    await house.store.close()
    assert (await refusal_of(house.join("bob", room="other"))).code is Code.UNAVAILABLE
    # In the open room people still come in: as viewers until the ledger is back.
    bob = await house.join("bob")
    assert bob.is_attached
    await ada.chat("still here")


async def test_an_acceptance_is_only_kept_with_a_row_before_the_persons_mapping_is_needed(house: Rig) -> None:
    await house.join("ada", accept=None)
    assert await house.store.persons.find("ada") is None
    bob = await house.join("bob")
    assert await house.store.persons.find("bob") == bob.person
    rows = await house.store.ledger.rows()
    assert [row.person for row in rows] == [bob.person]
    assert "bob" not in rows[0].to_json()


async def test_a_person_keeps_their_ledger_id_from_join_to_join(house: Rig) -> None:
    first = await house.join("ada")
    await first.leave()
    assert (await house.join("ada")).person == first.person


async def test_a_service_starts_on_a_ledger_that_does_not_verify_and_grants_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    async with rig(data_dir=tmp_path) as house:
        await house.join("ada")
    (tmp_path / "ledger.anchor").unlink()
    async with rig(data_dir=tmp_path) as house:
        ada = await house.join("ada")
        await house.publish(ada)
        with pytest.raises(Refused):
            await house.record()


async def test_a_whip_join_needs_no_terms_while_nothing_runs(house: Rig) -> None:
    kid = Acceptance(terms_version="2026-11", age_18=False, vouched=True)
    whip = await house.join("obs", transport="whip", accept=kid)
    await house.publish(whip)
    assert whip.resume_secret == ""
    await whip.suspend()
    assert not whip.is_attached


async def test_others_are_described_anew_only_when_something_of_them_changed(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    before = ada.others()[0]
    assert ada.others()[0] is before
    await house.publish(bob)
    after = ada.others()[0]
    assert len(after.tracks) == 2
    assert ada.others()[0] is after
    await bob.consent({RECORD: False})
    assert ada.others()[0].consent[RECORD] != after.consent[RECORD]


async def test_accepting_and_agreeing_at_the_door_is_one_write(
    house: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[LedgerKind]] = []
    append = house.store.ledger.append

    async def appending(*entries: LedgerEntry) -> Head:
        written.append([entry.kind for entry in entries])
        return await append(*entries)

    monkeypatch.setattr(house.store.ledger, "append", appending)
    ada = await house.join("ada", choices={RECORD: True, LIVE: False})
    assert written[0] == [LedgerKind.TERMS_ACCEPTED, LedgerKind.USE_AGREED]
    assert ada.consent_states()[RECORD] is not ada.consent_states()[LIVE]
    await until(lambda: len(written) == 2)
    assert written[1] == [LedgerKind.USE_REFUSED]


async def _crowd(house: Rig, people: int) -> list[Participant]:
    """So many in the room, each of whom knows of all others."""
    crowd = [await house.join(f"person-{number}") for number in range(people)]
    await house.clock.advance(1.0)
    for person in crowd:
        house.drain(person)
    return crowd


def _told(house: Rig, crowd: list[Participant]) -> list[list[type]]:
    """What each heard since the last look."""
    return [[type(event) for event in house.drain(person)] for person in crowd]


async def test_a_large_room_hears_of_a_newcomer_a_few_people_at_a_time(house: Rig) -> None:
    crowd = await _crowd(house, 3 * AT_ONCE)
    await house.join("late")
    first, rest = crowd[:AT_ONCE], crowd[AT_ONCE:]
    assert _told(house, first) == [[ParticipantJoined]] * len(first)
    assert _told(house, rest) == [[]] * len(rest)
    await house.clock.advance(PAUSE_S)
    assert _told(house, rest[:AT_ONCE]) == [[ParticipantJoined]] * AT_ONCE
    assert _told(house, rest[AT_ONCE:]) == [[]] * AT_ONCE
    await house.clock.advance(PAUSE_S)
    assert _told(house, crowd) == [[]] * 2 * AT_ONCE + [[ParticipantJoined]] * AT_ONCE


async def test_everybody_hears_of_a_newcomer_once_and_the_same_before_all_that_follows(house: Rig) -> None:
    crowd = await _crowd(house, 2 * AT_ONCE)
    late = await house.join("late")
    await house.publish(late)
    await house.join("later")
    await late.leave()
    await house.clock.advance(1.0)
    heard = [house.drain(person) for person in crowd]
    for events in heard:
        kinds = [type(event) for event in events if not isinstance(event, ParticipantUpdated)]
        assert kinds[0] is ParticipantJoined
        assert kinds[1] is TrackPublished
        joined = [event for event in events if isinstance(event, ParticipantJoined)]
        assert [event.participant.identity for event in joined] == ["late", "later"]
        assert kinds.index(ParticipantLeft) > kinds.index(TrackPublished)
        assert events[0] is heard[0][0]  # one event for everybody, which is put into words once


async def test_that_a_newcomer_speaks_is_not_told_before_who_they_are(house: Rig) -> None:
    [ada, bob] = await _crowd(house, 2)
    [mic, _] = await house.publish(ada)
    house.drain(bob)
    house.service._plane_events.take(ada.room, Levels(((mic, -30),)))
    late = await house.join("late")
    [voice, _] = await house.publish(late)
    house.service._plane_events.take(ada.room, Levels(((voice, -30),)))
    events = house.drain(bob)
    kinds = [type(event) for event in events]
    assert kinds.count(SpeakersChanged) == 1
    assert kinds.index(ParticipantJoined) < kinds.index(SpeakersChanged)
    assert SpeakersChanged(((late.id, -30),)) in events


async def test_of_who_is_gone_before_the_room_was_told_nobody_hears_that_they_came(house: Rig) -> None:
    [ada] = await _crowd(house, 1)
    room = ada.room
    late = await house.service.join(
        JoinRequest(room="demo", identity="late", permissions=PERSON, accept=ACCEPTED)
    )
    assert house.drain(ada) == []
    await late.leave()
    assert ParticipantJoined not in [type(event) for event in house.drain(ada)]
    assert room.count() == 1
