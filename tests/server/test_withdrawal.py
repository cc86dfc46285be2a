"""Withdrawal through the whole server: files and chat go, the ledger stays whole and says so."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.studio.flash import flash_and_beep
from bench.studio.peer import RtpPeer
from bench.studio.player import RtpPlayer
from tests.attacks.call import terms_of
from tests.browser.parley import Parley, serve
from tests.recorder.opened import plain_copy
from tests.recorder.rig import frame_times
from tests.server.command import parley as command
from tests.server.test_consent_command import chain_of
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ROOM = "kept"


@contextlib.asynccontextmanager
async def publishing(parley: Parley, identity: str, media: Any) -> AsyncIterator[str]:
    """Somebody whose embedder vouches for their consent, with picture and sound; their token."""
    async with aiohttp.ClientSession() as http:
        terms = await terms_of(http, parley)
        token = parley.token(ROOM, identity, grants=("join", "publish", "chat"), terms=terms)
        peer = RtpPeer(f"{parley.url}/whip/{ROOM}", token)
        await peer.connect(http)
        playing = asyncio.create_task(RtpPlayer(peer, *media).run())
        try:
            yield token
        finally:
            playing.cancel()
            await asyncio.wait([playing])
            await peer.close()


async def withdraw(parley: Parley, token: str, **body: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{parley.url}/api/v1/consents/withdrawals"
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as response:
        return response.status, await response.json()


class Folder:
    """What lies on disk of one recording."""

    def __init__(self, parley: Parley, recording: str) -> None:
        self.path = parley.data_dir / "blobs" / "recordings" / recording

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.path / "manifest.json").read_text())["manifest"]

    def of(self, person: str) -> list[Path]:
        return sorted(self.path.rglob(f"{person}-*"))

    def holds(self, person: str) -> bool:
        files = [path for path in self.path.rglob("*") if path.is_file()]
        return any(person in path.name or person.encode() in path.read_bytes() for path in files)


async def recorded(parley: Parley) -> str:
    """A recording of the room, once two people's pictures and sounds are on disk."""
    status, info = await parley.api("POST", "/recordings", {"room": ROOM})
    assert status == 201, info
    folder = Folder(parley, info["id"]).path

    async def are_written() -> bool:
        found = [path for path in folder.glob("*.webm") if path.stat().st_size > 2_000]
        return len(found) >= 4

    await until(are_written, "four files")
    return str(info["id"])


async def stopped(parley: Parley, recording: str) -> None:
    await parley.api("POST", f"/recordings/{recording}/stop")

    async def is_finished() -> bool:
        _, found = await parley.api("GET", f"/recordings/{recording}")
        return found["state"] == "finished"

    await until(is_finished, "the finished recording")


async def assert_they_are_told_erased(parley: Parley, recordings: set[str], data: str) -> None:
    where = ("--json", "--url", parley.url, "--data-dir", data)
    _, printed = await command("consent", "erasures", "--identity", "ada-lovelace", *where)
    assert {(item["recording"], item["outcome"]) for item in json.loads(printed)} == {
        (recording, "erased") for recording in recordings
    }


async def assert_a_hold_binds(parley: Parley, recording: str, data: str) -> None:
    """An operator holds a recording, and lets it go."""
    where = ("--url", parley.url, "--data-dir", data)
    arguments = ("hold", recording, "--reason", "a claim", "--until", "2030-01-31")
    code, hold = await command("recordings", *arguments, *where)
    assert (code, hold.startswith("hold_")) == (0, True)
    _, told = await parley.api("GET", f"/recordings/{recording}")
    assert told["is_held"]
    assert (await parley.api("DELETE", f"/recordings/{recording}"))[0] == 409
    _, listed = await command("recordings", "holds", recording, "--json", *where)
    (listed_hold,) = json.loads(listed)
    assert (listed_hold["reason"], listed_hold["until_ms"]) == ("a claim", 1_896_048_000_000)
    assert (await command("recordings", "release", recording, hold.strip(), *where))[0] == 0
    _, told = await parley.api("GET", f"/recordings/{recording}")
    assert not told["is_held"]


async def assert_a_film_is_made_and_removed(parley: Parley, recording: str, data: str, film: Path) -> None:
    """An operator has the recording composed into one file, fetches it, and removes the server's copy."""
    where = ("--url", parley.url, "--data-dir", data)
    code, printed = await command("recordings", "render", recording, str(film), *where)
    size_bytes = size_of(film)
    assert (code, f": {size_bytes} bytes" in " ".join(printed.split())) == (0, True), printed
    assert len(frame_times(film)) > 25
    base = f"/recordings/{recording}/renditions"
    _, listed = await parley.api("GET", base)
    (made,) = listed["items"]
    assert (made["state"], len(made["people"]), made["size_bytes"]) == ("finished", 1, size_bytes)
    assert (await parley.api("DELETE", f"{base}/{made['id']}"))[0] == 204
    code, printed = await command("recordings", "render", recording, str(film), "--layout", "round", *where)
    assert (code, "layout" in printed) == (1, True), printed
    await assert_own_files_and_links_are_handed_out(
        parley, Folder(parley, recording), data, film.parent / "own"
    )


async def assert_own_files_and_links_are_handed_out(
    parley: Parley, folder: Folder, data: str, to: Path
) -> None:
    """An operator fetches somebody's own file, and makes a link for viewers."""
    where = ("--url", parley.url, "--data-dir", data)
    recording, (person,) = folder.path.name, folder.manifest()["people"]
    code, printed = await command("recordings", "own", recording, person["person"], str(to), *where)
    file = to / f"{person['person']}-camera.webm"
    assert (code, f": {size_of(file)} bytes" in printed) == (0, True), printed
    assert len(frame_times(file)) > 25
    code, printed = await command(
        "recordings", "own", recording, person["person"], str(to), "--source", "screen", *where
    )
    assert (code, "screen" in printed) == (1, True), printed
    code, printed = await command("recordings", "link", recording, "--ttl-s", "600", *where)
    assert (code, printed.startswith(f"{parley.url}/recordings/{recording}#token=")) == (0, True)


def told_by(exported: str) -> list[tuple[str, str]]:
    """What the ledger says of withdrawals, in an order of its own."""
    rows = chain_of(exported)
    return sorted((row["kind"], row["activity"]) for row in rows if row["kind"] in {"withdrawn", "erased"})


def size_of(path: Path) -> int:
    return path.stat().st_size


def webm_in(folder: Path) -> Path:
    return min(folder.glob("*.webm"))


async def assert_keys_and_files_are_checked(data: Path, folder: Path, elsewhere: Path) -> None:
    """What an operator may do with a stopped server's recordings, of which one person is left."""
    assert len(list((data / "recording-keys").rglob("*.key"))) == 1
    verify = ("recordings", "verify", folder.name, "--data-dir", str(data))
    assert "version 2" in (await command(*verify))[1]
    rotated = await command("recordings", "rotate-keys", "--data-dir", str(data))
    assert rotated == (0, "1 keys are wrapped with the new master key.\n")
    assert (await command(*verify))[0] == 0
    damaged = webm_in(folder)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, printed = await command(*verify)
    assert (code, f"damaged: {damaged.name}" in printed) == (1, True), printed
    nowhere = ("--data-dir", str(elsewhere / "none"))
    assert (await command("recordings", "verify", str(elsewhere), *nowhere))[0] == 2


async def test_who_withdraws_is_in_no_file_any_more_and_the_ledger_still_verifies(tmp_path: Path) -> None:
    media = flash_and_beep(width=160, height=96)
    data = tmp_path / "data"
    async with serve(data) as parley:
        async with publishing(parley, "ada-lovelace", media) as hers, publishing(parley, "bo", media):
            finished = await recorded(parley)
            await stopped(parley, finished)
            running = await recorded(parley)
            before = Folder(parley, finished).manifest()
            assert len(before["people"]) == 2

            # Nobody withdraws for somebody else.
            assert (await withdraw(parley, hers, identity="bo"))[0] == 403
            status, answer = await withdraw(parley, hers)
            assert (status, answer["recordings"]) == (202, [running, finished])

            _, page = await parley.api("GET", "/consents?identity=ada-lovelace")
            ada = page["items"][0]["person"]
            folder = Folder(parley, running)
            cut = {path: path.stat().st_size for path in folder.of(ada)}
            assert len(cut) == 2

            def size_of_others() -> int:
                # All parts: a worker too slow for the cut is killed, and another goes on in new ones.
                paths = (path for path in folder.path.glob("*.webm") if path not in cut)
                return sum(path.stat().st_size for path in paths)

            before_bytes = size_of_others()

            async def others_grow() -> bool:
                return size_of_others() > before_bytes + 8_000

            await until(others_grow, "the other one's files")
            assert {path: path.stat().st_size for path in folder.of(ada)} == cut
            await stopped(parley, running)

        async def is_gone() -> bool:
            return not any(Folder(parley, recording).holds(ada) for recording in (finished, running))

        await until(is_gone, "the erasure")
        for recording in (finished, running):
            manifest = Folder(parley, recording).manifest()
            assert (len(manifest["people"]), manifest["version"]) == (1, 2)
            names = {file["name"] for file in manifest["files"]}
            assert len(names) >= 2
            assert all(
                len(frame_times(plain_copy(data, Folder(parley, recording).path / name))) > 0
                for name in names
            )
            _, listed = await parley.api("GET", f"/recordings/{recording}/files")
            assert names < {item["name"] for item in listed["items"]}

        await assert_they_are_told_erased(parley, {finished, running}, str(data))
        await assert_a_hold_binds(parley, finished, str(data))
        await assert_a_film_is_made_and_removed(parley, finished, str(data), tmp_path / "film.mp4")

        # An operator does the same on behalf of the other one, for one recording.
        arguments = (
            "--identity",
            "bo",
            "--recording",
            finished,
            "--url",
            parley.url,
            "--data-dir",
            str(data),
        )
        assert await command("consent", "withdraw", *arguments) == (0, f"{finished}\n")

        async def is_empty() -> bool:
            return Folder(parley, finished).manifest()["people"] == []

        await until(is_empty, "the second erasure")
        assert Folder(parley, finished).manifest()["files"] == []
        assert len(Folder(parley, running).manifest()["files"]) >= 2
        code, printed = await command("consent", "withdraw", *arguments)
        assert (code, "no such recording" in printed.lower()) == (1, True), printed

    code, exported = await command("consent", "export", "--data-dir", str(data))
    assert code == 0
    assert told_by(exported) == sorted(
        [
            ("withdrawn", ""),
            ("erased", finished),
            ("erased", running),
            ("withdrawn", finished),
            ("erased", finished),
        ]
    )
    assert (await command("consent", "verify", "--data-dir", str(data)))[0] == 0
    await assert_keys_and_files_are_checked(data, Folder(parley, running).path, tmp_path)
    assert "lovelace" not in exported
