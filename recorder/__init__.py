"""Rooms to disk: taps become files, files a finished recording with a signed manifest.

Floor 4. `RecorderService` is loaded when first asked for, so that the worker process, whose code lies in
`recorder.worker`, carries none of the server with it.
"""

from typing import TYPE_CHECKING

from media.facade import lazy
from recorder.errors import (
    ManifestInvalid,
    RecorderError,
    RecorderUnavailable,
    RecordingConflict,
    RecordingNotFound,
)
from recorder.types import RecordedFile, RecorderConfig, RecordingInfo

if TYPE_CHECKING:
    from recorder.service import RecorderService

__all__ = [
    "ManifestInvalid",
    "RecordedFile",
    "RecorderConfig",
    "RecorderError",
    "RecorderService",
    "RecorderUnavailable",
    "RecordingConflict",
    "RecordingInfo",
    "RecordingNotFound",
]

__getattr__ = lazy(__name__, {"recorder.service": ("RecorderService",)})
