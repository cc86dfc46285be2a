"""Encoded media as the records of a tap, with exact RTP and sender report times."""

from media.clock_map import SECOND_NS, ns_to_ntp
from media.tap_record import (
    CODEC_NAMES,
    FLAG_KEYFRAME_START,
    LostRecord,
    RtpRecord,
    SrRecord,
    TapHeader,
)
from tests.media import packetise

NTP_EPOCH_NS = 3_900_000_000 * SECOND_NS


class TapWriter:
    """Writes one track's records; `start_ns` is the CLOCK_MONOTONIC instant of media time 0."""

    def __init__(
        self, tap, codec, *, slot=1, version=1, ssrc=0x1000, encoding_index=0,
        start_ns=10**12, first_ts=0, seq=0, delay_ns=0,
    ):  # fmt: skip
        self.tap, self.codec, self.slot, self.version = tap, codec, slot, version
        self.ssrc, self.encoding_index = ssrc, encoding_index
        self.hz = 48_000 if codec in {"opus", "red"} else 90_000
        self.start_ns, self.first_ts, self.seq, self.delay_ns = start_ns, first_ts, seq, delay_ns

    def header(self, at_ns, *, flags=0, codec=0):
        return TapHeader(
            tap=self.tap,
            encoding_index=self.encoding_index,
            gate_slot=self.slot,
            gate_version=self.version,
            arrival_ns=self.start_ns + at_ns + self.delay_ns,
            ssrc=self.ssrc,
            flags=flags,
            codec=codec,
        )

    def rtp_ts(self, at_ns):
        return self.first_ts + at_ns * self.hz // SECOND_NS

    def packet(self, payload, at_ns, *, marker=False, flags=0):
        packet = packetise.rtp(
            payload, seq=self.seq, rtp_ts=self.rtp_ts(at_ns), ssrc=self.ssrc, marker=marker
        )
        self.seq += 1
        return RtpRecord(self.header(at_ns, flags=flags, codec=CODEC_NAMES.index(self.codec)), packet)

    def video(self, frame, at_ns):
        """The records of one encoded video frame."""
        payloads = packetise.video_payloads(
            self.codec, frame.data, is_keyframe=frame.is_keyframe, index=frame.index
        )
        last = len(payloads) - 1
        return [
            self.packet(
                payload,
                at_ns,
                marker=index == last,
                flags=FLAG_KEYFRAME_START if frame.is_keyframe and index == 0 else 0,
            )
            for index, payload in enumerate(payloads)
        ]

    def audio(self, frame, at_ns):
        """The record of one Opus packet."""
        return [self.packet(frame.data, at_ns)]

    def report(self, at_ns):
        """A sender report whose wall clock is exact: media time 0 is the NTP epoch used here."""
        return SrRecord(self.header(at_ns), ns_to_ntp(NTP_EPOCH_NS + at_ns), self.rtp_ts(at_ns) % 2**32, 0)

    def lost(self, count, at_ns):
        return LostRecord(self.header(at_ns), count)
