"""What is on disk in the end: who agreed, as they were seen and heard, and nothing of anybody else."""

import numpy as np

from bench.studio.decoded import share_of_colour
from bench.studio.flash import av_offset_ms, beep_times, flash_times
from tests.main_job.cast import AGREED, REFUSED, UNSEEN, A, B, D
from tests.main_job.hearing import has_tone, lacks_tone
from tests.main_job.meeting import SAID_BY_A, SAID_BY_C
from tests.main_job.outage import PAUSE_MAX_S
from tests.main_job.recording import FinishedRecording
from tests.main_job.revocation import LIMIT_MS
from tests.main_job.stage import CONTROL
from tests.support.figures import tell

_OFFSET_MAX_MS = 60
_SECOND_MS = 1000
_SAMPLED_EACH_S = 0.25
"""On average, on a busy machine; the watch itself takes 0.1."""
_ENDS_WITHIN_MS = 2000


def files_hold_who_agreed(stage, revocation):
    """Decodes everything that was recorded."""
    recorded = FinishedRecording(stage.recording)
    assert recorded.names == {who.name for who in AGREED}
    text = stage.recording.text()
    assert SAID_BY_A in text
    assert SAID_BY_C not in text
    for who in REFUSED:
        assert who.name not in text, f"{who.name} is named in the recording"
    _holds_a(recorded)
    _holds_b_until(recorded, revocation)
    _holds_d(recorded)


def canaries_are_where_they_may_be(watch):
    """E's bytes were in no file, ever; the same watch saw D's bytes, and those of a deleted file."""
    pace_s = watch.watched_s / watch.samples
    tell(f"canary watch: a sample each {pace_s:.3f} s, longest pause {watch.longest_pause_s:.2f} s")
    assert pace_s < _SAMPLED_EACH_S
    found = watch.found
    assert found["D"], "the control: D's media was recorded and the watch sees it"
    assert found[CONTROL], "the control: the watch sees a file that was deleted while open"
    assert all(path.endswith("(deleted)") for path in found[CONTROL])
    assert not found["E"], f"E's media was in files: {found['E']}"


def _holds_a(recorded):
    pictures, sound = _decoded(recorded, A)
    at_ms = [ms for ms, _ in pictures]
    gap_ms = max(np.diff(at_ms))
    tell(f"A's files: {len(pictures)} pictures, longest gap {gap_ms:.0f} ms")
    assert gap_ms < PAUSE_MAX_S * 1000, "A's recording stood still"
    assert _share_like(pictures, A) > 0.95
    assert has_tone(_joined(sound), A)
    assert recorded.ended(A) == [""]


def _holds_b_until(recorded, revocation):
    """B's colour and tone up to the revocation, and nothing from later than it."""
    pictures, sound = _decoded(recorded, B)
    for what, pieces in (("picture", pictures), ("sound", sound)):
        after_ms = pieces[-1][0] - revocation.called_ms
        tell(f"B's files: last {what} is of {after_ms:.0f} ms after the click")
        assert -_ENDS_WITHIN_MS < after_ms < LIMIT_MS, f"B's last {what}"
    assert _share_like(pictures, B) > 0.95
    last_second = [(ms, piece) for ms, piece in sound if ms > sound[-1][0] - _SECOND_MS]
    assert has_tone(_joined(last_second), B)
    assert recorded.ended(B) == ["revoked"]


def _holds_d(recorded):
    _decoded(recorded, D)
    video, audio = (recorded.paths(D, kind)[0] for kind in ("video", "audio"))
    beeps = beep_times(audio)
    offset_ms = av_offset_ms(flash_times(video), beeps)
    tell(f"D's files: A/V offset {offset_ms:.1f} ms over {len(beeps)} beeps")
    assert abs(offset_ms) <= _OFFSET_MAX_MS


def _decoded(recorded, who):
    """Somebody's pictures and sounds with their times; nothing of those who refused is among them."""
    pictures, sound = list(recorded.pictures(who)), list(recorded.sounds(who))
    for other in REFUSED:
        assert max(share_of_colour(picture, other.colour) for _, picture in pictures) < UNSEEN
        assert lacks_tone(_joined(sound), other)
    return pictures, sound


def _share_like(pictures, who):
    """Which part of the pictures shows somebody."""
    return np.mean([share_of_colour(picture, who.colour) > 0.5 for _, picture in pictures])


def _joined(sound):
    return np.concatenate([piece for _, piece in sound])
