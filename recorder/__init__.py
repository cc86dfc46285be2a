"""Rooms to disk: taps become files, files a finished recording with a signed manifest.

Floor 4. `RecorderService` is loaded when first asked for, so that the worker process, whose code lies in
`recorder.worker`, carries none of the server with it.
"""

from typing import TYPE_CHECKING

from media.facade import lazy
from recorder.errors import (
    KeysUnusable,
    ManifestInvalid,
    NotArchived,
    RecorderError,
    RecorderUnavailable,
    RecordingConflict,
    RecordingNotFound,
)
from recorder.types import (
    ArchiveState,
    ErasedCopy,
    Erasure,
    Presence,
    RecordedFile,
    RecorderConfig,
    RecordingInfo,
    RenderWish,
    RenditionInfo,
)

if TYPE_CHECKING:
    from recorder.data_keys import DataKeys, KeyAccess
    from recorder.installation import rotate_master_key, verify_recording
    from recorder.keys import KeyStore, MasterKeys
    from recorder.parts import open_part
    from recorder.playback import Attendee, PlaybackInfo, Quote, Span
    from recorder.reading import OpenFile
    from recorder.rendering import RENDERER
    from recorder.service import RecorderService
    from recorder.verification import Finding, Verification

__all__ = [
    "RENDERER",
    "ArchiveState",
    "Attendee",
    "DataKeys",
    "ErasedCopy",
    "Erasure",
    "Finding",
    "KeyAccess",
    "KeyStore",
    "KeysUnusable",
    "ManifestInvalid",
    "MasterKeys",
    "NotArchived",
    "OpenFile",
    "PlaybackInfo",
    "Presence",
    "Quote",
    "RecordedFile",
    "RecorderConfig",
    "RecorderError",
    "RecorderService",
    "RecorderUnavailable",
    "RecordingConflict",
    "RecordingInfo",
    "RecordingNotFound",
    "RenderWish",
    "RenditionInfo",
    "Span",
    "Verification",
    "open_part",
    "rotate_master_key",
    "verify_recording",
]

__getattr__ = lazy(
    __name__,
    {
        "recorder.data_keys": ("DataKeys", "KeyAccess"),
        "recorder.installation": ("rotate_master_key", "verify_recording"),
        "recorder.keys": ("KeyStore", "MasterKeys"),
        "recorder.parts": ("open_part",),
        "recorder.playback": ("Attendee", "PlaybackInfo", "Quote", "Span"),
        "recorder.reading": ("OpenFile",),
        "recorder.rendering": ("RENDERER",),
        "recorder.service": ("RecorderService",),
        "recorder.verification": ("Finding", "Verification"),
    },
)
