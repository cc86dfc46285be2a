"""Text to `SessionDescription`: the only place where a peer's SDP is read. PURE.

Unknown lines and attributes are skipped; known ones must be well formed. Limits come before content, every
loop is bounded by the number of lines, and the only exception is `SdpError`.

Source: RFC 8866 (SDP), RFC 8829 (JSEP).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfu.errors import SdpError
from sfu.sdp import grammar
from sfu.sdp.attributes import read_attribute, read_media_line
from sfu.sdp.lines import lines_of, split_line
from sfu.sdp.model import SessionDescription
from sfu.sdp.section import Section

__all__ = ["Limits", "parse"]

_MAX_NUMBER: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a description is read before it is refused.

    Attributes:
        chars: length of the whole text.
        media: number of sections.
    """

    chars: int = 65_536
    media: int = 64


_DEFAULT: Final = Limits()


def parse(text: str, limits: Limits = _DEFAULT) -> SessionDescription:
    """Read a description.

    Raises:
        SdpError: it is not SDP, or breaks a limit.
    """
    session = Section()
    current = session
    sections: list[Section] = []
    origin: tuple[int, int] | None = None
    begun = False
    for number, line in lines_of(text, limits.chars):
        letter, value = split_line(line, number)
        if not begun:
            if (letter, value) != ("v", "0"):
                raise SdpError("a description must begin with v=0", number)
            begun = True
        elif letter == "a":
            read_attribute(current, value, number)
        elif letter == "m":
            if len(sections) >= limits.media:
                raise SdpError(f"more than {limits.media} sections", number)
            current = read_media_line(value, number)
            sections.append(current)
        elif letter == "o":
            origin = _read_origin(value, number)
        elif letter == "v":
            raise SdpError("a second v= line", number)
    if not begun:
        raise SdpError("the description is empty")
    if origin is None:
        raise SdpError("the o= line is missing")
    return _assemble(session, sections, origin)


def _assemble(session: Section, sections: list[Section], origin: tuple[int, int]) -> SessionDescription:
    mids: set[str] = set()
    for section in sections:
        if section.mid and section.mid in mids:
            raise SdpError("two sections have the same mid", section.line)
        mids.add(section.mid)
    return SessionDescription(
        session_id=origin[0],
        version=origin[1],
        media=tuple(section.finish(session) for section in sections),
        bundle=session.bundle,
        ice_lite="ice-lite" in session.flags,
        ice_options=session.ice_options,
        extmap_allow_mixed="extmap-allow-mixed" in session.flags,
    )


def _read_origin(value: str, number: int) -> tuple[int, int]:
    words = value.split(" ")
    if len(words) != 6:
        raise SdpError("o= needs six words", number)
    session_id = grammar.parse_uint(words[1], _MAX_NUMBER)
    version = grammar.parse_uint(words[2], _MAX_NUMBER)
    if session_id is None or version is None:
        raise SdpError("o= needs a numeric session id and version", number)
    return session_id, version
