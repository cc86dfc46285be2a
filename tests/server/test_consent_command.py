"""The consent ledger from the command line, beside a real server."""

import hashlib
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.browser.parley import Parley, serve
from tests.server.command import parley

pytestmark = pytest.mark.slow

PEOPLE = ("ada-lovelace", "bo-diddley", "cleo-laine")
GENESIS = "0" * 64


async def agree(running: Parley, *people: str) -> None:
    """Everybody joins, accepts the terms, agrees to `record`, and leaves."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{running.url}/api/v1/terms") as response:
            version = (await response.json())["version"]
        for person in people:
            socket = await http.ws_connect(f"{running.url}/v1/rtc", protocols=["parley.v1.json"])
            accept = {"terms_version": version, "age_18": True}
            token = running.token("demo", person)
            params = {"token": token, "accept": accept, "uses": {"record": True}}
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "join", "params": params})
            assert "result" in await socket.receive_json(timeout=10)
            await socket.close()


async def command(data: Path, *arguments: str) -> tuple[int, str]:
    code, out = await parley("consent", *arguments, "--data-dir", str(data))
    return code, " ".join(out.split())


def chain_of(export: str) -> list[dict[str, Any]]:
    """The rows of an export, verified as docs/consent.md says, without any code of ours."""
    rows = [json.loads(line) for line in export.splitlines()]
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        claimed = row.pop("hash")
        text = json.dumps(row, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == claimed, number
        assert (row["seq"], row["previous"]) == (number, previous)
        previous = claimed
    return rows


async def test_an_export_verifies_without_the_database_and_names_nobody(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "ledger.jsonl"
    async with serve(data) as running:
        await agree(running, *PEOPLE)
        # Beside the running server, to a file and to standard output.
        assert (await command(data, "export", "--output", str(file)))[0] == 0
        code, printed = await parley("consent", "export", "--data-dir", str(data))
    rows = chain_of(file.read_text())
    assert code == 0
    assert printed.splitlines()[: len(rows)] == file.read_text().splitlines()
    assert {row["person"] for row in rows if row["kind"] == "terms_accepted"} == {
        row["person"] for row in rows if row["kind"] == "use_agreed"
    }
    assert len([row for row in rows if row["kind"] == "use_agreed"]) == len(PEOPLE)
    assert not any(person in file.read_text() for person in PEOPLE)
    tampered = file.read_text().replace('"use_agreed"', '"use_refused"', 1)
    with pytest.raises(AssertionError):
        chain_of(tampered)
    code, printed = await command(data, "verify")
    assert (code, int(re.findall(r"(\d+) rows", printed)[0]) >= len(rows)) == (0, True), printed


async def test_an_operator_anchors_a_ledger_whose_anchor_was_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serve(data) as running:
        await agree(running, *PEOPLE)
    assert (await command(data, "anchor", "--yes"))[1].endswith("There is nothing to do.")
    (data / "ledger.anchor").unlink()
    code, out = await command(data, "verify")
    assert (code, "anchor file is missing" in out) == (1, True), out
    # Without the operator's word the server trusts nothing, and goes on serving calls.
    async with serve(data) as running, aiohttp.ClientSession() as http:
        async with http.get(f"{running.url}/readyz") as response:
            assert "the consent ledger does not verify" in (await response.json())["missing"][0]
        async with http.get(f"{running.url}/metrics") as response:
            assert "parley_ledger_verified 0.0" in await response.text()
        assert b"ledger_verification_failed" in running.log.read_bytes()
        assert (await running.api("POST", "/rooms", {"name": "demo"}))[0] == 201
        status, problem = await running.api("POST", "/recordings", {"room": "demo"})
        assert (status, problem["code"]) == (503, "unavailable")
        code, out = await command(data, "anchor", "--yes")
        assert (code, "another server uses" in out) == (1, True), out
    code, out = await command(data, "anchor")
    assert (code, "Aborted" in out) == (1, True), out
    assert not (data / "ledger.anchor").exists()
    code, out = await command(data, "anchor", "--yes")
    assert (code, bool(re.search(r"anchored at row \d+: [0-9a-f]{64}", out))) == (0, True), out
    async with serve(data) as running:
        await agree(running, "dora")
    assert (await command(data, "verify"))[0] == 0


async def test_a_changed_ledger_is_not_anchored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serve(data) as running:
        await agree(running, *PEOPLE)
    anchor = (data / "ledger.anchor").read_bytes()
    database = sqlite3.connect(data / "parley.sqlite3")
    database.execute("DROP TRIGGER ledger_no_update")
    database.execute("UPDATE ledger SET person = 'u_other' WHERE seq = 2")
    database.commit()
    database.close()
    code, out = await command(data, "anchor", "--yes")
    assert (code, "row 2 was changed" in out) == (1, True), out
    assert (data / "ledger.anchor").read_bytes() == anchor


async def test_nothing_is_made_where_no_ledger_is(tmp_path: Path) -> None:
    for arguments in (("verify",), ("anchor", "--yes"), ("export",)):
        code, out = await command(tmp_path / "typo", *arguments)
        assert (code, "Traceback" in out) == (1, False), out
    assert not (tmp_path / "typo").exists()
