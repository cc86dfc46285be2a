"""Room settings, and that the package is pure."""

import ast
from pathlib import Path

import pytest

import policy
from policy import LIVE, RoomMode, RoomSettings, SettingsError


def test_settings_survive_their_json() -> None:
    settings = RoomSettings(
        title="T", mode=RoomMode.EXPLICIT, uses=frozenset({LIVE}), video_codecs=("av1",), retention_days=7
    )
    assert RoomSettings.from_json(settings.to_json()) == settings
    assert RoomSettings.from_json("{}") == RoomSettings()


@pytest.mark.parametrize(
    "change",
    [
        {"max_participants": 0},
        {"max_participants": 10_001},
        {"max_viewers": -1},
        {"max_tracks": 33},
        {"grace_s": -1.0},
        {"grace_s": 601.0},
        {"empty_s": float("nan")},
        {"retention_days": 0},
        {"audio_codecs": ()},
        {"audio_codecs": ("pcmu",)},
        {"audio_codecs": ("red",)},
        {"loudest": -1},
        {"loudest": 65},
        {"video_codecs": ("vp8", "vp8")},
        {"uses": frozenset({"Live!"})},
    ],
)
def test_settings_outside_their_ranges_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        RoomSettings(**change)  # type: ignore[arg-type]


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        RoomSettings(max_participants=0, max_tracks=0)
    assert "max_participants" in str(error.value)
    assert "max_tracks" in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"mode": "other"}', '{"unknown": 1}', '{"uses": 3}', "[" * 5000]
)
def test_text_that_is_no_settings_raises_its_one_error(text: str) -> None:
    with pytest.raises(SettingsError):
        RoomSettings.from_json(text)


def test_the_package_imports_the_standard_library_alone_and_neither_clock_nor_chance() -> None:
    allowed = {
        "policy",
        "collections",
        "dataclasses",
        "enum",
        "hashlib",
        "json",
        "re",
        "typing",
        "unicodedata",
    }
    for path in Path(policy.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        assert "PURE" in (ast.get_docstring(tree) or ""), path.name
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_everything_the_facade_names_is_there() -> None:
    assert all(hasattr(policy, name) for name in policy.__all__)
