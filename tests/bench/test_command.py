"""`parley bench` as people call it."""

import json
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from server.cli import app


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do() -> None:
    result = CliRunner().invoke(app, ["bench", "load", "--profile", "NULL"])
    assert result.exit_code == 2
    assert "AES128_CM_SHA1_80" in result.output


@pytest.mark.slow
@pytest.mark.shares("the pipe by which libuv hears of child processes, one for the whole process")
def test_a_load_is_told_written_and_drawn(tmp_path) -> None:
    words = ["bench", "load", "--engine-only", "--subscribers", "2", "--subscribers", "4", "--seconds", "0.5"]
    result = CliRunner().invoke(app, [*words, "--plot", "--keep", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "1 x 4 AEAD_AES_128_GCM: " in result.output
    kept = json.loads((tmp_path / "load.json").read_text())
    assert [run["shape"] for run in kept["runs"]] == ["1 x 2", "1 x 4"]
    assert all(run["figures"][0]["cost_us"] > 0 for run in kept["runs"])
    assert ET.parse(tmp_path / "load.svg").getroot().tag.endswith("svg")
