"""Fuzz target: a stored terms document and stored room settings."""

from contextlib import suppress

from policy import RoomSettings, SettingsError, TermsDocument, TermsError
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with suppress(TermsError):
        document = TermsDocument.from_json(text)
        assert TermsDocument.from_json(document.to_json()) == document
    with suppress(SettingsError):
        settings = RoomSettings.from_json(text)
        assert RoomSettings.from_json(settings.to_json()) == settings


if __name__ == "__main__":
    harness.run(one_input)
