"""WebM (Matroska) files of one track: header, clusters, and how far a torn file is whole. PURE.

Source: RFC 9559 (Matroska), RFC 8794 (EBML), the WebM container guidelines, RFC 7845 section 5.1 (OpusHead).
"""

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

from media.frame import CodecName
from media.mux import MuxError, Sample, TrackFormat

_EBML: Final = 0x1A45DFA3
_SEGMENT: Final = 0x18538067
_INFO: Final = 0x1549A966
_TRACKS: Final = 0x1654AE6B
_CLUSTER: Final = 0x1F43B675
_VOID: Final = 0xEC
_TOP_LEVEL: Final = frozenset({_INFO, _TRACKS, _CLUSTER, _VOID})
_UNKNOWN_SIZE: Final = b"\x01\xff\xff\xff\xff\xff\xff\xff"
_MILLISECOND_NS: Final = 1_000_000
_BLOCK_MAX_MS: Final = 32_767
_CODEC_IDS: Final[dict[CodecName, str]] = {"vp8": "V_VP8", "vp9": "V_VP9", "opus": "A_OPUS"}
_OPUS_SEEK_PREROLL_NS: Final = 80_000_000


class MatroskaMuxer:
    """Writes one VP8, VP9 or Opus track; one fragment is one cluster of known size."""

    extension = "webm"

    def __init__(self, track: TrackFormat) -> None:
        if track.codec not in _CODEC_IDS:
            raise MuxError(f"{track.codec} in Matroska")
        self._track = track

    def header(self) -> bytes:
        """EBML header, then a segment of unknown size with its information and the track."""
        head = _element(
            _EBML,
            _uint(0x4286, 1) + _uint(0x42F7, 1) + _uint(0x42F2, 4) + _uint(0x42F3, 8)
            + _text(0x4282, "webm") + _uint(0x4287, 4) + _uint(0x4285, 2),
        )  # fmt: skip
        info = _element(
            _INFO, _uint(0x2AD7B1, _MILLISECOND_NS) + _text(0x4D80, "parley") + _text(0x5741, "parley")
        )
        return head + _identifier(_SEGMENT) + _UNKNOWN_SIZE + info + _element(_TRACKS, self._track_entry())

    def _track_entry(self) -> bytes:
        track = self._track
        is_audio = track.codec == "opus"
        entry = _uint(0xD7, 1) + _uint(0x73C5, 1) + _uint(0x9C, 0) + _uint(0x83, 2 if is_audio else 1)
        entry += _text(0x86, _CODEC_IDS[track.codec])
        if is_audio:
            entry += _uint(0x56BB, _OPUS_SEEK_PREROLL_NS) + _element(0x63A2, _opus_head())
            entry += _element(0xE1, _float(0xB5, 48_000.0) + _uint(0x9F, 2))
        else:
            entry += _element(0xE0, _uint(0xB0, track.width) + _uint(0xBA, track.height))
        return _element(0xAE, entry)

    def fragment(self, samples: Sequence[Sample], end_ns: int) -> bytes:  # noqa: ARG002 - blocks have no duration
        """One cluster of simple blocks. Raises: MuxError when it is empty or spans more than 32 s."""
        if not samples:
            raise MuxError("a cluster without samples")
        start_ms = _to_ms(samples[0].time_ns)
        body = [_uint(0xE7, start_ms)]
        for sample in samples:
            offset_ms = _to_ms(sample.time_ns) - start_ms
            if not 0 <= offset_ms <= _BLOCK_MAX_MS:
                raise MuxError(f"a block {offset_ms} ms into its cluster")
            head = b"\x81" + offset_ms.to_bytes(2, "big") + (b"\x80" if sample.is_keyframe else b"\x00")
            body.append(_identifier(0xA3) + _size(len(head) + len(sample.data)) + head + sample.data)
        return _element(_CLUSTER, b"".join(body))


def whole_end(file: BinaryIO) -> int:
    """Where the last whole cluster of a file of `MatroskaMuxer` ends; 0 when its header is not whole.

    Reads element headers only, from the file's present start to its end.
    """
    file.seek(0, 2)
    size = file.tell()
    head = _read_element(file, 0)
    if head is None or head[0] != _EBML or head[1] > size:
        return 0
    segment = _read_element(file, head[1], allow_unknown=True)
    if segment is None or segment[0] != _SEGMENT:
        return 0
    at, whole = segment[1], 0
    while (element := _read_element(file, at)) is not None:
        identifier, end = element
        if identifier not in _TOP_LEVEL or end > size:
            break
        at = end
        if whole or identifier == _TRACKS:
            whole = end
    return whole


def _read_element(file: BinaryIO, at: int, *, allow_unknown: bool = False) -> tuple[int, int] | None:
    """An element's identifier and its end (its content's start when the size is unknown); None when torn."""
    file.seek(at)
    data = file.read(12)
    if not data or not data[0] & 0xF0:
        return None
    id_bytes = 9 - data[0].bit_length()
    if len(data) <= id_bytes or not data[id_bytes]:
        return None
    size_bytes = 9 - data[id_bytes].bit_length()
    if len(data) < id_bytes + size_bytes:
        return None
    raw = data[id_bytes : id_bytes + size_bytes]
    content_at = at + id_bytes + size_bytes
    value = int.from_bytes(raw, "big") & ((1 << 7 * size_bytes) - 1)
    identifier = int.from_bytes(data[:id_bytes], "big")
    if value == (1 << 7 * size_bytes) - 1:
        return (identifier, content_at) if allow_unknown else None
    return identifier, content_at + value


def _to_ms(time_ns: int) -> int:
    return (time_ns + _MILLISECOND_NS // 2) // _MILLISECOND_NS


def _opus_head() -> bytes:
    """Two channels; no pre-skip, since the stream does not begin with an encoder's first packet."""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 0, 48_000, 0, 0)


def _identifier(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _size(value: int) -> bytes:
    """The shortest variable-size integer that holds a length. Source: RFC 8794 section 4."""
    size_bytes = 1
    while value >= (1 << 7 * size_bytes) - 1:
        size_bytes += 1
    return (value | 1 << 7 * size_bytes).to_bytes(size_bytes, "big")


def _element(identifier: int, content: bytes) -> bytes:
    return _identifier(identifier) + _size(len(content)) + content


def _uint(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _float(identifier: int, value: float) -> bytes:
    return _element(identifier, struct.pack(">d", value))


def _text(identifier: int, value: str) -> bytes:
    return _element(identifier, value.encode("ascii"))
