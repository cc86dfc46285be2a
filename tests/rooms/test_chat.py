"""Chat: who may, how much, and who reads it."""

import pytest

from policy import Limits, Permission, RoomSettings
from rooms import Chat, ChatDeleted, Code, Refused, RoomsConfig
from tests.rooms.rig import PERSON, Rig, rig


async def test_a_line_reaches_everyone_and_its_author(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    house.drain(ada), house.drain(bob)
    line = await ada.chat("  hello\r\nworld ")
    assert line.text == "hello\nworld"
    assert house.events(ada, Chat) == house.events(bob, Chat) == [Chat(line)]


async def test_a_private_line_reaches_its_reader_and_author_alone(house: Rig) -> None:
    ada, bob, cleo = await house.join("ada"), await house.join("bob"), await house.join("cleo")
    line = await ada.chat("psst", to=bob.id)
    assert house.events(bob, Chat) == [Chat(line)]
    assert house.events(cleo, Chat) == []
    assert cleo.chat_history() == ()
    assert bob.chat_history() == ada.chat_history() == (line,)


async def test_a_line_is_taken_back_by_its_author_or_a_moderator_and_nobody_else(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    moderator = await house.join("mod", permissions=PERSON | {Permission.MODERATE})
    lines = [await ada.chat("one"), await ada.chat("two")]
    with pytest.raises(Refused) as refusal:
        await bob.delete_chat(lines[0].id)
    assert refusal.value.code is Code.FORBIDDEN
    assert bob.chat_history() == tuple(lines)
    await ada.delete_chat(lines[0].id)
    assert house.events(bob, ChatDeleted) == [ChatDeleted(lines[0].id)]
    await moderator.delete_chat(lines[1].id)
    assert bob.chat_history() == ()
    with pytest.raises(Refused) as refusal:
        await ada.delete_chat(lines[0].id)
    assert refusal.value.code is Code.NOT_FOUND


async def test_a_private_line_is_taken_back_from_those_who_have_it(house: Rig) -> None:
    ada, bob = await house.join("ada"), await house.join("bob")
    moderator = await house.join("mod", permissions=PERSON | {Permission.MODERATE})
    line = await ada.chat("psst", to=bob.id)
    with pytest.raises(Refused) as refusal:
        await moderator.delete_chat(line.id)
    assert refusal.value.code is Code.NOT_FOUND, "its text is not theirs to know of"
    await ada.delete_chat(line.id)
    assert house.events(bob, ChatDeleted) == [ChatDeleted(line.id)]
    assert house.events(moderator, ChatDeleted) == []
    assert bob.chat_history() == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", Code.INVALID_REQUEST),
        ("   \n", Code.INVALID_REQUEST),
        ("x" * 2001, Code.TOO_LARGE),
        ("x" * 1_000_000, Code.TOO_LARGE),
        ("bell\x07", Code.INVALID_REQUEST),
        ("flip\u202e", Code.INVALID_REQUEST),
        ("half \ud800", Code.INVALID_REQUEST),
    ],
)
async def test_a_line_outside_the_rules_is_refused(house: Rig, text: str, code: Code) -> None:
    ada = await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await ada.chat(text)
    assert refusal.value.code is code
    assert ada.chat_history() == ()


async def test_markup_stays_text(house: Rig) -> None:
    ada = await house.join("ada")
    assert (await ada.chat("<img src=x onerror=alert(1)>")).text == "<img src=x onerror=alert(1)>"


async def test_too_many_lines_are_refused_with_a_time_and_taken_again_after_it() -> None:
    async with rig(config=RoomsConfig(limits=Limits(chat_burst=3, chat_per_s=1.0))) as house:
        ada = await house.join("ada")
        for number in range(3):
            await ada.chat(f"line {number}")
        with pytest.raises(Refused) as refusal:
            await ada.chat("one more")
        assert refusal.value.code is Code.RATE_LIMITED
        assert refusal.value.retry_after_s == pytest.approx(1.0)
        await house.clock.advance(1.0)
        await ada.chat("now")


async def test_the_history_is_bounded_and_given_to_who_comes_later() -> None:
    async with rig(config=RoomsConfig(limits=Limits(chat_history=3, chat_burst=100))) as house:
        ada = await house.join("ada")
        for number in range(5):
            await ada.chat(f"line {number}")
        bob = await house.join("bob")
        assert [line.text for line in bob.chat_history()] == ["line 2", "line 3", "line 4"]


async def test_without_the_permission_or_with_the_chat_off_it_is_forbidden(house: Rig) -> None:
    ada = await house.join("ada", permissions=PERSON - {Permission.CHAT})
    with pytest.raises(Refused) as refusal:
        await ada.chat("hello")
    assert refusal.value.code is Code.FORBIDDEN
    await house.service.update_room("demo", RoomSettings(chat=False))
    bob = await house.join("bob")
    with pytest.raises(Refused) as refusal:
        await bob.chat("hello")
    assert refusal.value.code is Code.FORBIDDEN


async def test_without_accepted_terms_nothing_is_disclosed(house: Rig) -> None:
    ada = await house.join("ada", accept=None)
    with pytest.raises(Refused) as refusal:
        await ada.chat("hello")
    assert refusal.value.code is Code.TERMS_REQUIRED


async def test_a_reader_who_is_not_there_is_not_found(house: Rig) -> None:
    ada = await house.join("ada")
    with pytest.raises(Refused) as refusal:
        await ada.chat("hello", to="p_nobody")
    assert refusal.value.code is Code.NOT_FOUND
