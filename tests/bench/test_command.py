"""`parley bench` as people call it."""

import json
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from bench import soak
from bench.soak_figures import Sample, SoakFigures
from server.cli import app

LIBUV = pytest.mark.shares("the pipe by which libuv hears of signals, one for the whole process")


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = CliRunner().invoke(app, ["bench", "load", "--profile", "NULL"])
    assert result.exit_code == 2
    assert "AES128_CM_SHA1_80" in result.output


@LIBUV
def test_a_soak_that_leaks_says_so_and_ends_with_1(tmp_path, monkeypatch) -> None:
    async def leaks(seconds: float, _note: object) -> SoakFigures:
        samples = [Sample(at, 140_000.0 + 400 * at, 60, 30, 9, 230) for at in range(int(seconds))]
        return SoakFigures(
            minutes=seconds / 60, joins=240, samples=samples, before=samples[0], after=samples[0]
        )

    monkeypatch.setattr(soak, "soak", leaks)
    result = CliRunner().invoke(app, ["bench", "soak", "--minutes", "1", "--plot", "--keep", str(tmp_path)])
    assert result.exit_code == 1
    assert "memory grows by 100.00 KiB a join" in result.output
    kept = json.loads((tmp_path / "soak.json").read_text())
    assert [problem.split(":")[0] for problem in kept["problems"]] == [
        "memory grows by 100.00 KiB a join",
        "memory grows by 24000.00 KiB a minute",
    ]
    assert ET.parse(tmp_path / "soak.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
@LIBUV
def test_a_load_is_told_written_and_drawn(tmp_path) -> None:
    words = ["bench", "load", "--engine-only", "--subscribers", "2", "--subscribers", "4", "--seconds", "0.5"]
    result = CliRunner().invoke(app, [*words, "--plot", "--keep", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 x 4 AEAD_AES_128_GCM: " in result.output
    kept = json.loads((tmp_path / "load.json").read_text())
    assert [run["shape"] for run in kept["runs"]] == ["1 x 2", "1 x 4"]
    assert all(run["figures"][0]["cost_us"] > 0 for run in kept["runs"])
    assert ET.parse(tmp_path / "load.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
@LIBUV
def test_the_latency_added_is_told_written_and_drawn(tmp_path) -> None:
    words = ["bench", "latency", "--publishers", "1", "--subscribers", "4", "--seconds", "0.5", "--runs", "1"]
    result = CliRunner().invoke(app, [*words, "--plot", "--keep", str(tmp_path)])
    assert result.exit_code == 0, result.output
    [pair] = json.loads((tmp_path / "latency.json").read_text())["pairs"]
    ours, bare = pair["ours"][0]["latency_p99_ms"], pair["theirs"][0]["latency_p99_ms"]
    assert pair["added_p99_ms"] == pytest.approx(ours - bare, abs=0.01)
    assert ET.parse(tmp_path / "latency.svg").getroot().tag.endswith("svg")


@pytest.mark.slow
@LIBUV
def test_what_is_told_of_sites_that_fail_is_printed_and_written(tmp_path) -> None:
    result = CliRunner().invoke(app, ["bench", "faults", "--times", "1", "--keep", str(tmp_path)])
    assert "WHIP is there again, until it is live: p50 " in result.output, result.output
    kept = json.loads((tmp_path / "faults.json").read_text())
    assert (result.exit_code == 0) == (kept["problems"] == [])
    assert all(len(found) == 1 and found[0] < 30 for found in kept["s"].values())
