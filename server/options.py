"""One option of the configuration: how it is declared, and how a value becomes its type.

PURE: no I/O.
"""

import difflib
import types
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


def option(
    default: T,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    check: Callable[[T], str | None] | None = None,
    is_secret: bool = False,
) -> T:
    """One option: its default, what it is for (unit included), its bounds, and whether it is ever shown."""
    about = {"doc": doc, "low": low, "high": high, "check": check, "is_secret": is_secret}
    return field(default=default, metadata=about)


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of a sentence that names the known name closest to a wrong one; empty when none is close."""
    close = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


class Text(str):
    """A value that comes as text whatever its type is: from a variable."""

    __slots__ = ()


def shown(text: str) -> str:
    """A name from outside, safe to print."""
    return text[:80] if text.isprintable() else ascii(text[:80])


def convert(value: object, hint: Any) -> object:
    """A value from a file, a variable or a flag as the option's type.

    Raises:
        ValueError, TypeError: it does not fit; the text says what would.
    """
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        if value in {None, ""}:
            return None
        return convert(value, next(arm for arm in get_args(hint) if arm is not type(None)))
    if origin is Literal:
        choices = get_args(hint)
        if value in choices:
            return value if not isinstance(value, Text) else str(value)
        raise ValueError(
            f"{shown(str(value))!r} is not one of {', '.join(choices)}{nearest(str(value), choices)}"
        )
    if origin is tuple:
        return _converted_list(value)
    return _converted_plain(value, hint)


def _converted_list(value: object) -> tuple[str, ...]:
    if isinstance(value, Text):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError("is a list of strings")


def _converted_plain(value: object, hint: type) -> object:
    text = value if isinstance(value, Text) else None
    if hint is bool:
        if isinstance(value, bool):
            return value
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if text is not None and text.lower() in words:
            return words[text.lower()]
        raise ValueError("is true or false")
    if hint in {int, float}:
        if text is not None:
            return hint(text) if len(text) <= 32 else hint("")
        if isinstance(value, bool) or not isinstance(value, (int, float) if hint is float else int):
            raise ValueError("is a number" if hint is float else "is a whole number")
        return hint(value)
    if hint is Path:
        if isinstance(value, (str, Path)) and str(value) and "\0" not in str(value):
            return Path(str(value))
        raise ValueError("is a path")
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("is a string without control characters")
    return str(value)
