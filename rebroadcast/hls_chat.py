"""The chat beside the picture as a WebVTT rendition: lines in time, each until it is cut or slides out. PURE.

Source: RFC 8216 section 3.5 (X-TIMESTAMP-MAP); W3C WebVTT section 6.4.
"""

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from rebroadcast.hls_window import HlsWindow, Missing, Segment

CHAT_PLAYLIST: Final = "chat.m3u8"
LINES_MOST: Final = 2_000
_NAME: Final = re.compile(r"chat-(\d{1,12})\.vtt")
_ESCAPED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class ChatCue:
    """One line of somebody whose chat may go out."""

    person: str
    name: str
    text: str
    at_ms: int
    """Unix time at which it stands beside the picture of that moment."""
    id: str = ""


class HlsChat:
    """Cues in, playlist and WebVTT segments out, numbered as the segments of a rendition's window are."""

    def __init__(self, *, shown_s: float) -> None:
        self._shown_s = shown_s
        self._cues: deque[ChatCue] = deque(maxlen=LINES_MOST)

    def add(self, cue: ChatCue) -> None:
        """Takes a line."""
        self._cues.append(cue)

    def cut(self, person: str) -> None:
        """Takes back every line of that person."""
        self._cues = deque((cue for cue in self._cues if cue.person != person), maxlen=LINES_MOST)

    def delete(self, line_id: str) -> None:
        """Takes one line back."""
        self._cues = deque((cue for cue in self._cues if cue.id != line_id), maxlen=LINES_MOST)

    def clear(self) -> None:
        """Takes everything back."""
        self._cues.clear()

    def get(self, name: str, window: HlsWindow) -> bytes | Missing:
        """The bytes of the playlist or of a segment, beside the pictures of that window.

        Of the open segment, which no playlist lists, what is said beside its pictures so far.
        """
        if name == CHAT_PLAYLIST:
            return _playlist(window).encode()
        match = _NAME.fullmatch(name)
        return self._segment(window.begun(int(match[1]))) if match else Missing.UNKNOWN

    def _segment(self, segment: Segment | Missing) -> bytes | Missing:
        if isinstance(segment, Missing):
            return segment
        begins_s, ends_s = segment.at_s, segment.at_s + segment.duration_s
        lines = ["WEBVTT", "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000", ""]
        for cue in self._cues:
            at_s = (cue.at_ms - segment.origin_ms) / 1000
            if at_s < ends_s and at_s + self._shown_s > begins_s and at_s >= 0:
                lines += [
                    f"{_time(at_s)} --> {_time(at_s + self._shown_s)}",
                    # The voice is for those who read the file, the name in bold for those who see it.
                    f"<v {_escape(cue.name)}><b>{_escape(cue.name)}</b> {_escape(cue.text)}",
                    "",
                ]
        return "\n".join(lines).encode()


def _playlist(window: HlsWindow) -> str:
    shown = [segment for segment in window.listed() if segment.is_whole]
    lines = window.heading(shown)
    for segment in shown:
        if segment.is_discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        lines += [f"#EXTINF:{segment.duration_s:.5f},", f"chat-{segment.number}.vtt"]
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    total_ms = round(seconds * 1000)
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}.{ms % 1000:03}"


def _escape(text: str) -> str:
    """On one line, without tags: what people write is never markup."""
    flat = " ".join(text.split())
    return "".join(_ESCAPED.get(character, character) for character in flat)
