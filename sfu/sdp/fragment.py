"""Trickle fragments (`application/trickle-ice-sdpfrag`): candidates that come late, and ICE restarts. PURE.

Source: RFC 8840 section 9, RFC 9725 sections 4.3.1 and 4.3.3 (WHIP PATCH).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfu.errors import NegotiationError, SdpError
from sfu.sdp import grammar
from sfu.sdp.lines import lines_of, split_line
from sfu.sdp.negotiate import Agreed, LocalTransport

__all__ = ["Fragment", "parse_fragment", "write_fragment"]

_MAX_CHARS: Final = 16_384
_MAX_CANDIDATES: Final = 64
_MAX_SECTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment says.

    Attributes:
        ufrag, pwd: the ICE generation that it belongs to; None when it does not say.
        candidates: (mid, value of `a=candidate:`) in order; mid "" before the first section. An ICE-lite
            agent does not use them.
        end_of_candidates: no more will come.
    """

    ufrag: str | None
    pwd: str | None
    candidates: tuple[tuple[str, str], ...]
    end_of_candidates: bool


def parse_fragment(text: str) -> Fragment:
    """Read a fragment.

    Raises:
        SdpError: it is none, or breaks a limit.
    """
    values: dict[str, str] = {}
    candidates: list[tuple[str, str]] = []
    mid, sections, ended, lines = "", 0, False, 0
    for number, line in lines_of(text, _MAX_CHARS):
        lines += 1
        letter, value = split_line(line, number)
        name, _, word = value.partition(":")
        if letter == "m":
            mid, sections = "", sections + 1
            if sections > _MAX_SECTIONS:
                raise SdpError(f"more than {_MAX_SECTIONS} sections", number)
        elif letter != "a":
            raise SdpError("a fragment holds a= and m= lines only", number)
        elif name in _CREDENTIALS:
            _credential(values, name, word, number)
        elif name == "mid":
            if grammar.TOKEN.fullmatch(word) is None or len(word) > grammar.MAX_ID_BYTES:
                raise SdpError("a mid must be a short token", number)
            mid = word
        elif name == "candidate":
            if len(candidates) >= _MAX_CANDIDATES:
                raise SdpError(f"more than {_MAX_CANDIDATES} candidates", number)
            candidates.append((mid, word))
        elif value == "end-of-candidates":
            ended = True
    if not lines:
        raise SdpError("the fragment is empty")
    if ("ice-ufrag" in values) != ("ice-pwd" in values):
        raise SdpError("ice-ufrag and ice-pwd come together")
    return Fragment(values.get("ice-ufrag"), values.get("ice-pwd"), tuple(candidates), ended)


def write_fragment(local: LocalTransport, agreed: Agreed) -> str:
    """The answer to an ICE restart: our new credentials and candidates, for the bundle's first live section.

    Raises:
        NegotiationError: the peer has no live section.
    """
    place = next(((kind, mid) for kind, mid in agreed.sections if mid), None)
    if place is None:
        raise NegotiationError("the peer has no live section")
    kind, mid = place
    checks = (
        (grammar.ICE_UFRAG, local.ufrag),
        (grammar.ICE_PWD, local.pwd),
        (grammar.TOKEN, kind),
        (grammar.TOKEN, mid),
        *((grammar.CANDIDATE, candidate) for candidate in local.candidates),
    )
    if any(pattern.fullmatch(word) is None for pattern, word in checks):
        raise SdpError("a value cannot be written into a fragment")
    lines = [
        "a=ice-lite",
        f"a=group:BUNDLE {mid}",
        f"m={kind} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        *(f"a=candidate:{candidate}" for candidate in local.candidates),
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)


_CREDENTIALS: Final = {"ice-ufrag": grammar.ICE_UFRAG, "ice-pwd": grammar.ICE_PWD}


def _credential(values: dict[str, str], name: str, word: str, number: int) -> None:
    if _CREDENTIALS[name].fullmatch(word) is None:
        raise SdpError(f"{name} is malformed", number)
    if values.setdefault(name, word) != word:
        raise SdpError(f"two different values of {name}: all sections share one transport", number)
