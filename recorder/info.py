"""What is told of a recording, while it runs and afterwards. PURE."""

from typing import Final

from recorder.recording import Recording
from recorder.types import ArchiveState, RecordingInfo
from store import RecordingRow, RecordingState

STATES: Final = {
    RecordingState.RECORDING: "recording",
    RecordingState.FINISHING: "stopping",
    RecordingState.FINISHED: "finished",
    RecordingState.INTERRUPTED: "interrupted",
    RecordingState.FAILED: "failed",
}


def running_info(recording: Recording, room_name: str) -> RecordingInfo:
    """Of one that runs, or is being stopped."""
    state = "stopping" if recording.reason is not None else "recording"
    if state == "recording" and recording.activity.is_paused:
        state = "paused"
    return RecordingInfo(
        id=recording.activity.id,
        room=room_name,
        state=state,
        reason=recording.reason,
        started_ms=recording.started_ms,
        ended_ms=None,
        size_bytes=recording.size_bytes,
    )


def ended_info(row: RecordingRow, *, is_held: bool, archive: ArchiveState | None) -> RecordingInfo:
    """Of one that has ended."""
    return RecordingInfo(
        id=row.id,
        room=row.room_name,
        state=STATES[row.state],
        reason=row.reason or None,
        started_ms=row.started_at_ms,
        ended_ms=row.stopped_at_ms,
        size_bytes=row.size_bytes,
        expires_ms=row.expires_at_ms,
        is_held=is_held,
        archive=archive,
    )
