"""Tap records: what the media core writes to a consumer process, and the reader of it. PURE.

One SEQPACKET datagram holds whole records, little endian. A record is a 40-byte header and a body; `size`
counts both. The header is `u32 size | u8 kind | u8 flags | u16 encoding_index | u32 tap | u32 gate_slot |
u64 gate_version | u64 arrival_ns | u32 ssrc | u32 codec`. The reader has one documented error.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from media.frame import CodecName

DATAGRAM_MAX_BYTES: Final = 60_000
HEADER: Final = struct.Struct("<IBBHIIQQII")
HEADER_BYTES: Final = HEADER.size

FLAG_KEYFRAME_START: Final = 0x01
FLAG_REPAIRED: Final = 0x02
FLAG_CODEC_CHANGED: Final = 0x04

CODEC_NAMES: Final[tuple[CodecName | None, ...]] = (None, "opus", "red", "vp8", "vp9", "h264", "av1")
"""The core's codec numbers; payload types stay the core's own business."""

_SR_BODY: Final = struct.Struct("<QII")
_LOST_BODY: Final = struct.Struct("<Q")
_RTP_MIN_BYTES: Final = 12


class TapRecordKind(IntEnum):
    """What a record's body is."""

    RTP = 1
    SR = 2
    LOST = 3


class TapRecordError(ValueError):
    """The bytes are not whole tap records."""

    code = "tap_record_malformed"

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"tap record at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TapHeader:
    """What every record says about its origin."""

    tap: int
    encoding_index: int
    """Simulcast encoding of the track, 0 upward, in the order of the publisher's offer."""
    gate_slot: int
    gate_version: int
    """The consent that let this record through; checked again before each use."""
    arrival_ns: int
    """CLOCK_MONOTONIC of this machine."""
    ssrc: int
    flags: int = 0
    """FLAG_* bits."""
    codec: int = 0
    """Index into CODEC_NAMES, of an RTP record; 0 when the core does not say."""

    @property
    def codec_name(self) -> CodecName | None:
        """The codec's name; None for a number that this version does not know."""
        return CODEC_NAMES[self.codec] if self.codec < len(CODEC_NAMES) else None


@dataclass(frozen=True, slots=True)
class RtpRecord:
    """One RTP packet: decrypted, and decapsulated when RTX repaired it (original seq, pt, ssrc)."""

    header: TapHeader
    packet: bytes


@dataclass(frozen=True, slots=True)
class SrRecord:
    """The publisher's sender report: which wall clock an RTP timestamp was."""

    header: TapHeader
    ntp: int
    """NTP time, 32.32 fixed point, on the publisher's clock."""
    rtp_ts: int
    packet_count: int


@dataclass(frozen=True, slots=True)
class LostRecord:
    """The tap's socket was full: so many records were dropped since the last one."""

    header: TapHeader
    lost: int


TapRecord = RtpRecord | SrRecord | LostRecord


def read_records(datagram: bytes) -> Iterator[TapRecord]:
    """Read a datagram's records in order; a record of a kind unknown to this version is passed over.

    Raises: TapRecordError at the first record that does not fit; records before it have been yielded.
    """
    offset = 0
    end = len(datagram)
    while offset < end:
        if end - offset < HEADER_BYTES:
            raise TapRecordError(offset, f"{end - offset} bytes left, a header has {HEADER_BYTES}")
        size, kind, flags, encoding, tap, slot, version, arrival_ns, ssrc, codec = HEADER.unpack_from(
            datagram, offset
        )
        if not HEADER_BYTES <= size <= end - offset:
            raise TapRecordError(offset, f"size {size} of {end - offset} bytes left")
        body_at = offset + HEADER_BYTES
        body_bytes = size - HEADER_BYTES
        header = TapHeader(tap, encoding, slot, version, arrival_ns, ssrc, flags, codec)
        if kind == TapRecordKind.RTP:
            if body_bytes < _RTP_MIN_BYTES:
                raise TapRecordError(offset, f"an RTP packet of {body_bytes} bytes")
            yield RtpRecord(header, datagram[body_at : offset + size])
        elif kind == TapRecordKind.SR:
            if body_bytes != _SR_BODY.size:
                raise TapRecordError(offset, f"a sender report of {body_bytes} bytes")
            yield SrRecord(header, *_SR_BODY.unpack_from(datagram, body_at))
        elif kind == TapRecordKind.LOST:
            if body_bytes != _LOST_BODY.size:
                raise TapRecordError(offset, f"a loss count of {body_bytes} bytes")
            yield LostRecord(header, *_LOST_BODY.unpack_from(datagram, body_at))
        offset += size


def encode_record(record: TapRecord) -> bytes:
    """Write one record as the core does; for tests, bench and engines without a native core.

    Raises: TapRecordError when a field does not fit its place.
    """
    match record:
        case RtpRecord():
            kind, body = TapRecordKind.RTP, record.packet
        case SrRecord():
            kind, body = TapRecordKind.SR, _pack(_SR_BODY, record.ntp, record.rtp_ts, record.packet_count)
        case LostRecord():
            kind, body = TapRecordKind.LOST, _pack(_LOST_BODY, record.lost)
    size = HEADER_BYTES + len(body)
    if size > DATAGRAM_MAX_BYTES:
        raise TapRecordError(0, f"a record of {size} bytes")
    head = record.header
    origin = (head.flags, head.encoding_index, head.tap, head.gate_slot, head.gate_version)
    return _pack(HEADER, size, kind, *origin, head.arrival_ns, head.ssrc, head.codec) + body


def _pack(layout: struct.Struct, *fields: int) -> bytes:
    try:
        return layout.pack(*fields)
    except struct.error as error:
        raise TapRecordError(0, str(error)) from error
