"""What the program process sends for HLS, put together into the window that players read from."""

from collections.abc import Callable
from typing import Final

import structlog

from rebroadcast.hls_window import HlsError, HlsWindow, Missing
from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES, HlsPiece, HlsStart

log = structlog.get_logger("rebroadcast")

OUTPUT: Final = "hls"
"""Id of the one HLS output of a program, whatever number of sites embed it."""


class HlsIntake:
    """Takes parts and pieces of one broadcast; whatever is older than the activity's cut epoch is dropped."""

    def __init__(
        self,
        broadcast: str,
        *,
        segment_s: float,
        epoch: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._broadcast = broadcast
        self._segment_s = segment_s
        self._epoch = epoch
        self._monotonic = monotonic
        self._window = HlsWindow(segment_s=segment_s)
        self._pieces = bytearray()
        self._last_at: float | None = None
        self._last_s = segment_s
        self.taken_bytes = 0
        """Bytes of all segments that could be played."""

    def state(self) -> tuple[str, str | None]:
        """What is true of playing it now, with the reason when it is not `live`."""
        if self._last_at is None:
            return "connecting", "the first segment is being made"
        if self._window.is_empty:
            return "degraded", "what was there was taken back; the next segment is being made"
        age_s = self._monotonic() - self._last_at
        if age_s > 2 * max(self._segment_s, self._last_s) + 1:
            return "degraded", f"no new segment for {age_s:.0f} s"
        return "live", None

    def get(self, name: str) -> bytes | Missing:
        """The bytes of a playlist or segment."""
        return self._window.get(name)

    def start(self, part: HlsStart) -> None:
        """Takes the initialisation segment of a new part."""
        self._pieces.clear()
        if part.epoch == self._epoch():
            self._window.start_part(part.init)

    def take(self, piece: HlsPiece) -> None:
        """Takes a piece; the last one makes a segment of what has come."""
        if piece.epoch != self._epoch():
            self._pieces.clear()
            return
        self._pieces += piece.data
        if len(self._pieces) > HLS_SEGMENT_MAX_BYTES:
            self._pieces.clear()
            self._refused("too large")
        elif piece.is_last:
            data = bytes(self._pieces)
            self._pieces.clear()
            try:
                self._window.add(data, duration_s=piece.duration_s, persons=frozenset(piece.persons))
            except HlsError as error:
                self._refused(str(error))
                return
            self._last_at, self._last_s = self._monotonic(), piece.duration_s
            self.taken_bytes += len(data)

    def cut(self, person: str) -> None:
        """Takes back every segment up to the last one with that person."""
        self._pieces.clear()
        self._window.cut(person)

    def clear(self) -> None:
        """Takes everything back."""
        self._pieces.clear()
        self._window.clear()

    def interrupt(self) -> None:
        """The program process is gone: what it had begun to send will not be finished."""
        self._pieces.clear()

    def _refused(self, reason: str) -> None:
        log.warning("hls_segment_refused", broadcast=self._broadcast, reason=reason)
