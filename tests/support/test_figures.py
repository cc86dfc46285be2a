"""What tests tell is shown at the end of a run that passes, by one process or several."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_TESTS = """
from tests.support.figures import tell
from tests.support.promises import assert_promised

def test_first():
    tell("the first is 1")
    tell("and then 2")

def test_second():
    assert_promised("the second", 0.25, 1)

def test_third():
    pass
"""


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_figures_stand_in_the_summary_by_test(tmp_path: Path, processes: tuple[str, ...]) -> None:
    (tmp_path / "test_told.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    plugins = ("-p", "tests.conftest", "-p", "no:randomly", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *processes, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    (begins,) = [at for at, line in enumerate(lines) if line.strip("= ") == "figures"]
    assert lines[begins + 1 : begins + 6] == [
        "test_told.py::test_first",
        "    the first is 1",
        "    and then 2",
        "test_told.py::test_second",
        "    the second: 0.250 s, promised 1 s",
    ]
    assert "test_third" not in done.stdout
