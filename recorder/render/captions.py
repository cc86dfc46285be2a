"""The chat of a rendition as WebVTT. PURE. Source: WebVTT (W3C), sections 4 and 6."""

from collections.abc import Sequence
from typing import Final

from recorder.render.picture import ChatLine

CAPTION_MS: Final = 5_000


def captions(lines: Sequence[ChatLine]) -> str:
    """Each line is shown for five seconds, with its author."""
    cues = [
        f"{clock(line.at_ms)} --> {clock(line.at_ms + CAPTION_MS)}\n<v {_cue(line.name)}>{_cue(line.text)}\n"
        for line in lines
    ]
    return "WEBVTT\n\n" + "\n".join(cues)


def clock(ms: int) -> str:
    """A WebVTT timestamp."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _cue(text: str) -> str:
    plain = " ".join(text.split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
