"""Where the recordings of an installation lie, and room for one more."""

import shutil
from pathlib import Path
from typing import Final

from recorder.errors import RecorderUnavailable
from store import Blobs, Store

_KIND: Final = "recordings"


def folder_of(store: Store, recording: str) -> Path:
    """The folder of a recording, there or not. Raises: RecorderUnavailable, BlobError."""
    return _blobs(store).path(_KIND, recording)


def make_folder(store: Store, recording: str, *, min_free_bytes: int) -> Path:
    """Begin the folder of a recording.

    Raises: RecorderUnavailable when the disk is full or cannot be written; BlobError.
    """
    blobs = _blobs(store)
    try:
        folder = blobs.folder(_KIND, recording)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise RecorderUnavailable(f"the recordings folder cannot be written: {error.strerror}") from error
    if free < min_free_bytes:
        folder.rmdir()
        raise RecorderUnavailable(
            f"{free >> 20} MiB are free, a recording needs {min_free_bytes >> 20}: make room"
        )
    return folder


def _blobs(store: Store) -> Blobs:
    if store.blobs is None:
        raise RecorderUnavailable("this server keeps nothing on disk: start it with a data folder")
    return store.blobs
