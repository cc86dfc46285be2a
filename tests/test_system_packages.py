"""What is missing is installed by root or through sudo; without either, one message names all of it."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "system-packages"


POLICY = Path("/usr/sbin/policy-rc.d")
"""Where there is one, as in many containers, services are somebody's affair already."""


def machine(
    tmp_path: Path,
    installed: tuple[str, ...],
    *,
    user: int = 1000,
    may_sudo: bool = False,
    architecture: str = "arm64",
) -> dict[str, str]:
    """Commands that say what is installed and who is there; what changes a machine notes that it ran."""
    names = "|".join(installed) or "nothing"
    ran = f'echo "${{0##*/}} $*" >> {tmp_path}/ran'
    environment = 'env -i PATH="$PATH" IS_ROOT=1 "$@"' if may_sudo else "exit 1"
    commands = {
        "dpkg": f'[ "$1" = --print-architecture ] && echo {architecture}',
        "dpkg-query": f'case "$3" in {names}) printf installed ;; *) exit 1 ;; esac',
        "id": f"echo {user}",
        "sudo": f"{ran}; [ $1 != -n ] || shift; {environment}",
        "apt-get": f'{ran}; echo "$DEBIAN_FRONTEND, root: $IS_ROOT" >> {tmp_path}/apt',
        "tee": f"{ran}; cat > {tmp_path}/policy",
        "chmod": ran,
        "rm": ran,
    }
    for name, body in commands.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o700)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def ran(tmp_path: Path) -> list[str]:
    path = tmp_path / "ran"
    return path.read_text().splitlines() if path.exists() else []


def run(purpose: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, purpose], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("architecture", "missing"),
    [
        ("amd64", "g++ python3-dev python3-venv libipsec-mb-dev"),
        ("arm64", "g++ python3-dev python3-venv"),
    ],
)
def test_without_root_one_message_names_all_that_is_missing(
    tmp_path: Path, architecture: str, missing: str
) -> None:
    done = run("run", machine(tmp_path, ("make",), architecture=architecture))
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == f"Missing system packages: {missing}"
    assert second == f"Install them as root with: apt-get install {missing}"
    assert ran(tmp_path) == ["sudo -n true"]  # asked whether it may, no more


def steps(before: str = "") -> list[str]:
    """What changes the machine, in order; services are kept off while their packages are installed."""
    quiet = [f"tee {POLICY}", f"chmod 755 {POLICY}"], [f"rm -f {POLICY}"]
    begins, ends = ([], []) if POLICY.exists() else quiet
    install = "apt-get install -q -y --no-install-recommends g++ python3-dev python3-venv"
    return [f"{before}{step}" for step in ("apt-get update -q", *begins, install, *ends)]


def test_root_installs_what_is_missing(tmp_path: Path) -> None:
    done = run("run", machine(tmp_path, ("make",), user=0) | {"IS_ROOT": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Installing system packages: g++ python3-dev python3-venv\n"
    assert ran(tmp_path) == steps()
    assert (tmp_path / "apt").read_text().splitlines() == ["noninteractive, root: 1"] * 2


def test_whoever_may_use_sudo_installs_through_it_and_is_asked_nothing(tmp_path: Path) -> None:
    done = run("run", machine(tmp_path, ("make",), may_sudo=True))
    assert (done.returncode, done.stderr) == (0, "")
    noted = ran(tmp_path)
    assert noted[0] == "sudo -n true"
    own = "env DEBIAN_FRONTEND=noninteractive "
    through = [line.replace(own, "") for line in noted[1:] if line.startswith("sudo ")]
    assert through == steps("sudo ")
    assert [line for line in noted if not line.startswith("sudo ")] == steps()
    assert (tmp_path / "apt").read_text().splitlines() == ["noninteractive, root: 1"] * 2


def test_what_apt_cannot_do_is_a_failure(tmp_path: Path) -> None:
    environment = machine(tmp_path, ("make",), user=0)
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    assert run("run", environment).returncode == 100


@pytest.mark.parametrize(("architecture", "more"), [("amd64", ("libipsec-mb-dev",)), ("arm64", ())])
def test_what_is_there_costs_nothing(tmp_path: Path, architecture: str, more: tuple[str, ...]) -> None:
    installed = ("g++", "make", "python3-dev", "python3-venv", *more)
    done = run("run", machine(tmp_path, installed, architecture=architecture))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ran(tmp_path) == []


@pytest.mark.parametrize("purpose", ["", "everything"])
def test_an_unknown_purpose_is_refused(tmp_path: Path, purpose: str) -> None:
    done = run(purpose, machine(tmp_path, ()))
    assert done.returncode == 2
    assert "run|test|fuzz" in done.stderr
