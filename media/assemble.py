"""From packets in arrival order to whole frames in sequence order. PURE.

A reorder window lets retransmissions come in; what is still missing after the wait is reported as a gap, and
the frames that it touched are dropped whole. The marker bit ends a frame, and so does the next timestamp.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from media.frame import FRAME_MAX_BYTES, PayloadError
from media.rtp import Unwrapper

WINDOW_MAX_PACKETS: Final = 2_048
WINDOW_MAX_BYTES: Final = 4 << 20
_JUMP_PACKETS: Final = 4_096
_RESTART_AFTER: Final = 8


@dataclass(frozen=True, slots=True)
class WholeFrame:
    """The payloads of one frame, in order, none missing."""

    payloads: tuple[bytes, ...]
    rtp_ts: int
    """As pushed (unwrapped when the caller unwraps)."""
    arrival_ns: int
    """Arrival of the packet that completed it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Packets that never came (or came after the wait)."""

    lost_packets: int
    arrival_ns: int
    """Arrival of the first packet after the gap."""


@dataclass(slots=True)
class AssemblerCounters:
    """What an assembler saw, for statistics."""

    late: int = 0
    """Packets that came after they were given up."""
    duplicates: int = 0
    lost: int = 0
    dropped_frames: int = 0
    """Frames given up because a packet was missing or their start cannot be told."""


@dataclass(frozen=True, slots=True)
class _Packet:
    rtp_ts: int
    is_marked: bool
    payload: bytes
    arrival_ns: int


class FrameAssembler:
    """Assembles one RTP stream (one SSRC, one codec).

    `push` and `tick` return what became known; times are CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(self, is_frame_start: Callable[[bytes], bool], *, wait_ns: int) -> None:
        self._is_frame_start = is_frame_start
        self._wait_ns = wait_ns
        self._unwrapper = Unwrapper(16)
        self._packets: dict[int, _Packet] = {}
        self._buffered_bytes = 0
        self._next: int | None = None
        self._hole_since_ns: int | None = None
        self._far_late = 0
        self._frame: list[bytes] = []
        self._frame_bytes = 0
        self._frame_ts = 0
        self._is_within_frame = False
        self._is_broken = False
        self._is_contiguous = False
        self.counters = AssemblerCounters()

    def push(
        self, seq: int, rtp_ts: int, payload: bytes, *, is_marked: bool, arrival_ns: int
    ) -> list[WholeFrame | Gap]:
        """Take one packet (its wire sequence number)."""
        position = self._unwrapper.unwrap(seq)
        if self._next is None:
            self._next = position
        out: list[WholeFrame | Gap] = []
        if position < self._next:
            self._count_late(position)
            return out
        self._far_late = 0
        if position in self._packets:
            self.counters.duplicates += 1
            return out
        if position - self._next > _JUMP_PACKETS:
            out.extend(self._skip_to(position, arrival_ns))
        self._packets[position] = _Packet(rtp_ts, is_marked, payload, arrival_ns)
        self._buffered_bytes += len(payload)
        out.extend(self._consume())
        out.extend(self.tick(arrival_ns))
        return out

    def tick(self, now_ns: int) -> list[WholeFrame | Gap]:
        """Give up what has been missing for the wait; call at `deadline_ns`."""
        out: list[WholeFrame | Gap] = []
        while self._hole_since_ns is not None and (
            now_ns - self._hole_since_ns >= self._wait_ns
            or len(self._packets) > WINDOW_MAX_PACKETS
            or self._buffered_bytes > WINDOW_MAX_BYTES
        ):
            first = min(self._packets)
            out.extend(self._skip_to(first, self._packets[first].arrival_ns))
            out.extend(self._consume())
        return out

    def flush(self) -> list[WholeFrame | Gap]:
        """Give up every gap at once: the stream has ended."""
        out: list[WholeFrame | Gap] = []
        while self._packets:
            first = min(self._packets)
            out.extend(self._skip_to(first, self._packets[first].arrival_ns))
            out.extend(self._consume())
        return out

    def deadline_ns(self) -> int | None:
        """When to call `tick`; None while nothing is missing."""
        return None if self._hole_since_ns is None else self._hole_since_ns + self._wait_ns

    def _count_late(self, position: int) -> None:
        """A stream that goes on far behind was restarted by its sender: follow it, after a few packets."""
        self.counters.late += 1
        if self._next is not None and self._next - position > _JUMP_PACKETS:
            self._far_late += 1
            if self._far_late >= _RESTART_AFTER:
                self._far_late = 0
                self._packets.clear()
                self._buffered_bytes = 0
                self._hole_since_ns = None
                self._unwrapper = Unwrapper(16)
                self._next = None
                self._is_contiguous = False
                self._drop_frame()

    def _skip_to(self, position: int, arrival_ns: int) -> Iterator[WholeFrame | Gap]:
        """Give up everything before `position` that is not here."""
        missing = position - (self._next or 0)
        passed = [known for known in self._packets if known < position]
        for known in passed:
            self._buffered_bytes -= len(self._packets.pop(known).payload)
        if missing > 0:
            self.counters.lost += missing - len(passed)
            self._is_contiguous = False
            self._is_broken = self._is_within_frame
            yield Gap(missing - len(passed), arrival_ns)
        self._next = position

    def _consume(self) -> Iterator[WholeFrame | Gap]:
        """Take the packets that follow without a hole."""
        next_position = self._next or 0
        while (packet := self._packets.pop(next_position, None)) is not None:
            next_position += 1
            self._buffered_bytes -= len(packet.payload)
            yield from self._take(packet)
        self._next = next_position
        oldest = next(iter(self._packets.values()), None)  # a dict keeps the order of arrival
        self._hole_since_ns = None if oldest is None else oldest.arrival_ns

    def _take(self, packet: _Packet) -> Iterator[WholeFrame]:
        if not packet.payload:
            return
        if self._is_within_frame and packet.rtp_ts != self._frame_ts:
            yield from self._end_frame(packet.arrival_ns)
        if not self._is_within_frame:
            self._is_within_frame = True
            self._frame_ts = packet.rtp_ts
            self._is_broken = not (self._is_contiguous or self._starts_frame(packet.payload))
        self._is_contiguous = True
        self._frame.append(packet.payload)
        self._frame_bytes += len(packet.payload)
        if self._frame_bytes > FRAME_MAX_BYTES:
            self._is_broken = True
        if self._is_broken:
            self._frame.clear()
        if packet.is_marked:
            yield from self._end_frame(packet.arrival_ns)

    def _starts_frame(self, payload: bytes) -> bool:
        try:
            return self._is_frame_start(payload)
        except PayloadError:
            return False

    def _end_frame(self, arrival_ns: int) -> Iterator[WholeFrame]:
        if self._is_broken:
            self.counters.dropped_frames += 1
        else:
            yield WholeFrame(tuple(self._frame), self._frame_ts, arrival_ns)
        self._drop_frame()

    def _drop_frame(self) -> None:
        self._frame = []
        self._frame_bytes = 0
        self._is_within_frame = self._is_broken = False
