"""The lines of a description or a fragment of one. PURE.

Source: RFC 8866 section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sfu.errors import SdpError
from sfu.sdp import grammar

__all__ = ["lines_of", "split_line"]

MAX_LINE_CHARS: Final = 2048


def lines_of(text: str, chars: int) -> Iterator[tuple[int, str]]:
    """The lines of a description with their numbers, line ends stripped.

    Raises:
        SdpError: too long, a line too long, or a control character in it.
    """
    if len(text) > chars:
        raise SdpError(f"the description is longer than {chars} characters")
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r")
        if len(line) > MAX_LINE_CHARS:
            raise SdpError(f"the line is longer than {MAX_LINE_CHARS} characters", number)
        if not grammar.is_printable(line):
            raise SdpError("the line holds a control character", number)
        if line:
            yield number, line


def split_line(line: str, number: int) -> tuple[str, str]:
    """Take `x=value` apart.

    Raises:
        SdpError: it has another form.
    """
    if len(line) < 2 or line[1] != "=" or not ("a" <= line[0] <= "z"):
        raise SdpError("a line must begin with a letter and '='", number)
    return line[0], line[2:]
