"""What the documents name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMED_TEST = re.compile(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|cpp|mjs))::(\w+)")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
ROWS = [*range(1, 7), *range(9, 15), 21, 22, 24, 25, *range(27, 35), 36, 37, 38, 40]


def is_there(path: Path, name: str) -> bool:
    """Whether a file has a test of that name."""
    if not path.is_file():
        return False
    return re.search(rf"(?m)^\s*(?:(?:async )?def {name}\(|TEST\({name}\))", path.read_text()) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = NAMED_TEST.findall(page.read_text())
    assert [f"{path}::{name}" for path, name in named if not is_there(ROOT / path, name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    links = LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_attack_and_fault_of_the_threat_model_names_its_test() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    rows = dict(re.findall(r"(?m)^\| (F?\d+) \|(.*)$", text))
    wanted = [*map(str, ROWS), *(f"F{number}" for number in range(1, 13))]
    assert [row for row in wanted if not NAMED_TEST.search(rows.get(row, ""))] == []


def test_every_clause_about_broadcasting_names_its_test() -> None:
    text = (ROOT / "docs" / "policy-coverage.md").read_text()
    rows = dict(re.findall(r"(?m)^\| (\d+\.\d+) \|(.*)$", text))
    assert [
        row for row in (f"7.{number}" for number in range(1, 8)) if not NAMED_TEST.search(rows.get(row, ""))
    ] == []


def test_every_complaint_names_its_test() -> None:
    covered = (ROOT / "docs" / "complaints.md").read_text().partition("## Not covered")[0]
    rows = re.findall(r"(?m)^\| (\S.*#\d.*?) \|(.*)$", covered)
    assert len(rows) > 50
    assert [source for source, row in rows if not NAMED_TEST.search(row)] == []
