"""Moderators act on media at once, and only moderators."""

import pytest

from policy import Permission
from rooms import Action, Code, Refused, Removed, TrackMuted
from tests.rooms.rig import EVERYTHING, PERSON, Rig, until

MODERATOR = PERSON | {Permission.MODERATE}


@pytest.mark.parametrize("action", list(Action))
async def test_without_the_permission_everything_is_forbidden(house: Rig, action: Action) -> None:
    ada = await house.join("ada")
    bob = await house.join("bob")
    with pytest.raises(Refused) as refusal:
        await ada.moderate(action, "bob")
    assert refusal.value.code is Code.FORBIDDEN
    assert bob.is_attached


async def test_a_mute_drops_sound_at_the_server_and_the_owner_cannot_lift_it(house: Rig) -> None:
    boss, bob = await house.join("boss", permissions=MODERATOR), await house.join("bob")
    mic, camera = await house.publish(bob)
    house.drain(bob)
    await boss.moderate(Action.MUTE, "bob")
    assert not house.is_enabled(mic)
    assert house.is_enabled(camera)
    assert house.events(bob, TrackMuted) == [TrackMuted(bob.id, mic, False, True)]
    with pytest.raises(Refused):
        await bob.set_muted(mic, is_muted=False)
    # A new connection does not get around it.
    mic, _ = await house.publish(bob)
    assert not house.is_enabled(mic)
    await boss.moderate(Action.UNMUTE, "bob")
    assert house.is_enabled(mic)


async def test_lifting_a_mute_leaves_the_owners_own_mute(house: Rig) -> None:
    boss, bob = await house.join("boss", permissions=MODERATOR), await house.join("bob")
    mic, _ = await house.publish(bob)
    await bob.set_muted(mic, is_muted=True)
    await boss.moderate(Action.MUTE, "bob")
    await boss.moderate(Action.UNMUTE, "bob")
    assert not house.is_enabled(mic)


async def test_a_removed_participant_is_gone_with_their_media_and_may_come_back(house: Rig) -> None:
    boss, bob = await house.join("boss", permissions=MODERATOR), await house.join("bob")
    await house.publish(bob)
    consumer = await house.record()
    await house.acknowledge(bob)
    gate = consumer.activity.grants[bob.id].gate
    assert gate is not None
    await boss.moderate(Action.REMOVE, "bob")
    assert house.drain(bob)[-1] == Removed("removed")
    assert not house.is_open((gate.slot, gate.version))
    assert (await boss.room.stats()).tracks == ()
    await house.join("bob")


async def test_a_ban_holds_for_identity_and_address_until_it_ends(house: Rig) -> None:
    boss = await house.join("boss", permissions=MODERATOR)
    await house.join("bob", address_hash="aa" * 32)
    await boss.moderate(Action.BAN, "bob", ban_s=3600)
    for identity, address in (("bob", "bb" * 32), ("robert", "aa" * 32)):
        with pytest.raises(Refused) as refusal:
            await house.join(identity, address_hash=address)
        assert refusal.value.code is Code.BANNED
    await house.join("cleo", address_hash="cc" * 32)
    await house.clock.advance(3601)
    await house.join("bob")


async def test_a_ban_outlives_the_room(house: Rig) -> None:
    boss = await house.join("boss", permissions=MODERATOR)
    await house.join("bob")
    await boss.moderate(Action.BAN, "bob")
    await boss.leave()
    await house.clock.advance(61)
    await until(lambda: house.service.room("demo") is None, "closing")
    with pytest.raises(Refused) as refusal:
        await house.join("bob")
    assert refusal.value.code is Code.BANNED


async def test_a_ban_keeps_no_name_and_no_address(house: Rig) -> None:
    boss = await house.join("boss", permissions=MODERATOR)
    await house.join("bob-canary", address_hash=house.store.keyed_hash("address", "203.0.113.9"))
    await boss.moderate(Action.BAN, "bob-canary")
    (ban,) = await house.store.bans.of(boss.room.id)
    assert "canary" not in repr(ban)
    assert "203.0" not in repr(ban)


async def test_an_administrator_is_moderated_by_administrators_alone(house: Rig) -> None:
    boss = await house.join("boss", permissions=MODERATOR)
    await house.join("root", permissions=EVERYTHING | {Permission.ADMIN})
    with pytest.raises(Refused) as refusal:
        await boss.moderate(Action.REMOVE, "root")
    assert refusal.value.code is Code.FORBIDDEN


async def test_nobody_of_that_identity_is_not_found(house: Rig) -> None:
    boss = await house.join("boss", permissions=MODERATOR)
    with pytest.raises(Refused) as refusal:
        await boss.moderate(Action.MUTE, "nobody")
    assert refusal.value.code is Code.NOT_FOUND
