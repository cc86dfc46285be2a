"""The pure parts of web/ under node's test runner, and rules that every file of web/ keeps."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from web import ROOT

_HERE = Path(__file__).parent
_MODULES = sorted(ROOT.rglob("*.js"))
_PAGES = sorted(ROOT.rglob("*.html"))


def _node(*arguments: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    assert node is not None, "node is needed by the tests of web/: apt-get install nodejs"
    return subprocess.run([node, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_pure_modules_behave():
    result = _node("--test", *map(str, sorted(_HERE.glob("*.test.mjs"))))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_parses(path, tmp_path):
    copy = tmp_path / f"{path.stem}.mjs"
    copy.write_bytes(path.read_bytes())
    result = _node("--check", str(copy))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_parses_no_markup_and_imports_only_what_exists(path):
    text = path.read_text()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\"style\""
    assert not re.search(sinks, text)
    for target in re.findall(r'from "([^"]+)"', text):
        assert target.startswith("."), f"{target} is not a module of this folder"
        assert (path.parent / target).is_file(), f"{target} does not exist"


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_uses_what_it_imports(path):
    text = path.read_text()
    names = [
        name.split(" as ")[-1].strip()
        for group in re.findall(r"^import \{([^}]*)\}", text, re.MULTILINE)
        for name in group.split(",")
    ]
    assert [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2] == []


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_fits_its_content_security_policy(path):
    text = path.read_text()
    assert "<style" not in text
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert all('src="/static/' in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r'(src|href)="(https?:)?//', text), "pages load nothing from elsewhere"
    for target in re.findall(r'(?:src|href)="/static/([^"]+)"', text):
        assert (ROOT / target).is_file(), f"{target} does not exist"


def test_sdk_types_name_every_export():
    exported = set(
        re.findall(
            r"\b(\w+)(?=[,\s]*[,}])",
            "".join(re.findall(r"export \{[^}]+\}", (ROOT / "sdk/parley.js").read_text())),
        )
    )
    declared = set(
        re.findall(r"export (?:class|function|const) (\w+)", (ROOT / "sdk/parley.d.ts").read_text())
    )
    assert exported == declared
