"""What rooms, identities and screen names may look like. PURE.

Names are shown and compared, never used as file names: those come from random ids alone.
"""

import re
import unicodedata
from typing import Final

from policy.errors import NameRefused

ROOM_CHARS: Final = 64
IDENTITY_CHARS: Final = 128
SCREEN_NAME_CHARS: Final = 64
TITLE_CHARS: Final = 200

# Zero-width joiner and the emoji variation selector: invisible, but parts of single visible emoji.
_JOINERS: Final = frozenset("\u200d\ufe0f")
_ROOM: Final = re.compile(r"[^\W_](?:[\w .~-]*[\w~-])?")
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def normalize_room(text: str) -> str:
    """The room's name in NFC: letters, digits, `_ - .

    ~` and spaces, 1 to 64 characters, first a letter or digit.

    Raises: NameRefused.
    """
    name = _normal(text, "a room name", ROOM_CHARS)
    if not _ROOM.fullmatch(name) or ".." in name or _RESERVED.fullmatch(name):
        raise NameRefused(
            "a room name starts with a letter or digit and goes on with letters, digits, spaces and - _ . ~"
        )
    return name


def normalize_identity(text: str) -> str:
    """The identity in NFC, 1 to 128 visible characters, compared exactly.

    Raises: NameRefused.
    """
    name = _normal(text, "an identity", IDENTITY_CHARS)
    if (
        any(character.isspace() and character != " " for character in name)
        or "\ufe0f" in name
        or "\u200d" in name
    ):
        raise NameRefused("an identity has no invisible characters")
    return name


def normalize_screen_name(text: str) -> str:
    """The screen name in NFC with runs of white space made one space, 1 to 64 characters.

    Raises: NameRefused.
    """
    return _normal(" ".join(text[: 4 * SCREEN_NAME_CHARS].split()), "a screen name", SCREEN_NAME_CHARS)


def normalize_title(text: str) -> str:
    """A room's title in NFC, at most 200 characters, may be empty.

    Raises: NameRefused.
    """
    tidy = " ".join(text[: 4 * TITLE_CHARS].split())
    return _normal(tidy, "a title", TITLE_CHARS) if tidy else ""


def normalize_chat(text: str, max_chars: int) -> str:
    """A chat line in NFC: new lines and tabs stay, other control and all bidi characters are refused.

    Raises: NameRefused when it is empty, too long or has refused characters.
    """
    # Length before content: NFC never makes text more than three times longer or shorter by more than that.
    if len(text) > 3 * max_chars:
        raise NameRefused(f"a chat line has at most {max_chars} characters")
    line = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if not line:
        raise NameRefused("a chat line must not be empty")
    if len(line) > max_chars:
        raise NameRefused(f"a chat line has at most {max_chars} characters")
    if any(_is_refused(character) for character in line if character not in "\n\t"):
        raise NameRefused("a chat line must not contain control or direction-changing characters")
    return line


def name_key(name: str) -> str:
    """What two screen names share when people would take them for the same: NFKC, case folded."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if character not in _JOINERS and not character.isspace())


def unique_name(name: str, taken: frozenset[str]) -> str:
    """`name`, or `name (2)`, `name (3)`... when somebody in the room already has it.

    `taken`: `name_key` of the screen names in the room.
    """
    if name_key(name) not in taken:
        return name
    number = 2
    while True:
        suffix = f" ({number})"
        candidate = name[: SCREEN_NAME_CHARS - len(suffix)] + suffix
        if name_key(candidate) not in taken:
            return candidate
        number += 1


def _normal(text: str, what: str, max_chars: int) -> str:
    if len(text) > 4 * max_chars:
        raise NameRefused(f"{what} has at most {max_chars} characters")
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise NameRefused(f"{what} must not be empty")
    if len(name) > max_chars:
        raise NameRefused(f"{what} has at most {max_chars} characters")
    if any(_is_refused(character) for character in name):
        raise NameRefused(f"{what} must not contain control or direction-changing characters")
    if not any(unicodedata.category(character)[0] in "LNSP" for character in name):
        raise NameRefused(f"{what} must have at least one visible character")
    return name


def _is_refused(character: str) -> bool:
    if character in _JOINERS:
        return False
    # Controls, formats (bidi, zero width, soft hyphen), surrogates, private, unassigned, line separators.
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
