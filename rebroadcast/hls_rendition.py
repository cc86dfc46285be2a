"""One rendition of a program's HLS: what the program process sends of one encoding, put into a window."""

from collections.abc import Callable

import structlog

from rebroadcast.hls_window import MEDIA_PLAYLIST, HlsError, HlsWindow, Missing, Part, Place
from rebroadcast.types import RebroadcastConfig
from rebroadcast.worker.messages import HLS_SEGMENT_MAX_BYTES, Encoding, HlsPiece, HlsStart

log = structlog.get_logger("rebroadcast")


class HlsRendition:
    """Takes parts of one encoding; the window is its own, its segments' numbers are everybody's."""

    def __init__(
        self,
        config: RebroadcastConfig,
        encoding: Encoding | None,
        *,
        prefix: str,
        next_init: int,
        first: int,
        epoch: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`encoding`: None for what a passthrough brings; `prefix`: of all names; `next_init`: see HlsWindow.

        `first`: no segment has a smaller number: those names were taken.
        """
        self.prefix = prefix
        self._first = first
        self.is_over = False
        """Whether nothing comes any more."""
        self.window = HlsWindow(
            segment_s=config.segment_s,
            part_s=config.part_s,
            window_s=config.dvr_s,
            max_bytes=config.dvr_bytes,
            prefix=prefix,
            next_init=next_init,
        )
        self._segment_s = config.segment_s
        video_bps = config.video_bps if encoding is None else encoding.bps
        self._bandwidth = round(1.2 * (video_bps + config.audio_bps))
        self._epoch = epoch
        self._monotonic = monotonic
        self._stream = ""
        self._origin_ms = 0
        self._pieces = bytearray()
        self._last_at: float | None = None
        self._last_s = config.segment_s
        self.taken_bytes = 0
        """Bytes of all parts that could be played."""

    @property
    def playlist(self) -> str:
        """The name of its media playlist."""
        return self.prefix + MEDIA_PLAYLIST

    def state(self) -> tuple[str, str | None]:
        """What is true of playing it now, with the reason when it is not `live`."""
        if self._last_at is None:
            return "connecting", "the first segment is being made"
        if self.window.is_empty:
            return "degraded", "what was there was taken back; the next segment is being made"
        age_s = self._monotonic() - self._last_at
        if age_s > 2 * max(self._segment_s, self._last_s) + 1:
            return "degraded", f"no new segment for {age_s:.0f} s"
        return "live", None

    def get(self, name: str) -> bytes | Missing:
        """The bytes of its playlist, a segment or a part."""
        return self.window.get(name.removeprefix(self.prefix))

    def has(self, name: str, segment: int | None, part: int | None) -> bool:
        """Whether what a player asks for in advance is there."""
        if name == self.playlist and segment is not None:
            return self.window.edge > (segment, part if part is not None else 1 << 30)
        return not self.window.is_hinted(name.removeprefix(self.prefix))

    @property
    def is_described(self) -> bool:
        """Whether its codecs and size are known."""
        return bool(self._stream)

    def attributes(self) -> str:
        """What the multivariant playlist says of it."""
        return f"BANDWIDTH={self._bandwidth}" + (f",{self._stream}" if self._stream else "")

    def start(self, part: HlsStart) -> bool:
        """Takes the initialisation segment of a new format; whether it is of this epoch."""
        self._pieces.clear()
        if part.epoch != self._epoch():
            return False
        self.window.start_part(part.init, origin_ms=part.origin_ms)
        self._origin_ms = part.origin_ms
        self._stream = f'CODECS="{part.codecs}",RESOLUTION={part.width}x{part.height}'
        return True

    def take(self, piece: HlsPiece, place_at: Callable[[float], Place]) -> bool:
        """Takes a piece; whether there is something new to play.

        `place_at`: where the other renditions have a moment (Unix time in ms).
        """
        if piece.epoch != self._epoch():
            self._pieces.clear()
            return False
        self._pieces += piece.data
        if len(self._pieces) > HLS_SEGMENT_MAX_BYTES:
            self._pieces.clear()
            self._refused("too large")
            return False
        if not piece.is_last:
            return False
        data = bytes(self._pieces)
        self._pieces.clear()
        if self.window.is_bare:
            place = place_at(self._origin_ms + 1000 * piece.at_s)
            if place.number < self._first:
                return False
            self.window.go_on_at(place)
        made = Part(piece.at_s, piece.duration_s, data, frozenset(piece.persons), piece.is_independent)
        try:
            segment = self.window.add(made, ends_segment=piece.ends_segment)
        except HlsError as error:
            self._refused(str(error))
            return False
        if segment.is_whole:
            self._last_at, self._last_s = self._monotonic(), segment.duration_s
        self.taken_bytes += len(data)
        return True

    def interrupt(self) -> None:
        """What was begun to be sent will not be finished."""
        self._pieces.clear()

    def _refused(self, reason: str) -> None:
        log.warning("hls_segment_refused", code=self.playlist, reason=reason)
