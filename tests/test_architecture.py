"""The shape of the code: which packages there are, what of one another they use, how large a module is."""

import ast
import functools
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = tuple(SETTINGS["tool"]["importlinter"]["root_packages"])
MODULES_ARE_THE_FACADE = "media"
"""A shelf of building blocks: each module is one, so that nobody loads PyAV who does not need it."""
MEASURED = {
    # The bench drives single parts of the server, where there is no room, or no server, around them.
    "rebroadcast.worker.messages",
    "recorder.worker.messages",
    "server.addresses",
    "server.supervise",
    "sfu.engine",
    "sfu.sdp",
    "sfu.transport",
}
COMMANDS = "server/cli/bench/"
"""`parley bench`, which is the bench's own front."""
MOST_LINES = 450


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(module: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Modules that a module imports, each with the names it takes."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)


def owner(name: str) -> str:
    return name.partition(".")[0]


@functools.cache
def of_others(package: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Where a package uses another one: the place, the module, the names."""
    return tuple(
        (str(module.relative_to(ROOT)), name, taken)
        for module in modules(package)
        for name, taken in imports(module)
        if owner(name) in set(PACKAGES) - {package}
    )


def is_facade(user: str, name: str) -> bool:
    if user.startswith("bench/") and name in MEASURED:
        return True
    if user.startswith(COMMANDS) and name.startswith("bench"):
        return True
    return "." not in name or owner(name) == MODULES_ARE_THE_FACADE


def test_every_package_stands_on_a_floor_or_beside_the_house() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert set(PACKAGES) == folders
    floors = SETTINGS["tool"]["importlinter"]["contracts"][0]
    placed = {name.strip() for floor in floors["layers"] for name in re.split("[:|]", floor)}
    assert floors["type"] == "layers"
    # The bench measures the house from outside, and the pages are no Python.
    assert folders - placed == {"bench", "web"}


@pytest.mark.parametrize("package", PACKAGES)
def test_others_are_used_through_what_they_export(package: str) -> None:
    past = [f"{user} imports {name}" for user, name, _ in of_others(package) if not is_facade(user, name)]
    assert past == []


@pytest.mark.parametrize("package", PACKAGES)
def test_names_that_are_taken_are_exported(package: str) -> None:
    unexported = [
        f"{user} takes {name}.{item}"
        for user, name, taken in of_others(package)
        for item in taken
        if not user.startswith(COMMANDS)
        and hasattr(importlib.import_module(name), "__all__")
        and item not in importlib.import_module(name).__all__
    ]
    assert unexported == []


@pytest.mark.parametrize("name", [*PACKAGES, "sfu.engine", "sfu.sdp", "sfu.transport"])
def test_what_is_exported_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert [item for item in getattr(package, "__all__", ()) if not hasattr(package, item)] == []


def test_nobody_but_its_command_needs_the_bench() -> None:
    users = {user for package in PACKAGES for user, name, _ in of_others(package) if owner(name) == "bench"}
    assert {user for user in users if not user.startswith(COMMANDS)} == set()


def test_a_module_is_small_enough_to_be_read_at_once() -> None:
    sources = [path for package in PACKAGES for path in modules(package)]
    sources += [
        path for part in ("src", "bindings") for path in (ROOT / "sfu/native" / part).rglob("*.[ch]*")
    ]
    assert [str(path) for path in sources if path.read_text().count("\n") > MOST_LINES] == []
