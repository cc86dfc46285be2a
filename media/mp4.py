"""Fragmented MP4 files of one video track: header, fragments, and how far a torn file is whole. PURE.

Source: ISO/IEC 14496-12 (boxes), 14496-15 section 5 (avcC), AV1 in ISOBMFF section 2 (av1C).
"""

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

from media import av1, h264
from media.clock_map import SECOND_NS
from media.frame import PayloadError
from media.mux import MuxError, Sample, TrackFormat

TIMESCALE: Final = 90_000
_MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_FLAGS_KEYFRAME: Final = 0x02000000
_FLAGS_DELTA: Final = 0x01010000
_OUT_OF_BAND: Final = frozenset({h264.NAL_SPS, h264.NAL_PPS, h264.NAL_AUD})
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 144})


class Mp4Muxer:
    """Writes one H.264 or AV1 track; one fragment is a `moof` and its `mdat`."""

    extension = "mp4"

    def __init__(self, track: TrackFormat) -> None:
        """Raises: MuxError when the codec or its parameters do not fit."""
        self._track = track
        self._sequence = 0
        try:
            self._sample_entry = _sample_entry(track)
        except PayloadError as error:
            raise MuxError(f"parameters that cannot be written: {error}") from error

    def header(self) -> bytes:
        """File type and a movie box without samples."""
        brands = b"iso5iso6mp41" + (b"avc1" if self._track.codec == "h264" else b"av01")
        return _box(b"ftyp", b"iso5", struct.pack(">I", 512), brands) + self._movie()

    def _movie(self) -> bytes:
        track = self._track
        mvhd = _full(
            b"mvhd", 0, 0, struct.pack(">4I", 0, 0, 1000, 0), struct.pack(">IH10x", 0x10000, 0x100),
            _MATRIX, bytes(24), struct.pack(">I", 2),
        )  # fmt: skip
        tkhd = _full(
            b"tkhd", 0, 3, struct.pack(">5I", 0, 0, 1, 0, 0), bytes(16),
            _MATRIX, struct.pack(">2I", track.width << 16, track.height << 16),
        )  # fmt: skip
        mdhd = _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, TIMESCALE, 0, 0x55C4, 0))
        hdlr = _full(b"hdlr", 0, 0, bytes(4), b"vide", bytes(12), b"parley\0")
        dinf = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
        stbl = _box(
            b"stbl", _full(b"stsd", 0, 0, struct.pack(">I", 1), self._sample_entry),
            _full(b"stts", 0, 0, bytes(4)), _full(b"stsc", 0, 0, bytes(4)),
            _full(b"stsz", 0, 0, bytes(8)), _full(b"stco", 0, 0, bytes(4)),
        )  # fmt: skip
        minf = _box(b"minf", _full(b"vmhd", 0, 1, bytes(8)), dinf, stbl)
        trak = _box(b"trak", tkhd, _box(b"mdia", mdhd, hdlr, minf))
        mvex = _box(b"mvex", _full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0)))
        return _box(b"moov", mvhd, trak, mvex)

    def fragment(self, samples: Sequence[Sample], end_ns: int) -> bytes:
        """One movie fragment. Raises: MuxError when it is empty or its times do not grow."""
        if not samples:
            raise MuxError("a fragment without samples")
        starts = [_to_ticks(sample.time_ns) for sample in samples]
        ends = [*starts[1:], max(_to_ticks(end_ns), starts[-1] + 1)]
        run: list[bytes] = []
        data: list[bytes] = []
        for sample, start, end in zip(samples, starts, ends, strict=True):
            content = self._content(sample.data)
            if not 0 <= end - start < 1 << 32 or start < 0:
                raise MuxError("sample times that do not grow")
            flags = _FLAGS_KEYFRAME if sample.is_keyframe else _FLAGS_DELTA
            run.append(struct.pack(">3I", end - start, len(content), flags))
            data.append(content)
        self._sequence += 1
        mfhd = _full(b"mfhd", 0, 0, struct.pack(">I", self._sequence))
        tfhd = _full(b"tfhd", 0, 0x020000, struct.pack(">I", 1))
        tfdt = _full(b"tfdt", 1, 0, struct.pack(">Q", starts[0]))
        run_bytes = 12 + 8 + 12 * len(run)
        moof_bytes = 8 + len(mfhd) + 8 + len(tfhd) + len(tfdt) + run_bytes
        trun = _full(b"trun", 0, 0x000701, struct.pack(">II", len(run), moof_bytes + 8), *run)
        return _box(b"moof", mfhd, _box(b"traf", tfhd, tfdt, trun)) + _box(b"mdat", *data)

    def _content(self, data: bytes) -> bytes:
        if self._track.codec == "av1":
            return data
        units = [unit for unit in h264.split_annex_b(data) if unit[0] & 0x1F not in _OUT_OF_BAND]
        return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def whole_end(file: BinaryIO) -> int:
    """Where the last whole fragment of a file of `Mp4Muxer` ends; 0 when its header is not whole.

    Reads box headers only.
    """
    file.seek(0, 2)
    size = file.tell()
    at = end = 0
    for expected in (b"ftyp", b"moov"):
        box = _read_box(file, at, size)
        if box is None or box[0] != expected:
            return 0
        at = end = box[1]
    while (fragment := _read_box(file, at, size)) is not None and fragment[0] == b"moof":
        content = _read_box(file, fragment[1], size)
        if content is None or content[0] != b"mdat":
            break
        at = end = content[1]
    return end


def _read_box(file: BinaryIO, at: int, size: int) -> tuple[bytes, int] | None:
    """A box's type and end; None when it is torn."""
    file.seek(at)
    head = file.read(8)
    if len(head) < 8:
        return None
    length = int.from_bytes(head[:4], "big")
    if length < 8 or at + length > size:
        return None
    return head[4:], at + length


def _to_ticks(time_ns: int) -> int:
    return (time_ns * TIMESCALE + SECOND_NS // 2) // SECOND_NS


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


def _sample_entry(track: TrackFormat) -> bytes:
    if not (0 < track.width < 1 << 16 and 0 < track.height < 1 << 16):
        raise MuxError(f"a picture of {track.width} x {track.height}")
    if track.codec == "h264":
        kind, configuration = b"avc1", _box(b"avcC", _avc_configuration(track.parameters))
    elif track.codec == "av1":
        kind, configuration = b"av01", _box(b"av1C", _av1_configuration(track.parameters))
    else:
        raise MuxError(f"{track.codec} in MP4")
    visual = struct.pack(
        ">6xH16xHHIIIH32xHh", 1, track.width, track.height, 0x480000, 0x480000, 0, 1, 0x18, -1
    )
    return _box(kind, visual, configuration)


def _avc_configuration(parameters: bytes) -> bytes:
    """Source: ISO/IEC 14496-15 section 5.3.3.1. Raises: PayloadError, MuxError."""
    units = h264.split_annex_b(parameters)
    sps = [unit for unit in units if unit[0] & 0x1F == h264.NAL_SPS]
    pps = [unit for unit in units if unit[0] & 0x1F == h264.NAL_PPS]
    if not sps or not pps or len(sps) > 31 or len(pps) > 255 or len(sps[0]) < 4:
        raise MuxError(f"{len(sps)} sequence and {len(pps)} picture parameter sets")
    if any(len(unit) > 0xFFFF for unit in units):
        raise MuxError("a parameter set of more than 65535 bytes")
    known = h264.parse_sps(sps[0])
    out = b"\x01" + sps[0][1:4] + bytes([0xFF, 0xE0 | len(sps)])
    out += b"".join(len(unit).to_bytes(2, "big") + unit for unit in sps)
    out += bytes([len(pps)]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in pps)
    if known.profile_idc in _HIGH_PROFILES:
        # Eight bits per sample: browsers send no other, and decoders read the SPS itself.
        out += bytes([0xFC | known.chroma_format_idc, 0xF8, 0xF8, 0])
    return out


def _av1_configuration(parameters: bytes) -> bytes:
    """Source: AV1 Codec ISO Media File Format Binding section 2.3. Raises: PayloadError."""
    known = av1.parse_sequence_header(av1.sequence_content(parameters))
    depth = known.is_high_bitdepth << 6 | known.is_twelve_bit << 5 | known.is_monochrome << 4
    chroma = known.subsampling_x << 3 | known.subsampling_y << 2 | known.chroma_sample_position
    return bytes([0x81, known.profile << 5 | known.level, known.tier << 7 | depth | chroma, 0]) + parameters
