"""Configuration and answers of the recorder. PURE."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderConfig:
    """How the recorder behaves; where it writes is the store's blob folder."""

    min_free_bytes: int = 256 << 20
    """A recording does not start with less free space than this."""
    queue_max_bytes: int = 32 << 20
    """What may wait for a slow disk, per recording; more is dropped and told as a gap."""
    stop_patience_s: float = 10.0
    """How long a worker may take to write its last bytes before it is killed (and the folder recovered)."""
    finish_patience_s: float = 10.0
    """How long `stop` waits for the finished files; finishing goes on behind it."""
    restarts_max: int = 5
    """Worker restarts within a minute before the recording is given up."""


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """One recording as it is told outside."""

    id: str
    room: str
    """Name of the room."""
    state: str
    """`starting`, `recording`, `stopping`, `finished`, `interrupted`, `failed`."""
    reason: str | None
    """Why it was interrupted or failed, or ended early."""
    started_ms: int
    """Unix time in milliseconds."""
    ended_ms: int | None
    """Unix time in milliseconds; None while it runs."""
    size_bytes: int
    """Bytes on disk."""


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file of a recording."""

    name: str
    size_bytes: int
    content_type: str
    sha256: str | None
    """Hex digest from the manifest; None while the recording runs."""
