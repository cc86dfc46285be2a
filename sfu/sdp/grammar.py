"""The grammar of every token that may enter or leave a description.

Everything that `write` puts out passes through here, so that no value can carry a line break, a space or a
second attribute into a description, whoever it came from. PURE.

Source: RFC 8866 section 9, RFC 8839 section 5, RFC 8122 section 5, RFC 8851 section 10, RFC 8285 section 4.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "CANDIDATE",
    "CNAME",
    "FINGERPRINT_VALUE",
    "FMTP",
    "ICE_PWD",
    "ICE_UFRAG",
    "MAX_ID_BYTES",
    "MSID",
    "PROTOCOL",
    "RID",
    "TOKEN",
    "URI",
    "is_printable",
    "parse_uint",
]

MAX_ID_BYTES: Final = 16
"""Longest mid and rid: more cannot be carried in a one-byte header extension (RFC 8285 section 4.2)."""

TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~]{1,256}", re.ASCII)
"""RFC 8866 `token`: mids, names of codecs, attributes, protocols."""

PROTOCOL: Final = re.compile(r"[A-Za-z0-9\-]{1,16}(?:/[A-Za-z0-9\-]{1,16}){0,5}", re.ASCII)
"""RFC 8866 `proto`: words with slashes."""

RID: Final = re.compile(r"[A-Za-z0-9_\-]{1,16}", re.ASCII)
"""RFC 8851 `rid-id`, capped at `MAX_ID_BYTES`."""

ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
"""RFC 8839 section 5.4."""

FINGERPRINT_VALUE: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63}", re.ASCII)
"""RFC 8122 section 5: hex pairs, from 128 to 512 bits."""

MSID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~@:/]{1,64}", re.ASCII)
"""RFC 8830 `msid-id` (token characters), and the three that GStreamer adds."""

CNAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~@:/]{1,255}", re.ASCII)
"""RFC 5576 `cname`, narrowed to characters that need no thought."""

FMTP: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`{|}~=;,:/ ]{1,512}", re.ASCII)
"""What we ever write as format parameters."""

URI: Final = re.compile(r"[A-Za-z0-9!#$%&'()*+,\-./:;=?@_~]{1,256}", re.ASCII)
"""RFC 3986 characters."""

CANDIDATE: Final = re.compile(
    r"[A-Za-z0-9+/]{1,32} [1-9]\d{0,2} (?:udp|UDP|tcp|TCP) \d{1,10} [0-9A-Fa-f.:]{2,45} \d{1,5} typ host"
    r"(?: tcptype passive)?",
    re.ASCII,
)
"""The candidates that we send: host, with a literal address."""

_UINT: Final = re.compile(r"[0-9]{1,20}", re.ASCII)


def parse_uint(text: str, maximum: int) -> int | None:
    """Read a decimal number in ASCII digits alone; None when it is none, or too large."""
    if _UINT.fullmatch(text) is None:
        return None
    value = int(text)
    return value if value <= maximum else None


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_printable(line: str) -> bool:
    """Whether a line holds no control character: tab, NUL, a lone CR and the C1 set are refused."""
    return _CONTROL.search(line) is None
