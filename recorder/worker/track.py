"""One tap to files: frames on the time line, a new part whenever the format changes."""

from collections.abc import Callable, Iterable
from typing import Final

from media.clock_map import ParticipantClock
from media.gates import Gate
from media.mux import MuxError, TrackFormat
from media.opus import CLOCK_HZ
from media.tap_record import TapRecord
from media.tap_stream import VIDEO_CLOCK_HZ, LayerSwitched, MediaFrame, MediaGap, StreamItem, TapStream
from recorder import names
from recorder.worker.disk import Disk
from recorder.worker.journal_writer import JournalWriter
from recorder.worker.messages import OpenTap
from recorder.worker.part import Part

_SECOND_NS: Final = 1_000_000_000
_MS_NS: Final = 1_000_000
PART_MIN_NS: Final = _SECOND_NS
"""A format that changes faster waits: otherwise a publisher could make thirty files a second."""
FREEZE_MAX_NS: Final = 2 * _SECOND_NS
"""How long video stands still after a loss, waiting for the keyframe that was asked for: frames whose
references are missing show garbage. A publisher that sends none is recorded all the same after that."""
KEYFRAME_EVERY_NS: Final = _SECOND_NS
"""How often a keyframe is asked for while nothing can be written without one."""
_GAP_EVERY_MS: Final = 1_000
_CLOCK_EVERY_MS: Final = 60_000
_NTP_TO_UNIX_MS: Final = 2_208_988_800_000


class TrackRecorder:
    """Records one tap. Belongs to one thread; nothing here checks the gate except by asking the disk to."""

    def __init__(
        self,
        tap: OpenTap,
        participant: ParticipantClock,
        disk: Disk,
        journal: JournalWriter,
        next_number: Callable[[str, str], int],
        origin_mono_ns: int,
    ) -> None:
        self.tap = tap
        self.gate = Gate(tap.slot, tap.version)
        self.lost_packets = 0
        self._stream = TapStream(tap.kind, participant)
        self._disk = disk
        self._journal = journal
        self._next_number = next_number
        self._origin_mono_ns = origin_mono_ns
        self._part: Part | None = None
        self._part_opened_ns = -PART_MIN_NS
        self._parameters = b""
        self._size = (0, 0)
        self._awaits_keyframe = tap.kind == "video"
        self._wished_ns = -KEYFRAME_EVERY_NS
        self._wishes = False
        self._frozen_until_ns: int | None = None
        self._gap: tuple[int, str] | None = None
        self._gap_at_ms = -_GAP_EVERY_MS
        self._clock_at_ms: int | None = None
        self._is_given_up = False
        self._is_paused = False

    def receive(self, record: TapRecord, now_ns: int) -> None:
        """Take one record of this tap."""
        self._take(self._stream.receive(record), now_ns)

    def tick(self, now_ns: int) -> None:
        """Do what time demands: gaps given up, the open fragment closed, pending gaps told."""
        deadline_ns = self._stream.deadline_ns()
        if deadline_ns is not None and now_ns >= deadline_ns:
            self._take(self._stream.tick(now_ns), now_ns)
        due_ns = self._part.due_ns() if self._part is not None else None
        if due_ns is not None and now_ns >= due_ns:
            self._flush(self._part)
        self._tell_gap()

    def deadline_ns(self) -> int | None:
        """When `tick` has something to do; None while nothing is pending."""
        due_ns = self._part.due_ns() if self._part is not None else None
        deadline_ns = self._stream.deadline_ns()
        return min((at for at in (due_ns, deadline_ns) if at is not None), default=None)

    def take_keyframe_wish(self, now_ns: int) -> bool:
        """Whether the publisher should be asked for a keyframe now."""
        self._wishes |= self._stream.take_keyframe_wish() or self._awaits_keyframe
        if (
            self._is_paused
            or not self._wishes
            or now_ns - self._wished_ns < KEYFRAME_EVERY_NS
            or self._is_given_up
        ):
            return False
        self._wishes = False
        self._wished_ns = now_ns
        return True

    def counters(self) -> dict[str, int]:
        """What could not be used, by reason."""
        stream = self._stream.counters
        assembled = stream.assembler
        return {
            "lost": self.lost_packets,
            "late": assembled.late,
            "duplicates": assembled.duplicates,
            "dropped_frames": assembled.dropped_frames,
            "malformed": stream.malformed,
            "unknown_codec": stream.unknown_codec,
        }

    def end(self, reason: str, now_ns: int) -> None:
        """The tap ended and its gate may still be open: hand what is whole to the disk."""
        self._take(self._stream.flush(), now_ns)
        if self._part is not None:
            self._flush(self._part)
            self._close_part(reason)
        self._tell_gap(is_last=True)

    def pause(self, reason: str) -> None:
        """Keep nothing from now on; the clock and the order of packets are followed all the same."""
        self._is_paused = True
        if self._part is not None:
            self._flush(self._part)
            self._close_part(reason)
        self._gap = None
        self._frozen_until_ns = None

    def resume(self) -> None:
        """Go on in a new part, at the next keyframe."""
        self._is_paused = False
        self._awaits_keyframe = self.tap.kind == "video"

    def cut(self, reason: str) -> None:
        """The gate closed: forget every byte."""
        self._stream.discard()
        self._gap = None
        if self._part is not None:
            self._part.discard()
            self._close_part(reason)

    def _take(self, items: Iterable[StreamItem], now_ns: int) -> None:
        for item in items if not self._is_paused else ():
            match item:
                case MediaFrame():
                    self._take_frame(item, now_ns)
                case MediaGap():
                    self._note_gap(item.packets, item.reason)
                    if self.tap.kind == "video" and self._frozen_until_ns is None:
                        self._frozen_until_ns = item.arrival_ns + FREEZE_MAX_NS
                case LayerSwitched():
                    self._journal.event(
                        "layer_switched",
                        gate=self.gate,
                        about=self.tap.person,
                        at_ms=self._journal.at_ms(item.arrival_ns),
                        track=self.tap.track,
                        encoding=item.encoding_index,
                        previous=item.previous,
                    )

    def _take_frame(self, item: MediaFrame, now_ns: int) -> None:
        if self._is_given_up:
            return
        if item.frame.is_keyframe:
            self._take_keyframe(item, now_ns)
        part = self._part
        if part is None or self._awaits_keyframe or self._is_frozen(item):
            return
        try:
            is_taken = part.add(item, max(0, item.time_ns - self._origin_mono_ns), now_ns)
        except MuxError as error:
            self._give_up(f"mux_error: {error}")
            return
        if not is_taken:
            self._disk_refused()
        self._tell_clock(item)

    def _is_frozen(self, item: MediaFrame) -> bool:
        if self._frozen_until_ns is None:
            return False
        if item.frame.is_keyframe or item.arrival_ns >= self._frozen_until_ns:
            self._frozen_until_ns = None
            return False
        return True

    def _take_keyframe(self, item: MediaFrame, now_ns: int) -> None:
        """Open a part when there is none, or the one there is does not fit any more."""
        frame = item.frame
        self._parameters = frame.parameters or (self._parameters if self._is_codec(item) else b"")
        self._size = (frame.width, frame.height) if frame.width else self._size
        track = TrackFormat(item.codec, *self._size, self._parameters)
        if self._part is not None and self._part.track == track:
            self._awaits_keyframe = False
            return
        if self._part is not None:
            self._flush(self._part)
            self._close_part("format_changed")
        if now_ns - self._part_opened_ns < PART_MIN_NS:
            self._awaits_keyframe = self.tap.kind == "video"
            return
        self._open_part(track, item, now_ns)

    def _is_codec(self, item: MediaFrame) -> bool:
        return self._part is None or self._part.track.codec == item.codec

    def _open_part(self, track: TrackFormat, item: MediaFrame, now_ns: int) -> None:
        number = self._next_number(self.tap.person, self.tap.source)
        if number > names.PARTS_MAX:
            self._give_up("too_many_parts")
            return
        try:
            self._part = Part(self._disk, self.tap.person, self.tap.source, number, track, self.gate)
        except MuxError:
            # A keyframe without the parameters that its container needs: the next one may bring them.
            self._awaits_keyframe = True
            return
        self._part_opened_ns = now_ns
        self._awaits_keyframe = False
        self._journal.event(
            "part_opened",
            gate=self.gate,
            at_ms=self._journal.at_ms(item.time_ns),
            file=self._part.name,
            person=self.tap.person,
            participant=self.tap.participant,
            track=self.tap.track,
            codec=track.codec,
            width=track.width,
            height=track.height,
            encoding=item.encoding_index,
        )

    def _flush(self, part: Part | None) -> None:
        if part is None:
            return
        try:
            if not part.flush():
                self._disk_refused()
        except MuxError as error:
            self._give_up(f"mux_error: {error}")

    def _disk_refused(self) -> None:
        """A fragment is gone: video goes on at its next keyframe."""
        self._note_gap(0, "disk_slow")
        if self.tap.kind == "video" and self._part is not None:
            self._part.discard()
            self._awaits_keyframe = True

    def _close_part(self, reason: str) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        part.close()
        self._awaits_keyframe = self.tap.kind == "video"
        self._journal.event(
            "part_closed", about=self.tap.person, file=part.name, frames=part.frames, reason=reason
        )

    def _give_up(self, reason: str) -> None:
        self._is_given_up = True
        self._close_part(reason)
        self._journal.event("track_given_up", about=self.tap.person, track=self.tap.track, reason=reason)

    def _note_gap(self, packets: int, reason: str) -> None:
        self.lost_packets += packets
        known = self._gap[0] if self._gap is not None else 0
        self._gap = (known + packets, reason)
        self._tell_gap()

    def _tell_gap(self, *, is_last: bool = False) -> None:
        """Gaps are summed up, a line a second at most."""
        at_ms = self._journal.at_ms()
        if self._gap is None or (at_ms - self._gap_at_ms < _GAP_EVERY_MS and not is_last):
            return
        packets, reason = self._gap
        self._gap = None
        self._gap_at_ms = at_ms
        self._journal.event(
            "gap",
            gate=self.gate,
            about=self.tap.person,
            track=self.tap.track,
            packets=packets,
            reason=reason,
        )

    def _tell_clock(self, item: MediaFrame) -> None:
        """Note which instant of the publisher's wall clock a place on the time line is.

        At the first sender report, then once a minute.
        """
        clock = self._stream.clock
        mapping = clock.report_mapping if clock is not None else None
        at_ms = self._journal.at_ms(item.time_ns)
        if clock is None or mapping is None:
            return
        if self._clock_at_ms is not None and at_ms - self._clock_at_ms < _CLOCK_EVERY_MS:
            return
        self._clock_at_ms = at_ms
        ntp_ns, report_rtp_ns = mapping
        clock_hz = VIDEO_CLOCK_HZ if self.tap.kind == "video" else CLOCK_HZ
        since_report_ns = item.rtp_ts * _SECOND_NS // clock_hz - report_rtp_ns
        self._journal.event(
            "clock",
            gate=self.gate,
            about=self.tap.person,
            at_ms=at_ms,
            track=self.tap.track,
            publisher_unix_ms=(ntp_ns + since_report_ns) // _MS_NS - _NTP_TO_UNIX_MS,
            rtp_ts=item.rtp_ts & 0xFFFFFFFF,
            correction_ms=clock.correction_ns // _MS_NS,
        )
