"""H.264 over RTP: depayloading to Annex B, parameter sets, picture size. PURE.

Source: RFC 6184 (packetization modes 0 and 1); ITU-T H.264 sections 7.3 and 7.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media.bits import BitReader, BitsError
from media.frame import FRAME_MAX_BYTES, EncodedFrame, PayloadError

START_CODE = b"\x00\x00\x00\x01"
NAL_SLICE = 1
NAL_IDR = 5
NAL_SEI = 6
NAL_SPS = 7
NAL_PPS = 8
NAL_AUD = 9
_STAP_A = 24
_FU_A = 28
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_SIDE_MAX = 16_384


class H264Error(PayloadError):
    """A payload is not H.264 as RFC 6184 writes it, or a parameter set is not H.264."""

    code = "h264_malformed"


@dataclass(frozen=True, slots=True)
class Sps:
    """What muxers need of a sequence parameter set."""

    profile_idc: int
    constraint_flags: int
    level_idc: int
    chroma_format_idc: int
    width: int
    height: int


def is_frame_start(payload: bytes) -> bool:
    """Whether an access unit begins with this packet, as far as one packet shows.

    A slice that starts at macroblock 0 does; so do delimiters and parameter sets. Raises: H264Error.
    """
    if len(payload) < 2:
        raise H264Error(0, f"a payload of {len(payload)} bytes")
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        return bool(payload[1] & 0x80) and _starts_unit(payload[1] & 0x1F, payload[2:3])
    if kind == _STAP_A:
        return _starts_unit(payload[3] & 0x1F, payload[4:5]) if len(payload) > 3 else False
    return _starts_unit(kind, payload[1:2])


def _starts_unit(kind: int, slice_header: bytes) -> bool:
    if kind in {NAL_SLICE, NAL_IDR}:
        return (
            bool(slice_header) and slice_header[0] >= 0x80
        )  # first_mb_in_slice is ue(v): a first 1 bit means 0
    return kind in {NAL_SPS, NAL_AUD, NAL_SEI}


def depayload(payloads: Sequence[bytes]) -> EncodedFrame:
    """Join the payloads of one whole access unit, in order. Raises: H264Error."""
    units: list[bytes] = []
    fragments: list[bytes] = []
    for payload in payloads:
        if not payload:
            raise H264Error(0, "an empty payload")
        kind = payload[0] & 0x1F
        if fragments and kind != _FU_A:
            raise H264Error(0, "a fragmented unit without its end")
        if kind == _FU_A:
            _take_fragment(payload, fragments, units)
        elif kind == _STAP_A:
            units.extend(_aggregated(payload))
        elif 1 <= kind <= 23:
            units.append(payload)
        else:
            raise H264Error(0, f"packet type {kind}")
    if fragments:
        raise H264Error(0, "a fragmented unit without its end")
    return _access_unit(units)


def _take_fragment(payload: bytes, fragments: list[bytes], units: list[bytes]) -> None:
    """Collect one FU-A. Source: RFC 6184 section 5.8."""
    if len(payload) < 3:
        raise H264Error(1, "an FU-A without data")
    header = payload[1]
    if header & 0x80:
        if fragments or header & 0x40:
            raise H264Error(1, "an FU-A start within a unit")
        fragments.append(bytes([payload[0] & 0xE0 | header & 0x1F]))
    elif not fragments:
        raise H264Error(1, "an FU-A without its start")
    fragments.append(payload[2:])
    if header & 0x40:
        units.append(b"".join(fragments))
        fragments.clear()


def _aggregated(payload: bytes) -> Iterator[bytes]:
    """Take a STAP-A apart. Source: RFC 6184 section 5.7.1."""
    offset = 1
    while offset < len(payload):
        if offset + 2 > len(payload):
            raise H264Error(offset, "a unit's size beyond the end")
        size = payload[offset] << 8 | payload[offset + 1]
        offset += 2
        if not 0 < size <= len(payload) - offset:
            raise H264Error(offset, f"a unit of {size} bytes, {len(payload) - offset} left")
        yield payload[offset : offset + size]
        offset += size


def _access_unit(units: Sequence[bytes]) -> EncodedFrame:
    data = b"".join(START_CODE + unit for unit in units)
    if not data or len(data) > FRAME_MAX_BYTES:
        raise H264Error(0, f"an access unit of {len(data)} bytes")
    kinds = [unit[0] & 0x1F for unit in units]
    parameters = b""
    width = height = 0
    if NAL_SPS in kinds:
        parameters = b"".join(
            START_CODE + unit for unit, kind in zip(units, kinds, strict=True) if kind in {NAL_SPS, NAL_PPS}
        )
        sps = parse_sps(units[kinds.index(NAL_SPS)])
        width, height = sps.width, sps.height
    return EncodedFrame(data, is_keyframe=NAL_IDR in kinds, width=width, height=height, parameters=parameters)


def split_annex_b(data: bytes) -> list[bytes]:
    """The units of a frame that `depayload` made (4-byte start codes). Source: ITU-T H.264 annex B."""
    return [unit for unit in data.split(START_CODE) if unit]


def parse_sps(unit: bytes) -> Sps:
    """Parse a sequence parameter set, its header byte included. Raises: H264Error."""
    try:
        return _read_sps(unit)
    except (BitsError, IndexError) as error:
        raise H264Error(len(unit), "a sequence parameter set beyond the end") from error


def _read_sps(unit: bytes) -> Sps:
    if unit[0] & 0x1F != NAL_SPS:
        raise H264Error(0, "no sequence parameter set")
    bits = BitReader(unit[1:512].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile_idc, constraint_flags, level_idc = bits.read(8), bits.read(8), bits.read(8)
    bits.ue()
    chroma_format_idc = 1
    is_separate_planes = False
    if profile_idc in _HIGH_PROFILES:
        chroma_format_idc = bits.ue()
        if chroma_format_idc > 3:
            raise H264Error(4, f"chroma format {chroma_format_idc}")
        is_separate_planes = chroma_format_idc == 3 and bits.flag()
        bits.ue()
        bits.ue()
        bits.skip(1)
        if bits.flag():
            _skip_scaling_matrix(bits, 12 if chroma_format_idc == 3 else 8)
    bits.ue()
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()
    elif order_type == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise H264Error(4, f"{cycle} frames in the order count cycle")
        for _ in range(cycle):
            bits.se()
    bits.ue()
    bits.skip(1)
    width = (bits.ue() + 1) * 16
    height_units = bits.ue() + 1
    is_frame_only = bits.flag()
    if not is_frame_only:
        bits.skip(1)
    height = height_units * 16 * (1 if is_frame_only else 2)
    bits.skip(1)
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        chroma = 0 if is_separate_planes else chroma_format_idc
        step_x = 2 if chroma in {1, 2} else 1
        step_y = (2 if chroma == 1 else 1) * (1 if is_frame_only else 2)
        width -= (left + right) * step_x
        height -= (top + bottom) * step_y
    if not (0 < width <= _SIDE_MAX and 0 < height <= _SIDE_MAX):
        raise H264Error(4, f"a picture of {width} x {height}")
    return Sps(profile_idc, constraint_flags, level_idc, chroma_format_idc, width, height)


def _skip_scaling_matrix(bits: BitReader, lists: int) -> None:
    """Walk over the scaling lists. Source: ITU-T H.264 section 7.3.2.1.1.1."""
    for index in range(lists):
        if not bits.flag():
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last
