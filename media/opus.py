"""Opus over RTP: one packet is one frame; its length from the table of contents. PURE.

Source: RFC 7587; RFC 6716 section 3.
"""

from collections.abc import Sequence

from media.frame import EncodedFrame, PayloadError

CLOCK_HZ = 48_000
_PACKET_MAX_SAMPLES = 5_760
_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


class OpusError(PayloadError):
    """A payload is not an Opus packet."""

    code = "opus_malformed"


def packet_samples(payload: bytes) -> int:
    """Duration of a packet at 48 kHz. Raises: OpusError. Source: RFC 6716 sections 3.1 and 3.2."""
    if not payload:
        raise OpusError(0, "no table of contents")
    config = payload[0] >> 3
    if config < 12:
        frame_samples = _SILK_SAMPLES[config & 3]
    elif config < 16:
        frame_samples = _HYBRID_SAMPLES[config & 1]
    else:
        frame_samples = _CELT_SAMPLES[config & 3]
    packing = payload[0] & 3
    if packing == 3:
        if len(payload) < 2:
            raise OpusError(1, "no frame count")
        frames = payload[1] & 0x3F
    else:
        frames = (1, 2, 2)[packing]
    samples = frames * frame_samples
    if not 0 < samples <= _PACKET_MAX_SAMPLES:
        raise OpusError(0, f"a packet of {frames} frames of {frame_samples} samples")
    return samples


def is_frame_start(payload: bytes) -> bool:
    """Whether a frame begins with this packet: always. Raises: OpusError when it is no packet."""
    return packet_samples(payload) > 0


def depayload(payloads: Sequence[bytes]) -> EncodedFrame:
    """Take the one payload of an Opus frame. Raises: OpusError."""
    if len(payloads) != 1:
        raise OpusError(0, f"{len(payloads)} packets with one timestamp")
    return EncodedFrame(payloads[0], is_keyframe=True, samples=packet_samples(payloads[0]))
