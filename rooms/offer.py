"""A look at an offer before it is negotiated.

The same connection as before, and does it send anything new? PURE.

Only a hint for admission: what counts is what negotiation accepts, and that is checked again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rooms.tracks import Kind

OFFER_BYTES: Final = 65_536
_MAX_LINES: Final = 4_096
_LONGEST_FINGERPRINT: Final = 256
_SILENT: Final = frozenset({"a=recvonly", "a=inactive"})
_HEARD: Final = frozenset({"a=sendrecv", "a=sendonly"})
_KINDS: Final[Mapping[str, Kind]] = {"m=audio": "audio", "m=video": "video"}


@dataclass(frozen=True, slots=True)
class OfferPeek:
    """What the room needs to know of an offer."""

    connection: str
    """What offers of one peer connection have in common: session id and certificate; empty without an id.

    Session ids alone do not tell connections apart: some clients take the time's seconds. Source: RFC 9429
    section 5.2.2 (the id), RFC 8842 section 3 (another fingerprint is another association).
    """
    sending: frozenset[str]
    """Mids of sections that send; a section without a mid counts under its index."""
    kinds: Mapping[str, Kind]
    """Kind of every audio and video section, by mid."""
    is_data_alone: bool
    """Data channels and nothing else."""


@dataclass(slots=True)
class _Section:
    mid: str
    kind: Kind | None
    is_live: bool
    is_data: bool = False
    is_silent: bool = False


def peek(offer: str) -> OfferPeek:
    """Read the lines that matter; never raises, whatever the text is."""
    session = certificate = ""
    sections: list[_Section] = []
    for line in offer[:OFFER_BYTES].splitlines()[:_MAX_LINES]:
        if line.startswith("o=") and not session:
            fields = line.split(" ")
            session = fields[1][:64] if len(fields) > 1 else ""
        elif line.startswith("a=fingerprint:") and not certificate:
            certificate = line[14:_LONGEST_FINGERPRINT].strip()
        elif line.startswith("m="):
            sections.append(_section(line, len(sections)))
        elif sections:
            _attribute(sections[-1], line.strip())
    media = [section for section in sections if section.kind is not None]
    has_data = any(section.is_data for section in sections)
    return OfferPeek(
        session and f"{session} {certificate}",
        frozenset(section.mid for section in media if section.is_live and not section.is_silent),
        {section.mid: section.kind for section in media if section.kind is not None},
        has_data and not media,
    )


def _section(line: str, index: int) -> _Section:
    fields = line.split(" ")
    # Port 0 rejects a section, unless it is bundle-only (RFC 9143 section 6).
    is_live = len(fields) > 1 and fields[1] != "0"
    return _Section(f"#{index}", _KINDS.get(fields[0]), is_live, fields[0] == "m=application")


def _attribute(section: _Section, line: str) -> None:
    if line.startswith("a=mid:"):
        section.mid = line[6:70].strip()
    elif line in _SILENT:
        section.is_silent = True
    elif line in _HEARD:
        section.is_silent = False  # the last direction counts, as it does for the media plane
    elif line == "a=bundle-only":
        section.is_live = True
