"""One recording in its worker process: taps and messages in, files out, until told to stop."""

import itertools
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, assert_never

import msgspec

from media.clock_map import ParticipantClock
from media.control import BlockingControl, ControlError
from media.gates import Gate, GatePage
from media.tap_record import DATAGRAM_MAX_BYTES, TapRecord, TapRecordError, read_records
from recorder import names
from recorder.data_keys import DataKeys
from recorder.worker.disk import Disk, PlainFile
from recorder.worker.journal_writer import JournalWriter
from recorder.worker.messages import (
    ChatLine,
    CloseTap,
    CutDone,
    CutPerson,
    DeleteChat,
    Failed,
    Flushed,
    KeyframeWanted,
    MuteTap,
    OpenTap,
    Pause,
    Person,
    Progress,
    Ready,
    RecordConfig,
    Stop,
    ToWorker,
)
from recorder.worker.sealing import sealed_files
from recorder.worker.track import TrackRecorder

TICK_S: Final = 0.1
CUT_PATIENCE_S: Final = 0.12
"""A cut is to be acknowledged within 150 ms; a write that takes longer leaves it unacknowledged."""
CLOSE_PATIENCE_S: Final = 8.0
RESERVE_BYTES: Final = 256 << 10
"""Kept aside for the last events when the disk is full."""
EARLY_MAX_RECORDS: Final = 2_048
"""Records that may wait for the `OpenTap` that comes on the other channel."""
TAPS_MAX: Final = 1_024
_DATAGRAMS_A_TURN: Final = 64
_PROGRESS_NS: Final = 1_000_000_000
_EARLY_NS: Final = 2_000_000_000


class Session:
    """Runs on one thread; `run` returns when the recording is over."""

    def __init__(
        self, config: RecordConfig, control: BlockingControl, sink: socket.socket, gates: GatePage
    ) -> None:
        """Raises: OSError when the folder cannot be written."""
        self._config = config
        self._control = control
        self._sink = sink
        self._gates = gates
        self._folder = Path(config.folder)
        self._numbers = _last_numbers(self._folder)
        self._reserve()
        open_file = sealed_files(DataKeys(config.keys)) if config.keys is not None else PlainFile
        self._disk = Disk(self._folder, gates, queue_max_bytes=config.queue_max_bytes, open_file=open_file)
        self._journal = JournalWriter(self._disk, config.origin_mono_ns, config.origin_unix_ms)
        self._tracks: dict[int, TrackRecorder] = {}
        self._early: deque[tuple[int, TapRecord]] = deque(maxlen=EARLY_MAX_RECORDS)
        self._closed_taps: deque[int] = deque(maxlen=TAPS_MAX)
        self._clocks: dict[str, ParticipantClock] = {}
        self._people: dict[str, Person] = {}
        self._introduced: dict[str, str] = {}
        self._stopping: str | None = None
        self._is_paused = False
        self._dropped = 0
        self._lost = 0
        self._progress_ns = 0
        self._decoder = msgspec.msgpack.Decoder(ToWorker)

    def run(self) -> bool:
        """Record until told to stop, or the server goes away, or the disk fails; whether all was written."""
        config = self._config
        self._journal.event(
            "worker_started",
            recording=config.recording,
            room=config.room,
            terms_version=config.terms_version,
            origin_unix_ms=config.origin_unix_ms,
        )
        self._send(Ready())
        with selectors.DefaultSelector() as selector:
            self._sink.setblocking(False)
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._sink, selectors.EVENT_READ)
            while self._stopping is None and self._disk.failure is None:
                ready = {key.fileobj for key, _ in selector.select(self._timeout_s())}
                # Messages first: a cut does not wait behind media.
                if self._control in ready or self._control.has_frame:
                    self._read_control()
                if self._sink in ready and not self._read_sink():
                    selector.unregister(self._sink)
                self._tick(time.monotonic_ns())
        return self._finish()

    def _timeout_s(self) -> float:
        if self._control.has_frame:
            return 0
        deadlines = [track.deadline_ns() for track in self._tracks.values()]
        first_ns = min((deadline for deadline in deadlines if deadline is not None), default=None)
        if first_ns is None:
            return TICK_S
        return max(0.0, min(TICK_S, (first_ns - time.monotonic_ns()) / 1e9))

    # The sink

    def _read_sink(self) -> bool:
        """Read what has come, up to a bound; False at its end."""
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                datagram = self._sink.recv(DATAGRAM_MAX_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not datagram:
                return False
            now_ns = time.monotonic_ns()
            try:
                for record in read_records(datagram):
                    self._take_record(record, now_ns)
            except TapRecordError:
                self._dropped += 1  # the core never writes such a thing; the rest of the datagram is lost
        return True

    def _take_record(self, record: TapRecord, now_ns: int) -> None:
        header = record.header
        if not self._gates.is_open(header.gate_slot, header.gate_version):
            self._dropped += 1
            return
        track = self._tracks.get(header.tap)
        if track is None:
            if header.tap not in self._closed_taps:
                self._early.append((now_ns, record))
            return
        if (track.gate.slot, track.gate.version) != (header.gate_slot, header.gate_version):
            self._dropped += 1
            return
        track.receive(record, now_ns)

    def _tick(self, now_ns: int) -> None:
        for track in self._tracks.values():
            if self._gates.is_open(track.gate.slot, track.gate.version):
                track.tick(now_ns)
            else:
                track.cut("gate_closed")  # the message comes, but the page is what counts
                continue
            if track.take_keyframe_wish(now_ns):
                self._send(KeyframeWanted(track.tap.tap))
        while self._early and now_ns - self._early[0][0] > _EARLY_NS:
            self._early.popleft()
        if now_ns - self._progress_ns >= _PROGRESS_NS:
            self._progress_ns = now_ns
            lost = self._lost + sum(track.lost_packets for track in self._tracks.values())
            dropped = self._dropped + self._disk.dropped_by_gate
            self._send(Progress(self._disk.size_bytes, dropped, lost, self._disk.waiting_bytes))

    # Messages

    def _read_control(self) -> None:
        while True:
            try:
                message = self._control.receive(self._decoder)
            except ControlError:
                message = None
            if message is None:
                self._stopping = "server_gone"
                return
            self._take_message(message)
            if self._stopping is not None or not self._control.has_frame:
                return

    def _take_message(self, message: ToWorker) -> None:
        match message:
            case Person():
                self._take_person(message)
            case OpenTap():
                self._open(message)
            case CloseTap():
                self._close(message.tap, message.reason)
            case MuteTap():
                track = self._tracks.get(message.tap)
                if track is not None:
                    self._journal.event(
                        "muted" if message.is_muted else "unmuted",
                        gate=track.gate,
                        about=track.tap.person,
                        track=track.tap.track,
                    )
            case Pause():
                self._pause(is_paused=message.is_paused)
            case ChatLine():
                self._chat(message)
            case DeleteChat():
                self._journal.delete_chat(message.id)
            case CutPerson():
                self._cut(message)
            case Stop():
                self._stopping = message.reason
            case _:
                assert_never(message)

    def _take_person(self, message: Person) -> None:
        """Names wait in memory for a gate of that person: without one nothing of them is written."""
        if message.is_present and message.name is not None:
            self._people[message.participant] = message
            return
        known = self._people.pop(message.participant, None)
        if known is not None and not message.is_present and known.person in self._introduced:
            self._journal.event("person_left", person=known.person, participant=known.participant)

    def _introduce(self, person: str, gate: Gate) -> None:
        known = next((known for known in self._people.values() if known.person == person), None)
        if known is None or self._introduced.get(person) == known.participant:
            return
        self._introduced[person] = known.participant
        self._journal.event(
            "person_joined", gate=gate, person=person, participant=known.participant, name=known.name
        )

    def _open(self, tap: OpenTap) -> None:
        is_named = names.is_person(tap.person) and tap.source in names.SOURCES
        if not is_named or len(self._tracks) >= TAPS_MAX or tap.tap in self._tracks:
            return
        clock = self._clocks.setdefault(tap.participant, ParticipantClock())
        track = TrackRecorder(
            tap, clock, self._disk, self._journal, self._next_number, self._config.origin_mono_ns
        )
        if self._is_paused:
            track.pause("paused")
        self._tracks[tap.tap] = track
        self._introduce(tap.person, track.gate)
        self._journal.event(
            "tap_opened",
            gate=track.gate,
            person=tap.person,
            participant=tap.participant,
            track=tap.track,
            kind=tap.kind,
            source=tap.source,
            terms_version=tap.terms_version,
        )
        early, self._early = self._early, deque(maxlen=EARLY_MAX_RECORDS)
        for at_ns, record in early:
            if record.header.tap == tap.tap:
                self._take_record(record, at_ns)
            else:
                self._early.append((at_ns, record))

    def _close(self, tap: int, reason: str) -> None:
        track = self._tracks.pop(tap, None)
        self._closed_taps.append(tap)
        if track is None:
            return
        if self._gates.is_open(track.gate.slot, track.gate.version):
            track.end(reason, time.monotonic_ns())
        else:
            track.cut(reason)
        self._forget(track, reason)

    def _forget(self, track: TrackRecorder, reason: str) -> None:
        self._lost += track.lost_packets
        self._journal.event(
            "tap_closed",
            track=track.tap.track,
            person=track.tap.person,
            reason=reason,
            counters=track.counters(),
        )
        if all(other.tap.participant != track.tap.participant for other in self._tracks.values()):
            self._clocks.pop(track.tap.participant, None)

    def _pause(self, *, is_paused: bool) -> None:
        if is_paused == self._is_paused:
            return
        self._is_paused = is_paused
        for track in self._tracks.values():
            if is_paused:
                track.pause("paused")
            else:
                track.resume()
        self._journal.event("paused" if is_paused else "resumed")

    def _chat(self, line: ChatLine) -> None:
        gate = Gate(line.slot, line.version)
        if self._is_paused:
            return
        if not names.is_person(line.person) or not self._gates.is_open(gate.slot, gate.version):
            return
        self._introduce(line.person, gate)
        self._journal.chat(
            gate, line_id=line.id, person=line.person, name=line.name, text=line.text, unix_ms=line.unix_ms
        )

    def _cut(self, cut: CutPerson) -> None:
        """Discard, then acknowledge; without certainty stay silent, and be killed for it."""

        def is_cut(slot: int, version: int) -> bool:
            return any(slot == cut_slot and version <= closed for cut_slot, closed in cut.gates)

        for tap, track in list(self._tracks.items()):
            if is_cut(track.gate.slot, track.gate.version):
                del self._tracks[tap]
                self._closed_taps.append(tap)
                track.cut(cut.reason)
                self._forget(track, cut.reason)
        early = (
            item for item in self._early if not is_cut(item[1].header.gate_slot, item[1].header.gate_version)
        )
        self._early = deque(early, maxlen=EARLY_MAX_RECORDS)
        for participant, known in list(self._people.items()):
            if known.person == cut.person:
                del self._people[participant]
        self._introduced.pop(cut.person, None)
        if self._disk.discard(cut.gates, CUT_PATIENCE_S):
            self._send(CutDone(cut.cut_id))
        self._journal.event("cut", person=cut.person, reason=cut.reason)

    def _send(self, message: msgspec.Struct) -> None:
        try:
            self._control.send(message)
        except ControlError:
            self._stopping = self._stopping or "server_gone"

    # The end

    def _finish(self) -> bool:
        failure = self._disk.failure
        (self._folder / names.RESERVE).unlink(missing_ok=True)
        if failure is None:
            self._end_tracks(self._tracks.values(), self._stopping or "stopped")
        else:
            for track in self._tracks.values():
                track.cut(failure.reason)
        reason = failure.reason if failure is not None else self._stopping
        self._journal.event(
            "recording_ended", reason=reason, dropped_by_gate=self._dropped + self._disk.dropped_by_gate
        )
        is_closed = self._disk.close(CLOSE_PATIENCE_S)
        failure = self._disk.failure
        if failure is not None:
            self._send(Failed(failure.reason, failure.detail))
        elif is_closed:
            self._send(Flushed(self._disk.size_bytes))
        return is_closed and failure is None

    def _end_tracks(self, tracks: Iterable[TrackRecorder], reason: str) -> None:
        self._read_sink()
        for track in tracks:
            if self._gates.is_open(track.gate.slot, track.gate.version):
                track.end(reason, time.monotonic_ns())
            else:
                track.cut(reason)
            self._forget(track, reason)

    def _reserve(self) -> None:
        """Keep some space for the last lines. Raises: OSError."""
        (self._folder / names.RESERVE).write_bytes(bytes(RESERVE_BYTES))

    def _next_number(self, person: str, source: str) -> int:
        counter = self._numbers.setdefault((person, source), itertools.count(1))
        return next(counter)


def _last_numbers(folder: Path) -> dict[tuple[str, str], "itertools.count[int]"]:
    """Go on behind the parts that a worker before this one wrote."""
    last: dict[tuple[str, str], int] = {}
    for path in folder.iterdir():
        part = names.PartName.parse(path.name)
        if part is not None:
            key = (part.person, part.source)
            last[key] = max(last.get(key, 0), part.number)
    return {key: itertools.count(number + 1) for key, number in last.items()}
