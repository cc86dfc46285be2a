"""Who withdraws is taken out of every recording that holds them, whatever state it is in."""

import asyncio

import pytest

from recorder import RecordingConflict
from recorder.manifest import verify
from store import LedgerKind, StoreReadOnly
from tests.recorder.house import ROOM, house, until

RED, BLUE = (200, 30, 30), (30, 30, 200)
CANARY = "bea-canary"


async def recorded(home, *people, chat=()):
    """A recording in which everybody has a picture on disk."""
    info = await home.recorder.start(ROOM)
    for person in people:
        await person.acknowledge()
        await home.grows(info, person.person, "camera")
    for person in chat:
        await person.participant.chat(f"{person.participant.identity} speaks")
    return info


def manifest_of(home, info):
    return verify((home.folder(info) / "manifest.json").read_bytes(), home.recorder.public_key)


async def is_erased(home, info, person):
    folder = home.folder(info)
    await until(lambda: not home.media(info, person, "*"), "the erasure")
    await until(lambda: not list(folder.glob("erase.*")), "the request's end")
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert person.encode() not in everything
    assert CANARY.encode() not in everything
    async with asyncio.timeout(15):
        while (person, info.id) not in await erased_rows(home):  # noqa: ASYNC110 (rows of the store)
            await asyncio.sleep(0.02)


async def erased_rows(home):
    rows = await home.store.ledger.rows(kind=LedgerKind.ERASED)
    return sorted((row.person, row.activity) for row in rows)


async def test_a_withdrawal_takes_the_person_out_of_finished_and_running_recordings(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        bea = await home.enter(CANARY, colour=BLUE)
        first = await recorded(home, ada, bea, chat=[bea])
        await home.recorder.stop(first.id)
        second = await recorded(home, ada, bea, chat=[bea])
        await home.rooms.withdrawals.withdraw(bea.person)
        await is_erased(home, first, bea.person)
        cut = {path: path.stat().st_size for path in home.media(second, bea.person, "*")}

        def recorded_bytes():
            return sum(path.stat().st_size for path in home.media(second, ada.person, "camera"))

        before = recorded_bytes()
        await until(lambda: recorded_bytes() > before + 2_000, "ada goes on")
        assert {path: path.stat().st_size for path in home.media(second, bea.person, "*")} == cut
        await home.recorder.stop(second.id)
        for info in (first, second):
            await is_erased(home, info, bea.person)
            manifest = manifest_of(home, info)
            assert manifest.version == 2
            assert [person.person for person in manifest.people] == [ada.person]
        assert await erased_rows(home) == sorted((bea.person, info.id) for info in (first, second))
        assert (await home.store.ledger.verify()).is_verified


async def test_a_withdrawal_that_nobody_heard_is_carried_out_at_the_next_start_and_binds_nothing_later(
    tmp_path,
):
    async with house(tmp_path) as home:
        bea = await home.enter(CANARY, colour=BLUE)
        person = bea.person
        old = await recorded(home, bea, chat=[bea])
        await home.recorder.stop(old.id)
        # As in a crash between the ledger's row and the recorder's note of it.
        await home.recorder._scope.close()
        await home.rooms.withdrawals.withdraw(person)
        assert home.media(old, person, "camera")
    async with house(tmp_path) as home:
        await is_erased(home, old, person)
        bea = await home.enter(CANARY, colour=BLUE)
        assert bea.person == person
        new = await recorded(home, bea)
        await home.recorder.stop(new.id)
    async with house(tmp_path) as home:
        await until(home.recorder._books._jobs.empty, "the start's work")
        await asyncio.sleep(0.2)
        assert home.media(new, person, "camera")
        assert manifest_of(home, new).version == 1
        assert await erased_rows(home) == [(person, old.id)]


async def test_a_store_that_fails_delays_an_erasure_and_loses_none(tmp_path, monkeypatch):
    monkeypatch.setattr("recorder.service._WITHDRAWALS_AGAIN_S", 0.2)
    async with house(tmp_path) as home:
        bea = await home.enter(CANARY, colour=BLUE)
        info = await recorded(home, bea)
        await home.recorder.stop(info.id)
        carry_out, failures = home.recorder._books.withdraw, []

        async def fail_at_first(withdrawals):
            if len(failures) < 2:
                failures.append(withdrawals)
                raise StoreReadOnly("it cannot be read now")
            await carry_out(withdrawals)

        monkeypatch.setattr(home.recorder._books, "withdraw", fail_at_first)
        await home.rooms.withdrawals.withdraw(bea.person)
        await is_erased(home, info, bea.person)
        assert len(failures) == 2


async def test_somebody_who_was_not_in_a_recording_leaves_it_as_it_is(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        zoe = await home.enter("zoe", agrees=False)
        info = await recorded(home, ada)
        # Who is in a recording is known when it is finished.
        await home.rooms.withdrawals.withdraw(zoe.person)
        await until(lambda: list(home.folder(info).glob("erase.*")), "the request")
        await home.recorder.stop(info.id)
        await until(lambda: not list(home.folder(info).glob("erase.*")), "the request's end")
        assert manifest_of(home, info).version == 1
        assert await erased_rows(home) == []


async def test_a_damaged_manifest_holds_up_the_erasure_of_no_other_recording(tmp_path):
    async with house(tmp_path) as home:
        bea = await home.enter(CANARY, colour=BLUE)
        damaged, whole = [await home.recorder.stop((await recorded(home, bea)).id) for _ in range(2)]
        manifest = home.folder(damaged) / "manifest.json"
        signed = manifest.read_bytes()
        manifest.write_bytes(signed[: len(signed) // 2])
        await home.rooms.withdrawals.withdraw(bea.person)
        await is_erased(home, whole, bea.person)
        await home.recorder._books._jobs.join()
        assert not home.media(damaged, bea.person, "*")
        with pytest.raises(RecordingConflict, match="manifest cannot be trusted"):
            await home.recorder.files(damaged.id)
        found = {item.recording: item.outcome for item in await home.recorder.custody.erasures(bea.person)}
        assert found == {damaged.id: "pending", whole.id: "erased"}
        manifest.write_bytes(signed)
    async with house(tmp_path) as home:
        await is_erased(home, damaged, bea.person)
        assert manifest_of(home, damaged).version == 2
        assert len(await erased_rows(home)) == 2


async def test_what_was_put_aside_loses_the_person_too_and_goes_with_its_recording(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", colour=RED)
        bea = await home.enter(CANARY, colour=BLUE)
        info = await recorded(home, ada, bea, chat=[ada, bea])
        written = home.folder(info) / "chat.jsonl"
        await until(lambda: written.exists() and CANARY.encode() in written.read_bytes(), "the chat")
        await home.crash(info)
        (home.folder(info) / "events.jsonl").write_bytes(b"garbage")
    async with house(tmp_path) as home:
        assert (await home.finished(info)).state == "failed"
        [aside] = (tmp_path / "blobs" / "quarantine").iterdir()
        assert CANARY.encode() in (aside / "chat.jsonl").read_bytes()
        await home.rooms.withdrawals.withdraw(bea.person)
        await until(lambda: not list(aside.glob(f"{bea.person}-*")), "the erasure")
        await until(lambda: CANARY.encode() not in (aside / "chat.jsonl").read_bytes(), "the chat's erasure")
        assert b"ada speaks" in (aside / "chat.jsonl").read_bytes()
        assert list(aside.glob(f"{ada.person}-camera-*"))
        await home.recorder.delete(info.id)
        assert not aside.exists()
    async with house(tmp_path) as home:
        assert await erased_rows(home) == [(bea.person, info.id)]
