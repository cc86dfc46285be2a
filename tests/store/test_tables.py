"""Persons, rooms, bans, terms, recordings, partners, destinations, broadcasts and blobs as they are kept."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from policy import DEFAULT_TERMS, LIVE, REPLAY, Ban, RoomMode, RoomSettings
from signaling.rest.endpoint import MAX_PAGE
from store import (
    BlobError,
    Blobs,
    BroadcastRow,
    BroadcastState,
    Conflict,
    KeyFileError,
    NotFound,
    PartnerRow,
    RecordingRow,
    RecordingState,
    Secret,
    Store,
    StoreConfig,
    StoreCorrupt,
    is_id,
    new_id,
)

CANARY = "canary-4f1c-do-not-store"


def recording(number: int = 1, **fields: object) -> RecordingRow:
    return RecordingRow(
        id=f"rec_{number}",
        room="rm_1",
        room_name="demo",
        state=RecordingState.RECORDING,
        started_at_ms=1000 + number // 2,
        **fields,  # type: ignore[arg-type]
    )


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def partner(store: Store, site: str = "tv.example") -> PartnerRow:
    return await store.partners.add(
        name="TV", site=site, policy_url="https://tv.example/privacy", terms_version="1"
    )


async def test_a_person_is_found_by_identity_and_forgotten_without_breaking_the_ledger(disk: Store) -> None:
    assert await disk.persons.find(CANARY) is None
    assert await disk.persons.remember(CANARY, "u_1") == "u_1"
    assert await disk.persons.remember(CANARY, "u_2") == "u_1"
    assert await disk.persons.find(CANARY) == "u_1"
    assert await disk.persons.identity("u_1") == CANARY
    assert await disk.persons.erase("u_1")
    assert not await disk.persons.erase("u_1")
    assert await disk.persons.find(CANARY) is None
    with pytest.raises(NotFound):
        await disk.persons.identity("u_1")
    assert (await disk.ledger.verify()).is_verified


async def test_neither_identities_nor_stream_keys_lie_in_the_files(tmp_path: Path) -> None:
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    await store.persons.remember(CANARY, "u_1")
    tv = await partner(store)
    await store.destinations.add(
        name="Main", partner=tv.id, kind="rtmp", url="rtmp://x/live", key=Secret(CANARY)
    )
    during = everything_in(tmp_path)
    await store.close()
    after = everything_in(tmp_path)
    assert CANARY.encode() not in during + after
    again = await Store.open(StoreConfig(data_dir=tmp_path))
    (found,) = await again.destinations.all()
    assert found.key is not None
    assert found.key.reveal() == CANARY
    await again.close()


async def test_a_stream_key_does_not_show_itself(disk: Store) -> None:
    tv = await partner(disk)
    row = await disk.destinations.add(
        name="Main", partner=tv.id, kind="rtmp", url="rtmp://x", key=Secret(CANARY)
    )
    for text in (repr(row), str(row.key), f"{row.key}", f"{row.key!r}", "%s" % row.key):  # noqa: UP031
        assert CANARY not in text
    assert str(Secret(CANARY)).endswith("tore")
    assert str(Secret("short")) == "····"
    with pytest.raises(TypeError):
        pickle.dumps(row.key)
    assert Secret("a" * 12) == Secret("a" * 12) != Secret("b" * 12)


async def test_a_sealed_key_opens_neither_elsewhere_nor_after_a_change(disk: Store) -> None:
    keys = disk._keys
    sealed = keys.seal("stream-key", b"secret", "dst_1")
    assert keys.unseal("stream-key", sealed, "dst_1") == b"secret"
    assert keys.seal("stream-key", b"secret", "dst_1") != sealed
    for purpose, text, context in (
        ("other", sealed, "dst_1"),
        ("stream-key", sealed, "dst_2"),
        ("stream-key", sealed[:-1] + bytes([sealed[-1] ^ 1]), "dst_1"),
        ("stream-key", b"", "dst_1"),
    ):
        with pytest.raises(KeyFileError):
            keys.unseal(purpose, text, context)


async def test_destinations_belong_to_partners_and_rooms(disk: Store) -> None:
    tv = await partner(disk)
    with pytest.raises(NotFound):
        await disk.destinations.add(name="x", partner="pt_none", kind="rtmp")
    everywhere = await disk.destinations.add(name="a", partner=tv.id, kind="hls")
    only = await disk.destinations.add(name="b", partner=tv.id, kind="rtmp", url="rtmp://x", rooms=("demo",))
    assert [row.id for row in await disk.destinations.all(room="other")] == [everywhere.id]
    assert [row.id for row in await disk.destinations.all(room="demo")] == [everywhere.id, only.id]
    assert await disk.destinations.get(only.id) == only
    with pytest.raises(Conflict, match="destinations"):
        await disk.partners.remove(tv.id)
    await disk.destinations.remove(everywhere.id)
    await disk.destinations.remove(only.id)
    await disk.partners.remove(tv.id)
    for missing in (
        disk.destinations.get(only.id),
        disk.destinations.remove(only.id),
        disk.partners.get(tv.id),
    ):
        with pytest.raises(NotFound):
            await missing
    with pytest.raises(NotFound):
        await disk.partners.remove(tv.id)


async def test_a_partner_without_a_terms_version_may_use_nothing(disk: Store) -> None:
    tv = await partner(disk)
    assert tv.terms().in_force(LIVE, 5)
    assert not replace(tv, terms_version="").terms().in_force(LIVE, 5)
    with pytest.raises(Conflict):
        await partner(disk)
    await partner(disk, "other.example")
    assert len(await disk.partners.all()) == 2
    assert await disk.partners.get(tv.id) == tv


async def test_rooms_keep_their_id_whatever_their_settings(disk: Store) -> None:
    settings = RoomSettings(mode=RoomMode.EXPLICIT)
    first = await disk.rooms.put("demo", settings, is_kept=True)
    second = await disk.rooms.put("demo", RoomSettings(), is_kept=True)
    assert first.id == second.id
    assert second.settings == RoomSettings()
    assert [row.name for row in await disk.rooms.kept()] == ["demo"]
    await disk.rooms.unkeep("demo")
    assert await disk.rooms.kept() == ()
    found = await disk.rooms.get("demo")
    assert found is not None
    assert found.id == first.id
    assert await disk.rooms.get("other") is None
    await disk._writer.run(lambda connection: connection.exec_driver_sql("UPDATE rooms SET settings = 'x'"))
    with pytest.raises(StoreCorrupt):
        await disk.rooms.get("demo")


async def test_bans_end_and_can_be_lifted(disk: Store) -> None:
    room = await disk.rooms.put("demo", RoomSettings(), is_kept=False)
    lasting = Ban(identity_hash="i", address_hash="a", expires_at_ms=2**50)
    await disk.bans.add(room.id, lasting)
    await disk.bans.add(room.id, Ban(identity_hash="j", address_hash="", expires_at_ms=1))
    assert await disk.bans.of(room.id) == (lasting,)
    assert await disk.bans.lift(room.id, "i")
    assert not await disk.bans.lift(room.id, "i")
    with pytest.raises(Conflict):
        await disk.bans.add("rm_none", lasting)


async def test_terms_start_with_the_shipped_ones_and_only_grow(disk: Store) -> None:
    assert (await disk.terms.history()).documents == (DEFAULT_TERMS,)
    newer = replace(DEFAULT_TERMS, version="2027-01", number=2)
    await disk.terms.publish(newer)
    assert (await disk.terms.history()).documents == (DEFAULT_TERMS, newer)
    for wrong in (DEFAULT_TERMS, newer, replace(newer, version="x", number=2), replace(newer, number=3)):
        with pytest.raises(Conflict):
            await disk.terms.publish(wrong)


async def test_terms_that_were_changed_behind_the_stores_back_are_found(disk: Store) -> None:
    await disk.terms.history()
    await disk._writer.run(
        lambda connection: (
            connection.exec_driver_sql("DROP TRIGGER terms_no_update"),
            connection.exec_driver_sql("UPDATE terms SET document = replace(document, 'live', 'LIVE')"),
        )
    )
    with pytest.raises(StoreCorrupt):
        await disk.terms.history()


async def test_the_longest_page_of_the_api_tells_that_there_is_another(memory: Store) -> None:
    for number in range(MAX_PAGE + 2):
        await memory.recordings.add(recording(number))
    rows, _ = await memory.recordings.page(limit=MAX_PAGE + 1)
    assert len(rows) == MAX_PAGE + 1, "the API asks for one more than it shows"


async def test_a_recording_is_kept_changed_listed_and_removed(disk: Store) -> None:
    for number in range(5):
        await disk.recordings.add(recording(number))
    with pytest.raises(Conflict):
        await disk.recordings.add(recording(1))
    changed = await disk.recordings.change(
        "rec_1",
        state=RecordingState.FINISHED,
        stopped_at_ms=9,
        size_bytes=5,
        reason="stopped",
        details={"a": 1},
    )
    assert changed == await disk.recordings.get("rec_1")
    assert (changed.state, changed.size_bytes, changed.details) == (RecordingState.FINISHED, 5, {"a": 1})
    seen: list[str] = []
    after = None
    while True:
        rows, after = await disk.recordings.page(limit=2, after=after, room="demo")
        seen += [row.id for row in rows]
        if after is None:
            break
    assert seen == ["rec_4", "rec_3", "rec_2", "rec_1", "rec_0"]
    assert [row.id for row in await disk.recordings.in_states(RecordingState.FINISHED)] == ["rec_1"]
    with pytest.raises(Conflict):
        await disk.recordings.remove("rec_2")
    await disk.recordings.remove("rec_1")
    for missing in (
        disk.recordings.get("rec_1"),
        disk.recordings.remove("rec_1"),
        disk.recordings.change("rec_1", reason="x"),
        disk.recordings.page(after="nonsense"),
        disk.recordings.page(after="9" * 30 + ".x"),
    ):
        with pytest.raises(NotFound):
            await missing
    assert (await disk.recordings.page(room="none"))[0] == ()


async def test_a_recording_keeps_what_its_room_offered_when_it_ended(disk: Store) -> None:
    both, only = frozenset({LIVE, REPLAY}), frozenset({LIVE})
    await disk.recordings.add(recording(1, uses=both))
    await disk.recordings.add(recording(2))
    assert [(await disk.recordings.get(name)).allowed for name in ("rec_1", "rec_2")] == [both, None]
    await disk.recordings.offer("rm_2", only)
    assert (await disk.recordings.get("rec_1")).allowed == both
    await disk.recordings.offer("rm_1", only)
    assert (await disk.recordings.get("rec_1")).uses == only  # it runs: its room changes with it
    await disk.recordings.change("rec_1", state=RecordingState.FINISHED)
    await disk.recordings.offer("rm_1", both)
    first = await disk.recordings.get("rec_1")
    assert (first.uses, first.uses_since, first.allowed) == (only, both, only)
    await disk.recordings.offer("rm_1", frozenset())
    assert (await disk.recordings.get("rec_2")).allowed == frozenset()


async def test_a_recording_whose_retention_ended_is_found(disk: Store) -> None:
    await disk.recordings.add(recording(1, expires_at_ms=1))
    await disk.recordings.add(recording(2, expires_at_ms=2**50))
    await disk.recordings.add(recording(3))
    assert [row.id for row in await disk.recordings.expired()] == ["rec_1"]


async def test_a_broadcast_is_kept_changed_and_listed(disk: Store) -> None:
    row = BroadcastRow(
        id="bc_1",
        room="rm_1",
        room_name="demo",
        state=BroadcastState.STARTING,
        started_at_ms=5,
        destinations=("dst_1", "dst_2"),
        details={"layout": "grid"},
    )
    await disk.broadcasts.add(row)
    assert await disk.broadcasts.get("bc_1") == row
    changed = await disk.broadcasts.change(
        "bc_1", state=BroadcastState.STOPPED, reason="stopped", stopped_at_ms=7
    )
    assert changed.state is BroadcastState.STOPPED
    assert (await disk.broadcasts.page(room="demo"))[0] == (changed,)
    assert await disk.broadcasts.in_states(BroadcastState.STARTING) == ()
    for missing in (disk.broadcasts.get("bc_2"), disk.broadcasts.change("bc_2", reason="x")):
        with pytest.raises(NotFound):
            await missing


def test_ids_are_random_and_safe_as_names() -> None:
    found = {new_id("rec") for _ in range(100)}
    assert len(found) == 100
    assert all(is_id(text) for text in found)
    assert not any(
        is_id(text) for text in ("", "rec_", "../x", "rec_../../../../etc", "REC_AAAAAAAAAAAAAAAA", "a" * 100)
    )


@pytest.mark.parametrize(
    "name", ["../x", "..", ".hidden", "a/b", "a\\b", "/abs", "nul\0", "x" * 101, "A", "ünï", "a..b", ""]
)
def test_a_blob_with_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path)
    owner = new_id("rec")
    blobs.folder("recordings", owner)
    with pytest.raises(BlobError):
        blobs.open("recordings", owner, name, os.O_CREAT | os.O_WRONLY)
    for kind, other in (("elsewhere", owner), ("recordings", name)):
        with pytest.raises(BlobError):
            blobs.folder(kind, other)


def test_blobs_follow_no_symbolic_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    blobs = Blobs(tmp_path / "blobs")
    owner, linked = new_id("rec"), new_id("rec")
    folder = blobs.folder("recordings", owner)
    (folder / "link").symlink_to(outside / "secret")
    with pytest.raises(OSError):
        blobs.open("recordings", owner, "link")
    blobs.path("recordings", linked).symlink_to(outside)
    with pytest.raises(BlobError):
        blobs.open("recordings", linked, "secret")
    with pytest.raises(BlobError):
        blobs.remove("recordings", linked)
    blobs.remove("recordings", owner)
    blobs.remove("recordings", owner)
    assert not folder.exists()
    assert (outside / "secret").exists()
