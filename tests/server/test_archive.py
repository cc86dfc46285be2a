"""A server with a bucket, as an operator runs it: configured by variables, looked after by the command."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.studio.flash import flash_and_beep
from tests.browser.parley import Parley, serve
from tests.server.command import parley as command
from tests.server.test_withdrawal import publishing, recorded, stopped
from tests.support.s3 import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3Server]:
    server = S3Server(tmp_path / "swift")
    server.start()
    yield server
    server.stop()


def variables(s3: S3Server, **others: str) -> dict[str, str]:
    return {
        "PARLEY_ARCHIVE_BUCKET": BUCKET,
        "PARLEY_ARCHIVE_ENDPOINT": s3.endpoint,
        "PARLEY_ARCHIVE_ALLOW_HTTP": "true",
        "PARLEY_ARCHIVE_ACCESS_KEY_ID": ACCESS_KEY,
        "PARLEY_ARCHIVE_SECRET_ACCESS_KEY": SECRET_KEY,
        "PARLEY_ARCHIVE_KEEP_LOCAL": "false",
        **others,
    }


async def missing(parley: Parley) -> list[str]:
    async with aiohttp.ClientSession() as http, http.get(f"{parley.url}/readyz") as response:
        assert response.status == 200
        return list((await response.json())["missing"])


async def metric(parley: Parley, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{parley.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def ranged(parley: Parley, url: str, headers: dict[str, str]) -> tuple[int, bytes, Any]:
    key = json.loads((parley.data_dir / "dev-key.json").read_text())
    headers = {"Authorization": aiohttp.encode_basic_auth(key["id"], key["secret"]), **headers}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{parley.url}{url}") as response:
        return response.status, await response.read(), response.headers


async def test_an_operator_follows_a_recording_into_the_bucket_and_reads_it_from_there(
    s3: S3Server, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with serve(data, environment=variables(s3)) as parley:
        where = ("--url", parley.url, "--data-dir", str(data))
        media = flash_and_beep(width=160, height=96)
        async with publishing(parley, "ada", media), publishing(parley, "bo", media):
            recording = await recorded(parley)
            s3.stop()
            await stopped(parley, recording)

        async def is_told() -> bool:
            return any("cannot be used" in said for said in await missing(parley))

        await until(is_told, "the outage at /readyz")
        assert await metric(parley, "parley_archive_waiting") == 1
        assert await metric(parley, "parley_disk_free_bytes") > 0
        code, printed = await command("recordings", "archive", recording, "--wait", "0", *where)
        assert (code, "It is not archived" in printed) == (1, True), printed
        s3.start()
        code, printed = await command("recordings", "archive", recording, "--wait", "60", *where)
        assert (code, "is in the archive" in printed) == (0, True), printed
        assert await metric(parley, "parley_archive_waiting") == 0
        assert await missing(parley) == []
        code, printed = await command("recordings", "list", *where)
        assert "archived" in printed

        assert not list((data / "blobs" / "recordings" / recording).glob("*.webm"))
        _, listed = await parley.api("GET", f"/recordings/{recording}/files")
        file = next(item for item in listed["items"] if "camera" in item["name"])
        status, content, headers = await ranged(parley, file["url"], {})
        assert (status, hashlib.sha256(content).hexdigest()) == (200, file["sha256"])
        assert headers["ETag"] == f'"{file["sha256"]}"'
        status, part, headers = await ranged(parley, file["url"], {"Range": "bytes=1000-2999"})
        assert (status, part) == (206, content[1000:3000])
        assert (await ranged(parley, file["url"], {"If-None-Match": f'"{file["sha256"]}"'}))[0] == 304
        s3.hang()
        asking = asyncio.create_task(ranged(parley, file["url"], {}))
        async with asyncio.timeout(10):
            assert (await parley.api("GET", "/recordings"))[0] == 200
        s3.hang(is_hanging=False)
        assert (await asking)[1] == content

    verify = ("recordings", "verify", recording, "--data-dir", str(data))
    code, printed = await command(*verify, **variables(s3))
    assert (code, "The recording verifies" in printed) == (0, True), printed
    for secret in (SECRET_KEY, ACCESS_KEY):
        assert secret not in (data / "server.log").read_text()
        assert secret not in (await command("config", "show", **variables(s3)))[1]
    s3.stop()
    code, printed = await command(*verify, **variables(s3))
    assert (code, "cannot be used" in printed) == (1, True), printed


async def test_a_server_that_is_killed_while_it_sends_goes_on_at_its_next_start(
    s3: S3Server, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    media = flash_and_beep(width=160, height=96)
    async with serve(data, environment=variables(s3)) as parley:
        async with publishing(parley, "ada", media), publishing(parley, "bo", media):
            recording = await recorded(parley)
            s3.hang()
            await stopped(parley, recording)
        _, told = await parley.api("GET", f"/recordings/{recording}")
        assert told["archive"]["state"] in {"waiting", "uploading"}
        parley.process.kill()
        await parley.process.wait()
    s3.hang(is_hanging=False)
    async with serve(data, environment=variables(s3)) as parley:
        where = ("--url", parley.url, "--data-dir", str(data))
        code, printed = await command("recordings", "archive", recording, "--wait", "60", *where)
        assert (code, "is in the archive" in printed) == (0, True), printed
        assert not list((data / "blobs" / "recordings" / recording).glob("*.webm"))
        _, listed = await parley.api("GET", f"/recordings/{recording}/files")
        for file in listed["items"]:
            status, content, _ = await ranged(parley, file["url"], {})
            assert (status, hashlib.sha256(content).hexdigest()) == (200, file["sha256"])
