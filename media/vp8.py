"""VP8 over RTP: descriptor and depayloading. PURE. Source: RFC 7741, RFC 6386 section 9.1."""

from collections.abc import Sequence
from dataclasses import dataclass

from media.frame import FRAME_MAX_BYTES, EncodedFrame, PayloadError


class Vp8Error(PayloadError):
    """A payload is not VP8 as RFC 7741 writes it."""

    code = "vp8_malformed"


@dataclass(frozen=True, slots=True)
class Vp8Descriptor:
    """The payload descriptor of one packet. Source: RFC 7741 section 4.2."""

    size: int
    """Bytes of the descriptor; VP8 data begins there."""
    is_frame_start: bool
    """First packet of a frame: start of partition 0."""
    is_reference: bool
    picture_id: int | None
    tl0picidx: int | None
    temporal_id: int | None


def parse_descriptor(payload: bytes) -> Vp8Descriptor:
    """Parse the descriptor. Raises: Vp8Error when it does not fit or no VP8 data follows."""
    try:
        first = payload[0]
        offset = 1
        picture_id = tl0picidx = temporal_id = None
        if first & 0x80:
            extended = payload[1]
            offset = 2
            if extended & 0x80:
                picture_id = payload[offset]
                offset += 1
                if picture_id & 0x80:
                    picture_id = (picture_id & 0x7F) << 8 | payload[offset]
                    offset += 1
            if extended & 0x40:
                tl0picidx = payload[offset]
                offset += 1
            if extended & 0x30:
                if extended & 0x20:
                    temporal_id = payload[offset] >> 6
                else:
                    _ = payload[offset]
                offset += 1
    except IndexError as error:
        raise Vp8Error(len(payload), "descriptor beyond the end") from error
    if offset >= len(payload):
        raise Vp8Error(offset, "no VP8 data after the descriptor")
    return Vp8Descriptor(
        size=offset,
        is_frame_start=first & 0x17 == 0x10,
        is_reference=not first & 0x20,
        picture_id=picture_id,
        tl0picidx=tl0picidx,
        temporal_id=temporal_id,
    )


def is_frame_start(payload: bytes) -> bool:
    """Whether a frame begins with this packet. Raises: Vp8Error."""
    return parse_descriptor(payload).is_frame_start


def depayload(payloads: Sequence[bytes]) -> EncodedFrame:
    """Join the payloads of one whole frame, in order. Raises: Vp8Error."""
    parts: list[bytes] = []
    for payload in payloads:
        descriptor = parse_descriptor(payload)
        if not parts and not descriptor.is_frame_start:
            raise Vp8Error(0, "the frame's first packet is not a start")
        parts.append(payload[descriptor.size :])
    data = b"".join(parts)
    if not 3 <= len(data) <= FRAME_MAX_BYTES:
        raise Vp8Error(0, f"a frame of {len(data)} bytes")
    if data[0] & 0x01:
        return EncodedFrame(data, is_keyframe=False)
    # RFC 6386 section 9.1: a key frame has a start code, then width and height with two scaling bits each.
    if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
        raise Vp8Error(3, "a key frame without its start code")
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    if not width or not height:
        raise Vp8Error(6, "a key frame without a size")
    return EncodedFrame(data, is_keyframe=True, width=width, height=height)
