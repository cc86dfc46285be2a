"""The uses a terms document can name, and the media they cover. PURE.

Uses are an open registry: the terms document defines them, code only knows the three that the product
starts itself.
"""

from enum import StrEnum
from typing import Final, NewType

Use = NewType("Use", str)
"""One purpose that media may serve, named by a terms document: `live`, `record`, `replay`, ..."""

LIVE: Final = Use("live")
"""Sent to third-party sites while it happens; also governs external viewers (WHEP, embed)."""
RECORD: Final = Use("record")
"""Written to a recording."""
REPLAY: Final = Use("replay")
"""A recording shown or sent to third-party sites later."""


class Media(StrEnum):
    """What of a person a use reaches."""

    AUDIO = "audio"
    VIDEO = "video"
    CHAT = "chat"
