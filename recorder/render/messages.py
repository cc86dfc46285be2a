"""What the server and a rendering process say to each other. PURE."""

from typing import Literal

import msgspec

from recorder.data_keys import KeyAccess

Format = Literal["mp4", "webm"]
Layout = Literal["grid", "speaker", "single", "screen", "copy"]
"""`copy`: one person's own files put together, nothing encoded again."""
CHUNK_S = 10
"""Seconds of a piece of picture; what a killed process loses at most."""
CAPTIONS = "chat.vtt"
"""Name of a rendition's chat."""


class RenderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One rendition to make."""

    id: str
    """Of the rendition; its key is made under this name."""
    keys: KeyAccess | None
    """Of the recording's people; None when nothing is sealed."""
    recording: str
    """Folder of the finished recording."""
    folder: str
    """Where the rendition grows; pieces that lie there already are used."""
    people: tuple[str, ...]
    """Persons who may be seen, heard, named and quoted; others are placeholders."""
    format: Format = "mp4"
    layout: Layout = "grid"
    main: str = ""
    """Person whose the large place is; empty: whoever speaks. Of a copy: whose files."""
    source: Literal["camera", "screen"] = "camera"
    """Of a copy: the picture, which its sound comes with."""
    has_names: bool = True
    chat: Literal["burned", "webvtt", "none"] = "burned"
    width: int = 1280
    height: int = 720
    fps: int = 25


class RenderProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How far it is."""

    share: float
    """0..1."""


class Rendered(msgspec.Struct, frozen=True, tag="rendered"):
    """The file is whole and synced."""

    name: str
    size_bytes: int
    """Before it was sealed."""
    sha256: str
    """Of its bytes before they were sealed."""
    beside: tuple[str, ...] = ()
    """Names of the files that belong to it: chat, stills."""


class RenderFailed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot be made."""

    reason: str


FromRenderer = RenderProgress | Rendered | RenderFailed
