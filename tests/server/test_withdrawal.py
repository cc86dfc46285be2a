"""Withdrawal through the whole server: files and chat go, the ledger stays whole and says so."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.attacks.call import terms_of
from tests.browser.parley import Parley, serve
from tests.recorder.rig import frame_times
from tests.server.command import parley as command
from tests.server.test_consent_command import chain_of
from tests.support.flash import flash_and_beep
from tests.support.rtp_peer import RtpPeer, RtpPlayer
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
            assert all(len(frame_times(Folder(parley, recording).path / name)) > 0 for name in names)
            _, listed = await parley.api("GET", f"/recordings/{recording}/files")
            assert names < {item["name"] for item in listed["items"]}

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
    rows = chain_of(exported)
    told = [(row["kind"], row["activity"]) for row in rows if row["kind"] in {"withdrawn", "erased"}]
    assert sorted(told) == sorted(
        [
            ("withdrawn", ""),
            ("erased", finished),
            ("erased", running),
            ("withdrawn", finished),
            ("erased", finished),
        ]
    )
    assert (await command("consent", "verify", "--data-dir", str(data)))[0] == 0
    assert "lovelace" not in exported
