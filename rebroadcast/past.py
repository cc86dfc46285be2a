"""What is told of a broadcast that does not run: one that has ended, or is to begin at a set time. PURE."""

from collections.abc import Sequence

from rebroadcast.opening import ReplayWish
from rebroadcast.types import BroadcastInfo, DestinationInfo, DestinationStatus, ReplayInfo
from store import BroadcastRow, BroadcastState


def info_of(row: BroadcastRow, known: Sequence[DestinationInfo]) -> BroadcastInfo:
    """As callers see it; `known`: every registered destination."""
    by_id = {info.id: info for info in known}
    is_scheduled = row.state is BroadcastState.SCHEDULED
    return BroadcastInfo(
        id=row.id,
        room=row.room_name,
        state=row.state.value,
        reason=row.reason or None,
        mode=str(row.details.get("mode", "program")),
        started_ms=row.started_at_ms,
        ended_ms=row.stopped_at_ms,
        look=ReplayWish.of(row).look.info() if is_scheduled else None,
        program=None,
        destinations=tuple(
            DestinationStatus(
                destination=info.id,
                name=info.name,
                partner=info.partner,
                site=info.site,
                kind=info.kind,
                state="idle" if is_scheduled else "stopped",
                reason=None,
                bytes_acknowledged=0,
            )
            for destination in row.destinations
            if (info := by_id.get(destination)) is not None
        ),
        replay=_replay(row),
    )


def _replay(row: BroadcastRow) -> ReplayInfo | None:
    if not row.recording:
        return None
    kept = row.details["replay"]
    return ReplayInfo(
        recording=row.recording,
        at_ms=kept["at_ms"],
        is_looped=kept["loop"],
        position_ms=kept.get("position_ms", 0),
        duration_ms=kept.get("duration_ms", 0),
        turn=kept.get("turn", 0),
    )
