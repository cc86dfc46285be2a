"""What the recorder refuses; each class has a stable code for the wire."""


class RecorderError(Exception):
    """Root of everything that `recorder` raises on purpose; the text says how to mend it."""

    code = "recorder_error"


class RecordingNotFound(RecorderError):
    """No such recording or room."""

    code = "not_found"


class RecordingConflict(RecorderError):
    """Not possible in the state that the recording is in."""

    code = "conflict"


class RecorderUnavailable(RecorderError):
    """Nothing can be recorded now: no disk space, or no folder to record to."""

    code = "unavailable"


class NotArchived(RecorderError):
    """What is on the disk cannot go to the archive as it is."""

    code = "conflict"


class KeysUnusable(RecorderError):
    """The master keys cannot be read or made."""

    code = "keys_unusable"


class ManifestInvalid(RecorderError):
    """A manifest is malformed, or its signature or a file's hash does not verify."""

    code = "manifest_invalid"
