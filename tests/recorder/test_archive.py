"""Finished recordings in a bucket of a real S3 server: sent once, read, composed, erased, deleted there."""

import asyncio
import hashlib
import os
from dataclasses import replace

import pytest

from recorder import RenderWish, verify_recording
from recorder.archivist import shelf_of
from store import ArchiveUnavailable, LedgerKind, new_id
from tests.recorder.house import CONFIG, ROOM, SEALED, house, until
from tests.recorder.test_custody import noted
from tests.recorder.test_service import fetched
from tests.support.s3 import VERSIONED, S3Server

pytestmark = [
    pytest.mark.shares("the S3 server, and the client's connections to it"),
    pytest.mark.slow,
]
RED, BLUE = (200, 30, 30), (30, 30, 200)
CANARY = "bea-canary"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("swift"))
    yield server
    server.stop()


@pytest.fixture
def s3(server):
    """A server that runs, whatever the test before did to it."""
    server.stop()
    server.start()
    return server


def archiving(s3, config=SEALED, *, keeps_local=False, bucket=None, **options):
    """Into a place of its own in the bucket."""
    given = {"bucket": bucket} if bucket else {}
    archive = s3.config(new_id("rec"), **given, **options)
    return replace(config, archive=archive, keeps_local=keeps_local)


async def recorded(home, *people):
    info = await home.recorder.start(ROOM)
    for person in people:
        await person.acknowledge()
        await person.participant.chat(f"{person.participant.identity} speaks")
        await home.grows(info, person.person, "camera")
    await home.recorder.stop(info.id)
    return await home.finished(info)


def state_of(home, info):
    state = home.recorder.archivist.state(shelf_of(info.id))
    return state.state if state is not None else None


async def archived(home, info, patience_s=30):
    await until(lambda: state_of(home, info) == "archived", "the archive", patience_s)


async def keys_of(home, info):
    return set(await home.recorder.archivist._archive.listed(shelf_of(info.id)))


def moved(home, info):
    """Media files on the disk."""
    return [path.name for path in home.folder(info).iterdir() if path.suffix in {".webm", ".mp4"}]


def verified(home, info, config):
    """What `parley recordings verify` finds."""
    found = verify_recording(home.folder(info), home.store, config, None, lambda _done, _total: None)
    return {finding.name: finding.problem for finding in found.findings}


async def plays(home, info):
    """What a replay of a recording in the bucket asks for."""
    # Who plays it again gets a descriptor of a part that is there for as long as it is held open.
    reel = await home.recorder.reels.reel(info.id)
    part = next(part for part in reel.parts if part.kind == "video")
    opened = await home.recorder.reels.open(info.id, part)
    try:
        await until(lambda: moved(home, info) == [], "the fetched part to be gone again")
        assert os.pread(opened.fd, 8, 0) == b"PRLYSEAL"
    finally:
        os.close(opened.fd)

    # For a replay everything is there before it begins, and until it ends.
    steps: list[tuple[int, int]] = []
    parts = [part.name for part in reel.parts]
    async with home.recorder.reels.fetched(info.id, parts, lambda *step: steps.append(step)):
        assert sorted(moved(home, info)) == sorted(parts)
        assert steps[0][0] == 0
        assert steps[-1][0] == steps[-1][1] > 0
        await archived(home, info)
        assert sorted(moved(home, info)) == sorted(parts), "what moves the rest leaves them"
    await until(lambda: moved(home, info) == [], "the fetched parts to be gone again")


async def test_a_recording_leaves_the_disk_and_is_fetched_composed_and_verified_from_the_bucket(s3, tmp_path):
    config = archiving(s3, piece_bytes=16_384)
    async with house(tmp_path, config) as home:
        ada = await home.enter(CANARY, colour=RED)
        info = await recorded(home, ada)
        await archived(home, info)
        told = (await home.recorder.status(info.id)).archive
        assert told.done_bytes == told.total_bytes > 16_384
        assert moved(home, info) == []
        listed = await home.recorder.files(info.id)
        assert {file.name.split("-")[-2] for file in listed if file.name.endswith("webm")} == {
            "camera",
            "mic",
        }
        for file in listed:
            content = await fetched(home, info, file.name)  # compares with the signed hash
            assert len(content) == file.size_bytes
        assert verified(home, info, config) == {}

        # What lies there opens nothing and names nobody.
        everything = b"".join(path.read_bytes() for path in s3.objects())
        assert b"PRLYSEAL" in everything
        assert ada.person.encode() in everything
        assert CANARY.encode() not in everything
        for key in (tmp_path / "recording-keys").rglob("*.key"):
            assert key.read_bytes() not in everything

        await plays(home, info)
        wish = RenderWish(width=160, height=90, fps=5)
        rendition = await home.recorder.renditions.render(info.id, wish)

        def made():
            return home.recorder.renditions.get(info.id, rendition.id)

        await until(lambda: made().state not in {"queued", "rendering"}, "the rendition", 60)
        assert (made().state, made().reason) == ("finished", None)
        await archived(home, info)
        shelf = shelf_of(info.id, rendition.id)
        await until(lambda: home.recorder.archivist.state(shelf).state == "archived", "its archive")
        assert moved(home, info) == []
        assert not list((tmp_path / "blobs" / "renditions").rglob("rendition.mp4"))
        file = await home.recorder.renditions.open_file(info.id, rendition.id, made().name)
        content = b""
        while piece := await file.read(len(content), 65_536):
            content += piece
        await file.close()
        assert hashlib.sha256(content).hexdigest() == made().sha256

        await home.recorder.delete(info.id)
        archive = home.recorder.archivist._archive
        assert await archive.listed("recordings") == {} == await archive.listed("renditions")
        assert not home.folder(info).exists()


async def test_an_upload_that_an_outage_and_a_restart_cut_short_sends_nothing_twice(s3, tmp_path):
    config = replace(archiving(s3, piece_bytes=2_048), archive_uploads=1)
    before = set(s3.objects())
    async with house(tmp_path, config) as home:
        ada = await home.enter("ada", colour=RED)
        info = await recorded(home, ada)
        shelf = shelf_of(info.id)
        await until(lambda: home.recorder.archivist.state(shelf).done_bytes > 8_000, "some objects")
        s3.stop()
        await until(lambda: home.recorder.condition.complaints, "a complaint")
        told = home.recorder.archivist.state(shelf)
        assert told.state == "waiting"
        assert "cannot be used" in told.reason
        assert 0 < told.done_bytes < told.total_bytes
        assert "1 recordings and renditions wait" in home.recorder.condition.complaints[0]
        # The recording is whole on the disk meanwhile, and is fetched from there.
        assert len(moved(home, info)) == 2
        assert verified(home, info, config) == {}
    sent = set(s3.objects()) - before
    s3.start()
    async with house(tmp_path, config) as home:
        await archived(home, info)
        assert moved(home, info) == []
        assert verified(home, info, config) == {}
        assert home.recorder.condition.complaints == []
    # The server names its files by the time that they were put: one that was put again has another name.
    assert len(sent) > 3
    assert len(sent - set(s3.objects())) <= 1
    async with house(tmp_path, config) as home:
        assert state_of(home, info) == "archived"


async def test_a_withdrawal_is_told_as_done_when_the_bucket_has_let_go_too(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("recorder.custody.SWEEP_EVERY_S", 0.5)
    config = archiving(s3)
    async with house(tmp_path, config) as home:
        ada, bea = await home.enter("ada", colour=RED), await home.enter(CANARY, colour=BLUE)
        info = await recorded(home, ada, bea)
        await archived(home, info)
        hers = {key for key in await keys_of(home, info) if bea.person in key}
        assert len(hers) >= 2
        s3.stop()
        await home.rooms.withdrawals.withdraw(bea.person)
        keys = tmp_path / "recording-keys" / info.id
        await until(lambda: not (keys / f"{bea.person}.key").exists(), "the key's end")
        await until(
            lambda: bea.person not in (home.folder(info) / "manifest.json").read_text(), "the manifest"
        )
        (erasure,) = await home.recorder.custody.erasures(bea.person)
        assert erasure.outcome == "pending"
        assert all(bea.person not in file.name for file in await home.recorder.files(info.id))
        assert not await home.store.ledger.rows(kind=LedgerKind.ERASED)
        await until(
            lambda: any("archive" in said for said in home.recorder.condition.complaints), "a complaint"
        )

        s3.start()
        await until(lambda: not list(home.folder(info).glob("erase.*")), "the request's end", 60)
        assert await noted(home, LedgerKind.ERASED) == [LedgerKind.ERASED]
        await archived(home, info)
        keys_now = await keys_of(home, info)
        assert not any(bea.person in key for key in keys_now)
        assert any(ada.person in key for key in keys_now)
        assert verified(home, info, config) == {}
        assert len(await fetched(home, info, next(f.name for f in await home.recorder.files(info.id)))) > 1000
        assert (await home.store.ledger.verify()).is_verified


async def test_a_recording_is_deleted_with_its_objects_or_not_at_all_but_for_its_keys(s3, tmp_path):
    config = archiving(s3, keeps_local=True)
    async with house(tmp_path, config) as home:
        ada = await home.enter("ada", colour=RED)
        info = await recorded(home, ada)
        await archived(home, info)
        assert len(moved(home, info)) == 2
        s3.stop()
        with pytest.raises(ArchiveUnavailable):
            await home.recorder.delete(info.id)
        assert not list((tmp_path / "recording-keys").rglob("*.key"))
        assert await home.recorder.status(info.id) is not None
        s3.start()
        await home.recorder.delete(info.id)
        assert await home.recorder.archivist._archive.listed("recordings") == {}
        assert await home.recorder.status(info.id) is None
        assert not home.folder(info).exists()


async def test_what_erasing_could_not_reach_is_not_sent(s3, tmp_path):
    config = archiving(s3, CONFIG, bucket=VERSIONED)
    async with house(tmp_path, config) as home:
        ada = await home.enter("ada", colour=RED)
        info = await recorded(home, ada)
        await until(lambda: state_of(home, info) == "failed", "the refusal")
        assert "keeps old versions" in home.recorder.archivist.state(shelf_of(info.id)).reason
        assert await keys_of(home, info) == set()
        assert len(moved(home, info)) == 2


async def test_a_recording_in_another_bucket_says_where_it_is(s3, tmp_path):
    config = archiving(s3)
    async with house(tmp_path, config) as home:
        ada = await home.enter("ada", colour=RED)
        info = await recorded(home, ada)
        await archived(home, info)
        name = next(file.name for file in await home.recorder.files(info.id))
    async with house(tmp_path, SEALED) as home:
        with pytest.raises(ArchiveUnavailable, match=config.archive.where):
            await home.recorder.file(info.id, name)
        with pytest.raises(ArchiveUnavailable, match=r"configure \[archive\]"):
            await home.recorder.delete(info.id)


async def damaged(folder):
    """A finished recording of which one file has another last byte, that file, and what it held."""
    async with house(folder, SEALED) as home:
        info = await recorded(home, await home.enter("ada", colour=RED))
        path = home.folder(info) / moved(home, info)[0]
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    return info, path, content


async def test_a_damaged_file_is_not_sent_in_place_of_the_one_that_was_signed(s3, tmp_path):
    info, path, _ = await damaged(tmp_path)
    async with house(tmp_path, archiving(s3)) as home:
        await until(lambda: state_of(home, info) == "failed", "the refusal")
        assert path.name in home.recorder.archivist.state(shelf_of(info.id)).reason
        assert len(moved(home, info)) == 2


async def test_a_folder_that_the_disk_fails_is_tried_again_and_holds_up_no_other(s3, tmp_path):
    async with house(tmp_path, SEALED) as home:
        ada = await home.enter("ada", colour=RED)
        bad, good = await recorded(home, ada), await recorded(home, ada)
        (home.folder(bad) / "archive.json").mkdir()
    async with house(tmp_path, archiving(s3)) as home:
        await archived(home, good)
        await until(lambda: home.recorder.archivist.state(shelf_of(bad.id)).reason, "the error")
        assert state_of(home, bad) == "waiting"
        assert home.recorder.condition.archive_waiting == 1
        assert any("archive.json" in said for said in home.recorder.condition.complaints)
        (home.folder(bad) / "archive.json").rmdir()
        await archived(home, bad)
        assert home.recorder.condition.complaints == []


async def test_what_cannot_be_sent_is_counted_and_told(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("recorder.archivist._LOOK_AGAIN_S", 0.5)
    info, path, content = await damaged(tmp_path)
    async with house(tmp_path, archiving(s3)) as home:
        condition = home.recorder.condition
        await until(lambda: condition.archive_failed == 1, "the refusal")
        assert condition.archive_waiting == 1
        assert any(path.name in said for said in condition.complaints)
        path.write_bytes(content)
        await archived(home, info)
        assert (condition.archive_failed, condition.archive_waiting, condition.complaints) == (0, 0, [])


async def test_a_folder_that_changes_while_it_is_sent_is_sent_again(s3, tmp_path, monkeypatch):
    async with house(tmp_path, archiving(s3, keeps_local=True)) as home:
        ada = await home.enter("ada", colour=RED)
        archivist = home.recorder.archivist
        send, sent = archivist._send, []

        async def changed_meanwhile(archive, left, job, shelf):
            await send(archive, left, job, shelf)
            sent.append(len(left))
            if len(sent) == 1:
                archivist.add(shelf)

        monkeypatch.setattr(archivist, "_send", changed_meanwhile)
        await archived(home, await recorded(home, ada))
        assert (len(sent), sent[-1], archivist.waiting) == (2, 0, 0)


async def test_an_object_that_arrives_after_it_was_given_up_is_removed_too(s3, tmp_path, monkeypatch):
    monkeypatch.setattr("recorder.outgoing._PATIENCE_S", 0.2)
    monkeypatch.setattr("recorder.outgoing._LATE_S", 4.0)
    config = replace(archiving(s3, piece_bytes=4_096), archive_uploads=4)
    async with house(tmp_path, config) as home:
        ada = await home.enter("ada", colour=RED)
        archivist = home.recorder.archivist
        await archivist._archive.check()
        archive, put = archivist._archive, archivist._archive.put
        frozen = []

        async def put_to_a_server_that_hangs(piece, data):
            if not frozen:
                frozen.append(piece.key)
                s3.hang()
            await put(piece, data)

        monkeypatch.setattr(archive, "put", put_to_a_server_that_hangs)
        info = await recorded(home, ada)
        await until(lambda: frozen, "an object on its way")
        await asyncio.sleep(0.5)
        deleting = asyncio.create_task(home.recorder.delete(info.id))
        await asyncio.sleep(1)
        assert not deleting.done()
        s3.hang(is_hanging=False)
        async with asyncio.timeout(20):
            await deleting
        assert await archive.listed("recordings") == {}
        await asyncio.sleep(1)
        assert await archive.listed("recordings") == {}
