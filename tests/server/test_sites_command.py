"""`parley partners`, `destinations`, `broadcast` and `rooms embed`, against a server that runs."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.server.command import parley, serving

pytestmark = pytest.mark.slow

NO_BROADCAST = "there is no such broadcast"


async def test_sites_broadcasts_and_embeds_are_kept_from_a_shell(tmp_path: Path) -> None:
    data, key = tmp_path / "data", tmp_path / "key"
    key.write_text("stream-key-0123456789\n")
    async with serving(data) as server:
        where = ("--url", server.url, "--data-dir", str(data))

        async def all_of(*commands: str) -> list[tuple[int, str]]:
            """What commands answer that do not wait for each other."""
            asked = [parley(*command.split(), *where) for command in commands]
            return [(code, text.strip()) for code, text in await asyncio.gather(*asked)]

        terms = "--policy-url https://tv.example/privacy --terms-version 1"
        (code, partner), (refused, why) = await all_of(
            f"partners add tv.example {terms} --use live --use replay",
            f"partners add b.example {terms} --use sale",
        )
        assert (code, refused) == (0, 1), partner
        assert "live" in why
        (changed,), (listed,) = (
            await all_of(f"partners change {partner} --terms-version 2 --until 2027-01-31"),
            await all_of("partners list --json"),
        )
        (kept,) = json.loads(listed[1])
        assert changed == (0, "changed")
        assert (kept["terms_version"], kept["until_ms"], kept["uses"]) == (
            "2",
            1_801_353_600_000,
            ["live", "replay"],
        )
        assert await all_of(f"partners change {partner} --no-end --use live --use replay") == [changed]
        (code, pushed), (_, played), (refused, why), (_, wrong) = await all_of(
            f"destinations add {partner} rtmp rtmp://1.1.1.1/live --key-file {key} --delay-s 5",
            f"destinations add {partner} hls --name Here --encoding height=720 --encoding height=360,fps=15",
            f"destinations add {partner} rtmp rtmp://1.1.1.1/live --key-file {key}-none",
            f"destinations add {partner} hls --encoding tall",
        )
        assert "write height" in wrong
        assert code == 0, pushed
        assert refused != 0
        assert "key file" in why
        listed, replayed, untimely, dumped, embedded = await all_of(
            "destinations list --json",
            f"broadcast replay rec_1 --to {played} --loop",
            f"broadcast replay rec_1 --to {played} --at soon",
            "broadcast dump bc_1",
            f"rooms embed demo {partner} --html",
        )
        assert "6789" in listed[1]
        kept = {one["id"]: one for one in json.loads(listed[1])}
        assert [one["height"] for one in kept[played]["encodings"]] == [720, 360]
        assert "stream-key" not in listed[1]
        assert replayed == (1, "There is no such recording")
        assert "is no time" in untimely[1]
        assert dumped[0] == 1
        assert NO_BROADCAST in dumped[1].lower()
        assert embedded[1].startswith("<iframe")
        assert (await all_of(f"partners block {partner}"))[0] == (0, "blocked")
        added, removed, dark = await all_of(
            f"broadcast add bc_1 {played}", f"destinations remove {pushed}", f"rooms embed demo {partner}"
        )
        assert NO_BROADCAST in added[1].lower()
        assert removed == (0, "")
        assert (dark[0], "may not show" in dark[1]) == (1, True)
