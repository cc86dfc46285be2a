"""What is missing on a machine without root is named in one message, and nothing is installed."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "system-packages"


def machine(tmp_path: Path, installed: tuple[str, ...], *, user: int = 1000) -> dict[str, str]:
    """Commands that say what is installed and who is there; `sudo` and `apt-get` note that they ran."""
    names = "|".join(installed) or "nothing"
    commands = {
        "dpkg-query": f'case "$3" in {names}) printf installed ;; *) exit 1 ;; esac',
        "id": f"echo {user}",
        "sudo": f"echo sudo >> {tmp_path}/ran; exit 1",
        "apt-get": f"echo apt-get >> {tmp_path}/ran",
    }
    for name, body in commands.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o700)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def run(purpose: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, purpose], env=environment, capture_output=True, text=True, check=False)


def test_without_root_one_message_names_all_that_is_missing(tmp_path: Path) -> None:
    done = run("run", machine(tmp_path, ("make",)))
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "Missing system packages: g++ python3-dev python3-venv"
    assert second == "Install them as root with: apt-get install g++ python3-dev python3-venv"
    assert (tmp_path / "ran").read_text().split() == ["sudo"]  # asked whether it may, no more


def test_what_is_there_costs_nothing(tmp_path: Path) -> None:
    done = run("run", machine(tmp_path, ("g++", "make", "python3-dev", "python3-venv")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("purpose", ["", "everything"])
def test_an_unknown_purpose_is_refused(tmp_path: Path, purpose: str) -> None:
    done = run(purpose, machine(tmp_path, ()))
    assert done.returncode == 2
    assert "run|test|fuzz" in done.stderr
