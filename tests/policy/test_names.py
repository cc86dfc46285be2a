"""Names: what people may be called, and that nothing invisible or misleading gets through."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import (
    NameRefused,
    name_key,
    normalize_chat,
    normalize_identity,
    normalize_room,
    normalize_screen_name,
    normalize_title,
    unique_name,
)

BIDI = [
    "\u202a",
    "\u202b",
    "\u202d",
    "\u202e",
    "\u2066",
    "\u2067",
    "\u2068",
    "\u2069",
    "\u200e",
    "\u200f",
    "\u061c",
]
HIDDEN = [
    "\u200b",
    "\u00ad",
    "\u2060",
    "\ufeff",
    "\u2028",
    "\u2029",
    "\ud800",
    "\ue000",
    "\u0000",
    "\u001b",
    "\u0085",
]
NORMALIZERS = [normalize_room, normalize_identity, normalize_screen_name, normalize_title]


@pytest.mark.parametrize("character", BIDI + HIDDEN)
@pytest.mark.parametrize("normalize", NORMALIZERS)
def test_hidden_and_direction_changing_characters_are_refused(normalize, character: str) -> None:  # type: ignore[no-untyped-def]
    if character.isspace() and normalize in {normalize_screen_name, normalize_title}:
        assert normalize(f"a{character}b") == "a b"
        return
    with pytest.raises(NameRefused):
        normalize(f"a{character}b")


@pytest.mark.parametrize("normalize", NORMALIZERS)
def test_composed_and_decomposed_forms_become_one(normalize) -> None:  # type: ignore[no-untyped-def]
    assert normalize("Zoe\u0308") == normalize("Zo\u00eb") == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demo", "demo"),
        ("Räume 7", "Räume 7"),
        ("a", "a"),
        ("v1.2~x-y_z", "v1.2~x-y_z"),
        (" trimmed ", "trimmed"),
        ("房间", "房间"),
    ],
)
def test_room_names(name: str, expected: str) -> None:
    assert normalize_room(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "a\\b",
        "-x",
        "_x",
        "x.",
        "CON",
        "con.txt",
        "lpt1",
        "a*b",
        "a?b",
        "a%2e",
        "x" * 65,
        "a" * 10_000_000,
    ],
)
def test_refused_room_names(name: str) -> None:
    with pytest.raises(NameRefused):
        normalize_room(name)


def test_a_screen_name_keeps_emoji_and_loses_runs_of_space() -> None:
    assert normalize_screen_name("  Ada \t\n L.  👩‍🚀 ") == "Ada L. 👩‍🚀"


@pytest.mark.parametrize("name", ["", "   ", "\u200d", "\ufe0f\u200d", "\u0301", "x" * 65])
def test_refused_screen_names(name: str) -> None:
    with pytest.raises(NameRefused):
        normalize_screen_name(name)


def test_an_identity_is_compared_exactly_and_holds_128_characters() -> None:
    assert normalize_identity("Ada") != normalize_identity("ada")
    assert len(normalize_identity("x" * 128)) == 128
    for wrong in ("x" * 129, "a\tb", "a\u00a0b", "a\u200db", ""):
        with pytest.raises(NameRefused):
            normalize_identity(wrong)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Admin", "ADMIN"),
        ("admin", "\uff41\uff44\uff4d\uff49\uff4e"),
        ("a d", "ad"),
        ("straße", "STRASSE"),
        ("x\ufe0f", "x"),
    ],
)
def test_names_that_look_alike_share_a_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_a_taken_name_gets_a_number_within_the_length() -> None:
    taken = frozenset({name_key("Ada"), name_key("Ada (2)")})
    assert unique_name("Ada", taken) == "Ada (3)"
    assert unique_name("Bob", taken) == "Bob"
    long = "x" * 64
    assert len(unique_name(long, frozenset({name_key(long)}))) == 64


@given(st.text(max_size=200))
def test_what_passes_is_stable_visible_and_within_bounds(text: str) -> None:
    for normalize, limit in ((normalize_room, 64), (normalize_identity, 128), (normalize_screen_name, 64)):
        try:
            name = normalize(text)
        except NameRefused:
            continue
        assert normalize(name) == name
        assert 1 <= len(name) <= limit
        assert unicodedata.is_normalized("NFC", name)
        assert not any(unicodedata.category(character) in {"Cc", "Cs", "Cn"} for character in name)


@given(st.text(max_size=200))
def test_a_room_name_is_harmless_as_a_path_part(text: str) -> None:
    try:
        name = normalize_room(text)
    except NameRefused:
        return
    assert not set(name) & set('/\\:*?"<>|%#&\0')
    assert ".." not in name
    assert not name.startswith(".")


@given(st.text(max_size=100))
def test_a_chat_line_keeps_its_lines_and_loses_its_margins(text: str) -> None:
    try:
        line = normalize_chat(text, 50)
    except NameRefused:
        return
    assert line == line.strip()
    assert 1 <= len(line) <= 50
    assert normalize_chat(line, 50) == line
