"""AV1 over RTP: depayloading to a temporal unit, sequence header, picture size. PURE.

Source: AOM "RTP Payload Format For AV1" 1.0 sections 4.3 and 4.4; AV1 bitstream specification section 5.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from media.bits import BitReader, BitsError
from media.frame import FRAME_MAX_BYTES, EncodedFrame, PayloadError

OBU_SEQUENCE_HEADER = 1
OBU_TEMPORAL_DELIMITER = 2
OBU_FRAME_HEADER = 3
OBU_TILE_GROUP = 4
OBU_METADATA = 5
OBU_FRAME = 6
OBU_TILE_LIST = 8
OBU_PADDING = 15
_DROPPED = frozenset({OBU_TEMPORAL_DELIMITER, OBU_TILE_LIST, OBU_PADDING})
_LEB128_MAX_BYTES = 8


class Av1Error(PayloadError):
    """A payload is not AV1 as the RTP payload format writes it, or a sequence header is not AV1."""

    code = "av1_malformed"


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """What muxers need of a sequence header. Source: AV1 section 5.5.1."""

    profile: int
    level: int
    tier: int
    is_high_bitdepth: bool
    is_twelve_bit: bool
    is_monochrome: bool
    subsampling_x: int
    subsampling_y: int
    chroma_sample_position: int
    width: int
    height: int


def is_frame_start(payload: bytes) -> bool:
    """Whether a temporal unit may begin with this packet, as far as one packet shows.

    A new coded video sequence does; else a packet that continues no unit and holds no bare tile group.
    Raises: Av1Error.
    """
    if len(payload) < 2:
        raise Av1Error(0, f"a payload of {len(payload)} bytes")
    header = payload[0]
    if header & 0x80:
        return False
    if header & 0x08:
        return True
    offset = 1
    if header >> 4 & 0x03 != 1:
        _, offset = _leb128(payload, offset)
    if offset >= len(payload):
        raise Av1Error(offset, "an element beyond the end")
    return payload[offset] >> 3 & 0x0F != OBU_TILE_GROUP


def depayload(payloads: Sequence[bytes]) -> EncodedFrame:
    """Join the payloads of one whole temporal unit, in order, each unit with its size. Raises: Av1Error."""
    obus: list[list[bytes]] = []
    is_open = False
    starts_sequence = False
    for payload in payloads:
        if not payload:
            raise Av1Error(0, "an empty payload")
        header = payload[0]
        elements = _elements(payload)
        if bool(header & 0x80) != is_open:
            raise Av1Error(0, "a continued unit without its start or its end")
        starts_sequence |= bool(header & 0x08)
        if is_open:
            obus[-1].append(elements.pop(0))
        obus.extend([element] for element in elements)
        is_open = bool(header & 0x40)
    if is_open:
        raise Av1Error(0, "a continued unit without its end")
    return _temporal_unit([b"".join(parts) for parts in obus], starts_sequence=starts_sequence)


def _elements(payload: bytes) -> list[bytes]:
    """The OBU elements of one packet: the last has no length when W counts them. Source: section 4.3."""
    count = payload[0] >> 4 & 0x03
    offset = 1
    elements: list[bytes] = []
    while offset < len(payload):
        if len(elements) + 1 == count:
            size = len(payload) - offset
        else:
            size, offset = _leb128(payload, offset)
        if not 0 < size <= len(payload) - offset:
            raise Av1Error(offset, f"an element of {size} bytes, {len(payload) - offset} left")
        elements.append(payload[offset : offset + size])
        offset += size
    if not elements or (count and len(elements) != count):
        raise Av1Error(0, f"{len(elements)} elements, {count} announced")
    return elements


def _temporal_unit(obus: Sequence[bytes], *, starts_sequence: bool) -> EncodedFrame:
    out: list[bytes] = []
    parameters = b""
    width = height = 0
    has_frame = False
    for obu in obus:
        kind, header, content = _split_obu(obu)
        if kind in _DROPPED:
            continue
        whole = header + encode_leb128(len(content)) + content
        if kind == OBU_SEQUENCE_HEADER:
            sequence = parse_sequence_header(content)
            parameters, width, height = whole, sequence.width, sequence.height
        has_frame |= kind in {OBU_FRAME, OBU_FRAME_HEADER}
        out.append(whole)
    data = b"".join(out)
    if not data or len(data) > FRAME_MAX_BYTES:
        raise Av1Error(0, f"a temporal unit of {len(data)} bytes")
    # A sequence header comes with each key frame (AV1 section 7.5); N marks such a packet (section 4.4).
    is_keyframe = bool(parameters) and has_frame and (starts_sequence or _opens_with_keyframe(obus))
    return EncodedFrame(data, is_keyframe=is_keyframe, width=width, height=height, parameters=parameters)


def _opens_with_keyframe(obus: Sequence[bytes]) -> bool:
    """Whether the first frame header shows a key frame. Source: AV1 section 5.9.2."""
    for obu in obus:
        kind, _, content = _split_obu(obu)
        if kind in {OBU_FRAME, OBU_FRAME_HEADER}:
            return bool(content) and content[0] & 0xE0 == 0  # show_existing_frame 0, frame_type 0
    return False


def _split_obu(obu: bytes) -> tuple[int, bytes, bytes]:
    """A unit's type, its header with the size bit set, and its content. Source: AV1 section 5.3."""
    first = obu[0]
    offset = 2 if first & 0x04 else 1
    if first & 0x80 or offset > len(obu):
        raise Av1Error(0, "a unit's header is not one")
    header = bytes([first | 0x02]) + obu[1:offset]
    if first & 0x02:
        size, offset = _leb128(obu, offset)
        if size > len(obu) - offset:
            raise Av1Error(offset, f"a unit of {size} bytes, {len(obu) - offset} left")
        return first >> 3 & 0x0F, header, obu[offset : offset + size]
    return first >> 3 & 0x0F, header, obu[offset:]


def _leb128(data: bytes, offset: int) -> tuple[int, int]:
    """A length and where it ends. Source: AV1 section 4.10.5."""
    value = 0
    for index in range(_LEB128_MAX_BYTES):
        if offset + index >= len(data):
            raise Av1Error(offset, "a length beyond the end")
        byte = data[offset + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, offset + index + 1
    raise Av1Error(offset, "a length of more than eight bytes")


def encode_leb128(value: int) -> bytes:
    """Write a length in the fewest bytes. Source: AV1 section 4.10.5."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sequence_content(parameters: bytes) -> bytes:
    """The content of the sequence header unit that `depayload` gives as parameters. Raises: Av1Error."""
    if not parameters:
        raise Av1Error(0, "no sequence header")
    return _split_obu(parameters)[2]


def parse_sequence_header(content: bytes) -> SequenceHeader:
    """Parse a sequence header's content, without unit header and size. Raises: Av1Error."""
    try:
        return _read_sequence_header(BitReader(content[:256]))
    except BitsError as error:
        raise Av1Error(len(content), "a sequence header beyond the end") from error


def _read_sequence_header(bits: BitReader) -> SequenceHeader:
    profile = bits.read(3)
    if profile > 2:
        raise Av1Error(0, f"profile {profile}")
    bits.skip(1)
    is_reduced = bits.flag()
    level, tier = (bits.read(5), 0) if is_reduced else _read_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    if not is_reduced and bits.flag():
        bits.skip(7)  # frame id lengths
    bits.skip(3)  # 128x128 superblocks, filter intra, intra edge filter
    if not is_reduced:
        _skip_tools(bits)
    bits.skip(3)  # superres, cdef, restoration
    return _read_color(bits, profile, level, tier, width, height)


def _read_operating_points(bits: BitReader) -> tuple[int, int]:
    """Level and tier of the first operating point. Source: AV1 section 5.5.1."""
    has_decoder_model = False
    delay_bits = 0
    if bits.flag():
        bits.skip(64)
        if bits.flag():
            bits.uvlc()
        has_decoder_model = bits.flag()
        if has_decoder_model:
            delay_bits = bits.read(5) + 1
            bits.skip(42)
    has_display_delay = bits.flag()
    level = tier = 0
    for index in range(bits.read(5) + 1):
        bits.skip(12)
        point_level = bits.read(5)
        point_tier = bits.read(1) if point_level > 7 else 0
        if index == 0:
            level, tier = point_level, point_tier
        if has_decoder_model and bits.flag():
            bits.skip(2 * delay_bits + 1)
        if has_display_delay and bits.flag():
            bits.skip(4)
    return level, tier


def _skip_tools(bits: BitReader) -> None:
    """Walk over the tool flags of a full header. Source: AV1 section 5.5.1."""
    bits.skip(4)  # interintra, masked, warped, dual filter
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.skip(2)
    screen_content = 2 if bits.flag() else bits.read(1)
    if screen_content > 0 and not bits.flag():
        bits.skip(1)
    if has_order_hint:
        bits.skip(3)


def _read_color(
    bits: BitReader, profile: int, level: int, tier: int, width: int, height: int
) -> SequenceHeader:
    """Read the colour configuration and put all together. Source: AV1 section 5.5.2."""
    is_high = bits.flag()
    is_twelve = profile == 2 and is_high and bits.flag()
    is_mono = profile != 1 and bits.flag()
    primaries = transfer = matrix = 2
    if bits.flag():
        primaries, transfer, matrix = bits.read(8), bits.read(8), bits.read(8)
    sub_x, sub_y, position = 1, 1, 0
    if is_mono:
        bits.skip(1)
    elif (primaries, transfer, matrix) == (1, 13, 0):  # sRGB
        sub_x = sub_y = 0
    else:
        bits.skip(1)
        if profile == 1:
            sub_x = sub_y = 0
        elif profile == 2:
            sub_x, sub_y = (bits.read(1), 0) if is_twelve else (1, 0)
            if is_twelve and sub_x:
                sub_y = bits.read(1)
        if sub_x and sub_y:
            position = bits.read(2)
    return SequenceHeader(
        profile, level, tier, is_high, is_twelve, is_mono, sub_x, sub_y, position, width, height
    )
