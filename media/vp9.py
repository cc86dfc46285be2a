"""VP9 over RTP: descriptor and depayloading. PURE.

Source: RFC 9628; VP9 bitstream specification section 6.2 and annex B.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from media.bits import BitReader, BitsError
from media.frame import FRAME_MAX_BYTES, EncodedFrame, PayloadError

_SYNC_CODE = 0x498342
_COLOR_SPACE_RGB = 7
_SUPERFRAME_MAX_FRAMES = 8


class Vp9Error(PayloadError):
    """A payload is not VP9 as RFC 9628 writes it."""

    code = "vp9_malformed"


@dataclass(frozen=True, slots=True)
class Vp9Descriptor:
    """The payload descriptor of one packet. Source: RFC 9628 section 4.2."""

    size: int
    """Bytes of the descriptor; VP9 data begins there."""
    is_layer_frame_start: bool
    is_layer_frame_end: bool
    is_inter_predicted: bool
    """Depends on an earlier picture; false on key pictures."""
    picture_id: int | None
    temporal_id: int
    spatial_id: int
    is_switch_point: bool
    """Temporal switching up is possible here."""
    tl0picidx: int | None


def parse_descriptor(payload: bytes) -> Vp9Descriptor:
    """Parse the descriptor. Raises: Vp9Error when it does not fit or no VP9 data follows."""
    try:
        return _parse_descriptor(payload)
    except IndexError as error:
        raise Vp9Error(len(payload), "descriptor beyond the end") from error


def _parse_descriptor(payload: bytes) -> Vp9Descriptor:
    first = payload[0]
    is_inter, is_flexible = bool(first & 0x40), bool(first & 0x10)
    offset = 1
    picture_id = tl0picidx = None
    temporal_id = spatial_id = 0
    is_switch_point = False
    if first & 0x80:
        picture_id = payload[offset]
        offset += 1
        if picture_id & 0x80:
            picture_id = (picture_id & 0x7F) << 8 | payload[offset]
            offset += 1
    if first & 0x20:
        layers = payload[offset]
        offset += 1
        temporal_id, spatial_id = layers >> 5, layers >> 1 & 0x07
        is_switch_point = bool(layers & 0x10)
        if not is_flexible:
            tl0picidx = payload[offset]
            offset += 1
    if is_flexible and is_inter:
        for index in range(3):
            more = payload[offset] & 0x01
            offset += 1
            if not more:
                break
            if index == 2:
                raise Vp9Error(offset, "more than three reference differences")
    if first & 0x02:
        offset = _scalability_structure_end(payload, offset)
    if offset >= len(payload):
        raise Vp9Error(offset, "no VP9 data after the descriptor")
    return Vp9Descriptor(
        size=offset,
        is_layer_frame_start=bool(first & 0x08),
        is_layer_frame_end=bool(first & 0x04),
        is_inter_predicted=is_inter,
        picture_id=picture_id,
        temporal_id=temporal_id,
        spatial_id=spatial_id,
        is_switch_point=is_switch_point,
        tl0picidx=tl0picidx,
    )


def _scalability_structure_end(payload: bytes, offset: int) -> int:
    """Walk over the scalability structure. Source: RFC 9628 section 4.2.1."""
    structure = payload[offset]
    offset += 1
    if structure & 0x10:
        offset += 4 * ((structure >> 5) + 1)
    if structure & 0x08:
        pictures = payload[offset]
        offset += 1
        for _ in range(pictures):
            offset += 1 + (payload[offset] >> 2 & 0x03)
    return offset


def is_frame_start(payload: bytes) -> bool:
    """Whether a picture (its lowest spatial layer) begins with this packet. Raises: Vp9Error."""
    descriptor = parse_descriptor(payload)
    return descriptor.is_layer_frame_start and descriptor.spatial_id == 0


def depayload(payloads: Sequence[bytes]) -> EncodedFrame:
    """Join the payloads of one whole picture, in order; several spatial layers become one superframe.

    Raises: Vp9Error.
    """
    layers: list[list[bytes]] = []
    is_inter = True
    for payload in payloads:
        descriptor = parse_descriptor(payload)
        if descriptor.is_layer_frame_start:
            if not layers:
                is_inter = descriptor.is_inter_predicted
            layers.append([])
        elif not layers:
            raise Vp9Error(0, "the picture's first packet is not a start")
        layers[-1].append(payload[descriptor.size :])
    frames = [b"".join(parts) for parts in layers]
    if not frames or sum(map(len, frames)) > FRAME_MAX_BYTES:
        raise Vp9Error(0, "a picture of no or too many bytes")
    data = frames[0] if len(frames) == 1 else _superframe(frames)
    if is_inter:
        return EncodedFrame(data, is_keyframe=False)
    width, height = _keyframe_size(frames[0])
    for frame in frames[
        1:
    ]:  # a spatial layer names its own size only in an intra frame; keep the largest known
        width, height = max((width, height), _layer_size(frame))
    return EncodedFrame(data, is_keyframe=True, width=width, height=height)


def _superframe(frames: Sequence[bytes]) -> bytes:
    """Append the index that lets a decoder find the layers. Source: VP9 specification annex B."""
    if len(frames) > _SUPERFRAME_MAX_FRAMES:
        raise Vp9Error(0, f"{len(frames)} layer frames in one picture")
    size_bytes = (max(map(len, frames)).bit_length() + 7) // 8
    marker = bytes([0xC0 | (size_bytes - 1) << 3 | (len(frames) - 1)])
    sizes = b"".join(len(frame).to_bytes(size_bytes, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker


def _keyframe_size(frame: bytes) -> tuple[int, int]:
    """Width and height from a key frame's uncompressed header. Source: VP9 specification section 6.2."""
    try:
        return _read_keyframe_size(BitReader(frame[:24]))
    except BitsError as error:
        raise Vp9Error(0, "a key frame's header beyond the end") from error


def _layer_size(frame: bytes) -> tuple[int, int]:
    try:
        return _read_keyframe_size(BitReader(frame[:24]))
    except (BitsError, Vp9Error):
        return (
            0,
            0,
        )  # an inter-layer predicted frame: its size follows from references that only a decoder has


def _read_keyframe_size(bits: BitReader) -> tuple[int, int]:
    if bits.read(2) != 2:
        raise Vp9Error(0, "no frame marker")
    profile = bits.read(1) | bits.read(1) << 1
    if profile == 3 and bits.flag():
        raise Vp9Error(0, "a reserved profile")
    if bits.flag():
        raise Vp9Error(0, "a shown existing frame is no key frame")
    if bits.flag():
        raise Vp9Error(0, "a key picture that is not intra coded")
    bits.skip(2)
    if bits.read(24) != _SYNC_CODE:
        raise Vp9Error(1, "a key frame without its sync code")
    if profile >= 2:
        bits.skip(1)
    color_space = bits.read(3)
    if color_space != _COLOR_SPACE_RGB:
        bits.skip(1)
        if profile in {1, 3}:
            bits.skip(3)
    elif profile in {1, 3}:
        bits.skip(1)
    return bits.read(16) + 1, bits.read(16) + 1
