"""Rooms to disk: taps become files, files a finished recording with a signed manifest.

Floor 4. `RecorderService` is loaded when first asked for, so that the worker process, whose code lies in
`recorder.worker`, carries none of the server with it.
"""

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name == "RecorderService":
        from recorder.service import RecorderService  # noqa: PLC0415 - see the docstring

        return RecorderService
    raise AttributeError(f"module 'recorder' has no attribute {name!r}")
