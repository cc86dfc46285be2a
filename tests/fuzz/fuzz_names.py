"""Fuzz target: room names, identities, screen names, titles and chat lines."""

import unicodedata
from contextlib import suppress

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
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass" if data[:1] == b"s" else "replace") if _decodes(data) else ""
    for normalize in (normalize_room, normalize_identity, normalize_screen_name, normalize_title):
        with suppress(NameRefused):
            name = normalize(text)
            assert normalize(name) == name
            assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
    with suppress(NameRefused):
        assert len(normalize_chat(text, 100)) <= 100
    assert name_key(unique_name(text[:64], frozenset({name_key(text[:64])}))) != name_key(text[:64])


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass" if data[:1] == b"s" else "replace")
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    harness.run(one_input)
