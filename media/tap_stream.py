"""One tap's records to frames with their time: what recorder and programs read. PURE.

Puts together assembly, depayloading, simulcast choice and the clock. Consent is checked by the
caller: records of a closed gate do not come here, and `discard` forgets what is held.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from media import av1, h264, opus, vp8, vp9
from media.assemble import AssemblerCounters, FrameAssembler, Gap, WholeFrame
from media.clock_map import SECOND_NS, ParticipantClock, TrackClock
from media.frame import CodecName, EncodedFrame, PayloadError
from media.rtp import RtpError, parse_rtp
from media.simulcast import EncodingChoice
from media.tap_record import LostRecord, RtpRecord, SrRecord, TapRecord

AUDIO_WAIT_NS: Final = SECOND_NS // 5
VIDEO_WAIT_NS: Final = SECOND_NS * 2 // 5
VIDEO_CLOCK_HZ: Final = 90_000
ENCODINGS_MAX: Final = 4
"""Simulcast encodings of one track that are looked at."""

_Depayload = Callable[[Sequence[bytes]], EncodedFrame]
_FORMATS: Final[dict[CodecName, tuple[Callable[[bytes], bool], _Depayload]]] = {
    "vp8": (vp8.is_frame_start, vp8.depayload),
    "vp9": (vp9.is_frame_start, vp9.depayload),
    "h264": (h264.is_frame_start, h264.depayload),
    "av1": (av1.is_frame_start, av1.depayload),
    "opus": (opus.is_frame_start, opus.depayload),
}


@dataclass(frozen=True, slots=True)
class MediaFrame:
    """One encoded frame of a track with the time at which it happened."""

    codec: CodecName
    frame: EncodedFrame
    time_ns: int
    """CLOCK_MONOTONIC; audio and video of one participant share one scale."""
    arrival_ns: int
    """CLOCK_MONOTONIC at which it was whole."""
    encoding_index: int
    rtp_ts: int
    """Unwrapped."""


@dataclass(frozen=True, slots=True)
class MediaGap:
    """Something is missing before the next frame."""

    reason: Literal["lost", "tap_full", "malformed"]
    packets: int
    arrival_ns: int


@dataclass(frozen=True, slots=True)
class LayerSwitched:
    """The next frame comes from another simulcast encoding than the last one."""

    previous: int
    encoding_index: int
    arrival_ns: int


StreamItem = MediaFrame | MediaGap | LayerSwitched


@dataclass(slots=True)
class StreamCounters:
    """What a stream could not use, for statistics."""

    malformed: int = 0
    unknown_codec: int = 0
    tap_lost: int = 0
    assembler: AssemblerCounters = field(default_factory=AssemblerCounters)
    """Of the encoding that came in last."""


class _Encoding:
    """One SSRC of the track while it is read."""

    def __init__(self, ssrc: int, codec: CodecName, clock: TrackClock, wait_ns: int) -> None:
        self.ssrc = ssrc
        self.codec = codec
        self.clock = clock
        is_frame_start, self.depayload = _FORMATS[codec]
        self.assembler = FrameAssembler(is_frame_start, wait_ns=wait_ns)


class TapStream:
    """Reads one tap. Belongs to one thread; times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(
        self,
        kind: Literal["audio", "video"],
        participant: ParticipantClock,
        *,
        wait_ns: int | None = None,
    ) -> None:
        self._kind = kind
        self._participant = participant
        self._wait_ns = wait_ns or (VIDEO_WAIT_NS if kind == "video" else AUDIO_WAIT_NS)
        self._clocks: dict[int, TrackClock] = {}
        self._encodings: dict[int, _Encoding] = {}
        self._choice = EncodingChoice()
        self._needs_keyframe = kind == "video"
        self.counters = StreamCounters()

    def receive(self, record: TapRecord) -> list[StreamItem]:
        """Take one record of this tap; what became known by it. Malformed input is counted, never raised."""
        match record:
            case RtpRecord():
                return self._receive_rtp(record)
            case SrRecord():
                self._clock(record.header.ssrc).report(record.ntp, record.rtp_ts, record.header.arrival_ns)
                return []
            case LostRecord():
                self.counters.tap_lost += record.lost
                return [MediaGap("tap_full", record.lost, record.header.arrival_ns)]

    def tick(self, now_ns: int) -> list[StreamItem]:
        """Give up what is missing for too long; call at `deadline_ns`."""
        out: list[StreamItem] = []
        for index, encoding in list(self._encodings.items()):
            self._emit(index, encoding, encoding.assembler.tick(now_ns), out)
        return out

    def flush(self) -> list[StreamItem]:
        """Take out every frame that is whole: the track has ended."""
        out: list[StreamItem] = []
        for index, encoding in list(self._encodings.items()):
            self._emit(index, encoding, encoding.assembler.flush(), out)
        return out

    def discard(self) -> None:
        """Forget every byte of media that is held; what comes next starts anew."""
        self._encodings.clear()
        self._choice = EncodingChoice()
        self._needs_keyframe = self._kind == "video"

    def deadline_ns(self) -> int | None:
        """When to call `tick`; None while nothing is missing."""
        deadlines = [encoding.assembler.deadline_ns() for encoding in self._encodings.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def take_keyframe_wish(self) -> bool:
        """Whether a keyframe should be asked for; says so once for each need."""
        needs, self._needs_keyframe = self._needs_keyframe, False
        return needs

    @property
    def clock(self) -> TrackClock | None:
        """The clock of the encoding in use."""
        index = 0 if self._kind == "audio" else self._choice.selected
        encoding = None if index is None else self._encodings.get(index)
        return None if encoding is None else encoding.clock

    def _clock(self, ssrc: int) -> TrackClock:
        clock = self._clocks.get(ssrc)
        if clock is None:
            if len(self._clocks) >= 2 * ENCODINGS_MAX:
                self._clocks.pop(
                    next(iter(self._clocks))
                )  # the oldest: a publisher that changes its SSRC for ever
            hz = VIDEO_CLOCK_HZ if self._kind == "video" else opus.CLOCK_HZ
            clock = self._clocks[ssrc] = TrackClock(hz, self._participant)
        return clock

    def _receive_rtp(self, record: RtpRecord) -> list[StreamItem]:
        out: list[StreamItem] = []
        header = record.header
        index, arrival_ns = header.encoding_index, header.arrival_ns
        try:
            packet = parse_rtp(record.packet)
        except RtpError:
            self.counters.malformed += 1
            return out
        codec = header.codec_name
        if codec not in _FORMATS or (codec == "opus") != (self._kind == "audio") or index >= ENCODINGS_MAX:
            self.counters.unknown_codec += 1
            return out
        clock = self._clock(packet.ssrc)
        rtp_ts = clock.observe(packet.rtp_ts, arrival_ns)
        if self._kind == "video":
            if not self._choice.packet(index, arrival_ns):
                self._encodings.pop(index, None)
                return out
            self._needs_keyframe |= self._choice.wants_keyframe(arrival_ns)
        encoding = self._encoding(index, packet.ssrc, codec, clock, out)
        is_marked = packet.is_marked or self._kind == "audio"  # each audio packet is a frame
        results = encoding.assembler.push(
            packet.seq, rtp_ts, packet.payload, is_marked=is_marked, arrival_ns=arrival_ns
        )
        self._emit(index, encoding, results, out)
        return out

    def _encoding(
        self, index: int, ssrc: int, codec: CodecName, clock: TrackClock, out: list[StreamItem]
    ) -> _Encoding:
        encoding = self._encodings.get(index)
        if encoding is not None and (encoding.ssrc, encoding.codec) == (ssrc, codec):
            return encoding
        if encoding is not None:
            self._emit(index, encoding, encoding.assembler.flush(), out)
            self._needs_keyframe |= self._kind == "video"
        encoding = self._encodings[index] = _Encoding(ssrc, codec, clock, self._wait_ns)
        self.counters.assembler = encoding.assembler.counters
        return encoding

    def _emit(
        self, index: int, encoding: _Encoding, results: Iterable[WholeFrame | Gap], out: list[StreamItem]
    ) -> None:
        for result in results:
            if isinstance(result, Gap):
                if self._kind == "audio" or index == self._choice.selected:
                    self._needs_keyframe |= self._kind == "video"
                    out.append(MediaGap("lost", result.lost_packets, result.arrival_ns))
                continue
            try:
                frame = encoding.depayload(result.payloads)
            except PayloadError:
                self.counters.malformed += 1
                self._needs_keyframe |= self._kind == "video"
                out.append(MediaGap("malformed", len(result.payloads), result.arrival_ns))
                continue
            self._emit_frame(index, encoding, result, frame, out)

    def _emit_frame(
        self, index: int, encoding: _Encoding, whole: WholeFrame, frame: EncodedFrame, out: list[StreamItem]
    ) -> None:
        if self._kind == "video":
            previous = self._choice.selected
            if frame.is_keyframe:
                if not self._choice.keyframe(index, whole.arrival_ns):
                    return
                if previous is not None and previous != index:
                    out.append(LayerSwitched(previous, index, whole.arrival_ns))
            elif index != previous:
                return
        time_ns = encoding.clock.time_of(whole.rtp_ts)
        out.append(MediaFrame(encoding.codec, frame, time_ns, whole.arrival_ns, index, whole.rtp_ts))
