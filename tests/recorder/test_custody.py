"""Recordings are kept for as long as they may be, and no longer than somebody may want them gone."""

import asyncio
import dataclasses
import time

import pytest

from recorder.errors import RecordingConflict, RecordingNotFound
from store import LedgerKind
from tests.recorder.house import ROOM, SEALED, house, until
from tests.recorder.test_service import fetched

RED, BLUE = (200, 30, 30), (30, 30, 200)
DAY_MS = 86_400_000


async def recorded(home, *people):
    info = await home.recorder.start(ROOM)
    for person in people:
        await person.acknowledge()
        await person.participant.chat(f"{person.participant.identity} speaks")
        await home.grows(info, person.person, "camera")
    return await home.recorder.stop(info.id)


async def noted(home, *kinds):
    """What the ledger says of these, once it says as much: it notes behind what is done."""
    deadline = time.monotonic() + 15
    while True:
        found = [row.kind for row in await home.store.ledger.rows() if row.kind in kinds]
        if len(found) >= len(kinds) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.02)


async def test_a_recording_goes_with_its_keys_when_its_time_is_over_unless_it_is_held(tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada", colour=RED)
        settings = home.rooms.settings_of(ROOM)
        await home.rooms.update_room(ROOM, dataclasses.replace(settings, retention_days=2))
        info = await recorded(home, ada)
        assert info.expires_ms == info.ended_ms + 2 * DAY_MS
        await home.recorder.custody.sweep()
        assert home.folder(info).is_dir()

        await home.store.recordings.change(info.id, expires_at_ms=1)
        hold = await home.recorder.custody.hold(info.id, reason="a claim", by="key/op", until_ms=None)
        assert (await home.recorder.status(info.id)).is_held
        await home.recorder.custody.sweep()
        with pytest.raises(RecordingConflict, match="legal hold"):
            await home.recorder.delete(info.id)
        assert home.folder(info).is_dir()

        released = await home.recorder.custody.release(info.id, hold.id, by="key/other")
        assert (released.reason, released.placed_by, released.released_by) == (
            "a claim",
            "key/op",
            "key/other",
        )
        await home.recorder.custody.sweep()
        assert not home.folder(info).exists()
        assert not list((tmp_path / "recording-keys").rglob("*.key"))
        assert await home.recorder.status(info.id) is None
        kinds = (LedgerKind.RECORDING_HELD, LedgerKind.RECORDING_RELEASED, LedgerKind.RECORDING_EXPIRED)
        assert await noted(home, *kinds) == list(kinds)
        assert (await home.store.ledger.verify()).is_verified


async def test_a_withdrawal_under_a_hold_ends_every_use_and_is_carried_out_after_it(tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada", colour=RED)
        bea = await home.enter("bea-canary", colour=BLUE)
        info = await recorded(home, ada, bea)
        custody = home.recorder.custody
        hold = await custody.hold(info.id, reason="a claim", by="key/op", until_ms=None)
        (file,) = home.media(info, bea.person, "camera")
        before = file.read_bytes()
        # What shows that the search finds: before the withdrawal all of it can be fetched.
        assert b"bea-canary speaks" in await fetched(home, info, "chat.jsonl")
        assert b"bea-canary" in await fetched(home, info, "events.jsonl")
        assert len(await fetched(home, info, file.name)) > 1_000

        await home.rooms.withdrawals.withdraw(bea.person)
        await until(lambda: list(home.folder(info).glob("erase.*")), "the request")
        await until(home.recorder._books._jobs.empty, "the job")
        assert file.read_bytes() == before
        assert all(bea.person not in item.name for item in await home.recorder.files(info.id))
        assert await home.recorder.file(info.id, file.name) is None
        for name in ("chat.jsonl", "events.jsonl"):
            text = await fetched(home, info, name)
            assert b"bea-canary" not in text
            assert ada.person.encode() in text
        (erasure,) = await custody.erasures(bea.person)
        assert (erasure.recording, erasure.outcome, erasure.at_ms) == (info.id, "held", None)

        await custody.release(info.id, hold.id, by="key/op")
        await until(lambda: not file.exists(), "the erasure")
        await until(lambda: not list(home.folder(info).glob("erase.*")), "its end")
        assert await noted(home, LedgerKind.ERASED) == [LedgerKind.ERASED]
        (erasure,) = await custody.erasures(bea.person)
        assert erasure.outcome == "erased"
        assert erasure.at_ms is not None
        assert await custody.erasures(ada.person) == ()
        assert not list((tmp_path / "recording-keys").rglob(f"{bea.person}.key"))
        assert b"bea-canary" not in b"".join(path.read_bytes() for path in home.folder(info).iterdir())
        assert ada.person.encode() in await fetched(home, info, "chat.jsonl")
        assert (await home.store.ledger.verify()).is_verified


async def test_a_hold_of_nothing_or_of_the_past_is_refused(tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada", colour=RED)
        info = await recorded(home, ada)
        custody = home.recorder.custody
        with pytest.raises(RecordingNotFound):
            await custody.hold("rec_aaaaaaaaaaaaaaaa", reason="x", by="x", until_ms=None)
        with pytest.raises(RecordingConflict, match="ended already"):
            await custody.hold(info.id, reason="x", by="x", until_ms=1)
        with pytest.raises(RecordingNotFound):
            await custody.release(info.id, "hold_aaaaaaaaaaaaaaaa", by="x")
        assert await custody.holds(info.id) == ()
