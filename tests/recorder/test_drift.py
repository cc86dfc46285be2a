"""An hour of a sound device whose clock is off, with jitter and loss: sound stays with its picture.

The records go through the recorder's clocks into real parts, and are judged as a film takes them from there.
Without sender reports' correction 50 ppm are 180 ms at the end of the hour.
"""

import itertools
import random
from dataclasses import dataclass

import numpy as np
import pytest

from bench.quantiles import quantile
from bench.studio.flash import av_offsets_ms
from media.clock_map import SECOND_NS, ParticipantClock
from media.gates import GatePage
from media.mixer import SAMPLE_RATE
from media.parts import VideoSource, sounds
from recorder.worker.disk import Disk
from recorder.worker.journal_writer import JournalWriter
from recorder.worker.messages import OpenTap
from recorder.worker.track import TrackRecorder
from tests.media import encoded
from tests.media.tapped import TapWriter
from tests.support.figures import tell

pytestmark = pytest.mark.slow

MS = 1_000_000
HOUR_S = 3_600
PER_S = 5
"""Pictures and packets of sound: the first of a second is the flash, or the beep."""
REPORT_EACH = 5 * PER_S
LOSS = 0.02
DELAY_MS = {"video": 80, "audio": 20}
JITTER_MS = 60
PROMISE_MS = 40
LOOKS_EACH_MS = 10
AUDIBLE = 0.05
ORIGIN_NS = 1_000 * SECOND_NS


class Drifting(TapWriter):
    """A device whose clock is fast by so many parts per million, as its reports tell truly."""

    def __init__(self, *args, ppm, **options):
        super().__init__(*args, **options)
        self.ppm = ppm

    def rtp_ts(self, at_ns):
        return super().rtp_ts(at_ns + at_ns * self.ppm // 1_000_000)


class Sender:
    """One track of the publisher and the recorder at its other end; `shown`: what is sent when on and off."""

    def __init__(self, kind, codec, shown, recorder, rng, *, ppm, first_ts):
        self.shown, self.recorder = shown, recorder
        tap = recorder.tap.tap
        self.writer = Drifting(tap, codec, ppm=ppm, ssrc=0x1000 + tap, start_ns=ORIGIN_NS, first_ts=first_ts)
        self._kind, self._rng = kind, rng

    def records(self, number):
        """What is sent as that number, each with a way of its own through the network."""
        at_ns = number * SECOND_NS // PER_S
        if number % REPORT_EACH == 0:
            self._delay()
            yield self.writer.report(at_ns)
        self._delay()
        write = self.writer.video if self._kind == "video" else self.writer.audio
        yield from write(self.shown[number % PER_S != 0], at_ns)

    def arrive(self, record):
        """Unless it is lost."""
        now_ns = record.header.arrival_ns
        self.recorder.tick(now_ns)
        if self._rng.random() >= LOSS:
            self.recorder.receive(record, now_ns)

    def _delay(self):
        self.writer.delay_ns = int((DELAY_MS[self._kind] + self._rng.uniform(0, JITTER_MS)) * MS)


def publish(folder, ppm):
    """An hour of flashes and beeps, recorded."""
    rng = random.Random(ppm)
    page = GatePage.create(4)
    page.store_open(1, 1)
    disk = Disk(folder, page, queue_max_bytes=64 << 20)
    journal, clock = JournalWriter(disk, ORIGIN_NS, 0), ParticipantClock()
    flash, dark = (encoded.video("vp8", (luma,), width=64, height=64)[0] for luma in (235, 16))
    # The first packet of an encoder, which builds on none before it.
    beep, quiet = (encoded.opus((level,))[0] for level in (0.9, 0.0))
    sent = {"video": ("camera", "vp8", (flash, dark), 0), "audio": ("mic", "opus", (beep, quiet), ppm)}
    senders = []
    for tap, (kind, (source, codec, shown, off_by)) in enumerate(sent.items(), 1):
        opened = OpenTap(tap, "u_ada", "p_ada", tap, kind, source, 1, 1, "1")
        numbers = itertools.count(1)
        recorder = TrackRecorder(
            opened, clock, disk, journal, lambda *_, numbers=numbers: next(numbers), ORIGIN_NS
        )
        senders.append(Sender(kind, codec, shown, recorder, rng, ppm=off_by, first_ts=2**32 - 90_000 * tap))
    try:
        for number in range(HOUR_S * PER_S):
            due = [
                (record.header.arrival_ns, sender, record)
                for sender in senders
                for record in sender.records(number)
            ]
            for _, sender, record in sorted(due, key=lambda one: one[0]):
                sender.arrive(record)
        for sender in senders:
            sender.recorder.end("stopped", ORIGIN_NS + (HOUR_S + 1) * SECOND_NS)
    finally:
        assert disk.close(20)
        page.close()


@dataclass(frozen=True)
class Whole:
    """A part that covers the hour."""

    name: str
    start_ms: int = 0
    end_ms: int = HOUR_S * 1000


def flash_times(opened):
    """Seconds at which the picture that a film takes turns white."""
    source, times, last, was_white = VideoSource([Whole("u_ada-camera-001.webm")], [], opened), [], None, True
    for at_ms in range(0, HOUR_S * 1000, LOOKS_EACH_MS):
        picture = source.picture(at_ms)
        if picture is None or picture is last:
            continue
        last, is_white = picture, picture.to_ndarray(format="gray").mean() > 130
        if is_white and not was_white:
            times.append(at_ms / 1000)
        was_white = is_white
    source.close()
    return times


def beep_times(opened):
    """Seconds at which the sound that a film takes sets in."""
    times = []
    for start, samples in sounds(Whole("u_ada-mic-001.webm"), opened):
        loud = np.flatnonzero(np.abs(samples).max(axis=1) > AUDIBLE)
        if len(loud) and (not times or start / SAMPLE_RATE - times[-1] > 0.5):
            times.append((start + int(loud[0])) / SAMPLE_RATE)
    return times


@pytest.mark.wide
@pytest.mark.parametrize("ppm", [200, 50])
def test_after_an_hour_of_drift_sound_is_with_its_picture(tmp_path, ppm):
    publish(tmp_path, ppm)
    assert len(list(tmp_path.glob("*.webm"))) == 2

    def opened(name):
        return (tmp_path / name).open("rb")

    offsets = av_offsets_ms(flash_times(opened), beep_times(opened))
    p99 = quantile([abs(offset) for offset in offsets], 0.99)
    tell(f"an hour at {ppm} ppm: {len(offsets)} flashes, p99 {p99:.1f} ms apart, promised {PROMISE_MS} ms")
    assert len(offsets) > 0.9 * HOUR_S
    assert p99 <= PROMISE_MS
    assert max(abs(offset) for offset in offsets[-60:]) <= PROMISE_MS + LOOKS_EACH_MS
