"""FLV tag bodies for H.264 and AAC, which are also the payloads of RTMP's video and audio messages.

PURE. Sources: Adobe Flash Video File Format 10.1, annex E.4; ISO/IEC 14496-15 section 5.3.3.1 (avcC);
ITU-T H.264 annex B (start codes).
"""

import re
from collections.abc import Iterable
from typing import Final

_AVC_KEY, _AVC_INTER = 0x17, 0x27
_AAC_44K_16_STEREO: Final = 0xAF  # the flags are fixed for AAC; the real rate stands in its configuration
_START_CODE: Final = re.compile(rb"\x00\x00\x00?\x01")
_SPS, _PPS = 7, 8
_SPS_MOST, _PPS_MOST = 31, 255


class FlvError(ValueError):
    """Encoder output that cannot be put into FLV."""

    code = "bad_flv_input"


def split_annex_b(data: bytes) -> list[bytes]:
    """The NAL units between start codes, without trailing zero bytes."""
    return [unit for unit in (part.rstrip(b"\x00") for part in _START_CODE.split(data)) if unit]


def avc_configuration(annex_b: bytes) -> bytes:
    """AVCDecoderConfigurationRecord from a stream's SPS and PPS in Annex B form.

    Raises:
        FlvError: no SPS or no PPS in `annex_b`, or more than a record can hold.
    """
    units = split_annex_b(annex_b)
    sps = [unit for unit in units if unit[0] & 0x1F == _SPS]
    pps = [unit for unit in units if unit[0] & 0x1F == _PPS]
    if len(sps) > _SPS_MOST or len(pps) > _PPS_MOST or any(len(unit) > 0xFFFF for unit in sps + pps):
        raise FlvError("more or longer parameter sets than a configuration record can hold")
    if not sps or len(sps[0]) < 4 or not pps:
        raise FlvError("the encoder's extradata holds no SPS or no PPS")
    out = bytearray([1, *sps[0][1:4], 0xFF, 0xE0 | len(sps)])
    for unit in sps:
        out += len(unit).to_bytes(2, "big") + unit
    out.append(len(pps))
    for unit in pps:
        out += len(unit).to_bytes(2, "big") + unit
    return bytes(out)


def length_prefixed(units: Iterable[bytes]) -> bytes:
    """NAL units with four-byte lengths, as AVC samples in FLV and MP4 carry them."""
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def avc_header(configuration: bytes) -> bytes:
    """The sequence header: sent first, and again whenever the parameters change."""
    return bytes([_AVC_KEY, 0, 0, 0, 0]) + configuration


def avc_frame(annex_b: bytes, *, is_keyframe: bool, composition_ms: int = 0) -> bytes:
    """One access unit; `composition_ms` is presentation minus decoding time."""
    units = [unit for unit in split_annex_b(annex_b) if unit[0] & 0x1F not in {_SPS, _PPS, 9}]
    start = bytes([_AVC_KEY if is_keyframe else _AVC_INTER, 1])
    return start + composition_ms.to_bytes(3, "big", signed=True) + length_prefixed(units)


def aac_header(audio_specific_config: bytes) -> bytes:
    """The audio sequence header."""
    return bytes([_AAC_44K_16_STEREO, 0]) + audio_specific_config


def aac_frame(raw: bytes) -> bytes:
    """One raw AAC frame, without ADTS."""
    return bytes([_AAC_44K_16_STEREO, 1]) + raw
