"""A lost connection keeps its place for a while; what was agreed rests, and opens under a new version."""

import pytest

from policy import Permission, RoomSettings
from rooms import (
    Action,
    Code,
    Cut,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    PeerClosed,
    Refused,
    Removed,
    SpeakersChanged,
    State,
    SubscribeOfferReady,
    TrackMuted,
)
from sfu import Levels, PeerFailed
from tests.rooms.rig import PERSON, START_MS, Rig, rig, until


async def test_suspending_closes_gates_and_keeps_the_place(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada)
    house.drain(bob)
    await ada.suspend()
    assert not house.gate(consumer.activity, ada)
    assert consumer.of(Cut)[0].reason == "suspended"
    (event,) = house.events(bob, ParticipantUpdated)
    assert event.participant.state is State.SUSPENDED
    assert ("suspended", "suspended") in await house.rows()


async def test_resuming_opens_again_under_a_new_version_with_the_same_id(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    consumer = await house.record()
    await house.acknowledge(ada)
    before = consumer.activity.grants[ada.id].gate
    await ada.suspend()
    house.drain(bob)
    again = await house.join("ada", accept=None, resume=ada.resume_secret, media="kept")
    after = consumer.activity.grants[again.id].gate
    assert again.is_resumed
    assert again.id == ada.id
    assert before is not None
    assert after is not None
    assert after.version > before.version
    assert again.pending_notices() == ()
    assert [type(event) for event in house.drain(bob)] == [ParticipantUpdated]
    assert ("resumed", "signalling") in await house.rows()


async def test_after_the_grace_time_the_place_is_lost_and_the_secret_is_worth_nothing(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    house.drain(bob)
    await ada.suspend()
    await house.clock.advance(30.5)
    await until(lambda: len(bob.room.participants()) == 1, "loss")
    assert house.events(bob, ParticipantLeft)[0].reason == "lost"
    again = await house.join("ada", resume=ada.resume_secret)
    assert not again.is_resumed
    assert again.id != ada.id


async def test_a_secret_serves_once(house: Rig) -> None:
    ada = await house.join("ada")
    await ada.suspend()
    second = await house.join("ada", resume=ada.resume_secret)
    await second.suspend()
    third = await house.join("ada", resume=ada.resume_secret)
    assert not third.is_resumed


async def test_a_secret_of_somebody_else_is_worth_nothing(house: Rig) -> None:
    ada = await house.join("ada")
    await ada.suspend()
    mallory = await house.join("mallory", resume=ada.resume_secret)
    assert not mallory.is_resumed
    assert mallory.id != ada.id


async def test_a_resume_while_the_old_session_is_attached_takes_it_over(house: Rig) -> None:
    ada = await house.join("ada")
    again = await house.join("ada", resume=ada.resume_secret)
    assert again.id == ada.id
    assert house.drain(ada)[-1] == Removed("replaced")
    with pytest.raises(Refused) as refusal:
        await ada.chat("from the old session")
    assert refusal.value.code is Code.CONFLICT
    # What the dying old session still does must not touch the new one.
    await ada.suspend()
    await ada.leave()
    assert again.is_attached
    await again.chat("from the new session")


async def test_new_media_drops_the_old_connections_and_kept_media_keeps_them(house: Rig) -> None:
    ada = await house.join("ada")
    await house.publish(ada)
    await ada.suspend()
    kept = await house.join("ada", resume=ada.resume_secret, media="kept")
    assert len(kept.info().tracks) == 2
    await kept.suspend()
    fresh = await house.join("ada", resume=kept.resume_secret, media="new")
    assert fresh.info().tracks == ()
    await house.publish(fresh)


async def test_a_mute_by_a_moderator_while_away_is_told_after_the_resume(house: Rig) -> None:
    boss, ada = await house.join("boss", permissions=PERSON | {Permission.MODERATE}), await house.join("ada")
    mic, _ = await house.publish(ada)
    await ada.suspend()
    await boss.moderate(Action.MUTE, "ada")
    again = await house.join("ada", resume=ada.resume_secret, media="kept")
    assert house.events(again, TrackMuted) == [TrackMuted(ada.id, mic, False, True)]
    await again.suspend()
    await boss.moderate(Action.UNMUTE, "ada")
    last = await house.join("ada", resume=again.resume_secret, media="kept")
    assert house.events(last, TrackMuted) == [TrackMuted(ada.id, mic, False, False)]


async def test_who_speaks_is_told_after_the_resume(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    mic, _ = await house.publish(bob)
    house.service._plane_events.take(bob.room, Levels(((mic, -30),)))
    await ada.suspend()
    house.service._plane_events.take(bob.room, Levels(()))
    again = await house.join("ada", resume=ada.resume_secret, media="kept")
    assert house.events(again, SpeakersChanged) == [SpeakersChanged(())]


async def test_connections_that_ended_while_away_are_told_or_made_anew_after_the_resume(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    await house.publish(ada), await house.publish(bob)
    await until(lambda: house.member(ada).subscriber is not None, "a subscriber")
    peers = house.member(ada).publish_peer, house.member(ada).subscriber
    await ada.suspend()
    for peer in peers:
        assert peer is not None
        house.service._plane_events.take(ada.room, PeerFailed(peer, "consent_lost"))
    again = await house.join("ada", resume=ada.resume_secret, media="kept")
    told = house.drain(again)
    assert PeerClosed("publish", "consent_lost") in told
    await until(lambda: SubscribeOfferReady() in told or told.extend(house.drain(again)), "an offer")
    offer = await again.next_offer()
    assert offer is not None
    assert offer.is_fresh
    await house.publish(again)
    await again.suspend()
    last = await house.join("ada", resume=again.resume_secret, media="kept")
    assert house.events(last, PeerClosed) == []


async def test_a_suspended_place_counts_and_an_ordinary_join_of_the_identity_replaces_it() -> None:
    async with rig(settings=RoomSettings(max_participants=1)) as house:
        ada = await house.join("ada")
        await ada.suspend()
        with pytest.raises(Refused):
            await house.join("bob")
        again = await house.join("ada")
        assert again.id != ada.id


async def test_without_grace_a_lost_connection_is_a_leave() -> None:
    async with rig(settings=RoomSettings(grace_s=0)) as house:
        ada = await house.join("ada")
        await ada.suspend()
        assert ada.room.participants() == ()


async def test_a_resume_carries_the_new_tokens_end_and_permissions(house: Rig) -> None:
    ada = await house.join("ada", expires_at_ms=START_MS + 10_000)
    await ada.suspend()
    again = await house.join(
        "ada", resume=ada.resume_secret, expires_at_ms=START_MS + 100_000, permissions=PERSON
    )
    await house.clock.advance(20)
    assert again.is_attached
    assert again.permissions == PERSON


async def test_a_suspended_place_ends_with_its_token(house: Rig) -> None:
    ada = await house.join("ada", expires_at_ms=START_MS + 10_000)
    await ada.suspend()
    await house.clock.advance(11)
    await until(lambda: ada.room.participants() == (), "expiry")


async def test_a_session_that_does_not_read_is_suspended_and_may_resume(house: Rig) -> None:
    ada = await house.join("ada")
    limit = house.service._house.limits.events_waiting
    for _ in range(limit + 1):
        house.member(ada).tell(ParticipantJoined(ada.info()))
    await until(lambda: ada.info().state is State.SUSPENDED, "suspension")
    events = house.drain(ada)
    assert events[-1] == Removed("slow_reader")
    assert len(events) == limit + 1
    assert (await house.join("ada", resume=ada.resume_secret)).is_resumed
