"""RTP header extensions: the house's short names and the URIs that descriptions use. PURE.

Source: RFC 8285, RFC 9143 (mid), RFC 8852 (rid, rrid), RFC 6464 (audio level), 3GPP TS 26.114 (orientation),
AV1 RTP specification appendix A (dependency descriptor), and the experiments of the WebRTC project.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["EXTENSION_URIS", "extension_name"]

EXTENSION_URIS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mid": "urn:ietf:params:rtp-hdrext:sdes:mid",
        "rid": "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "rrid": "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "twcc": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "abs_send_time": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "toffset": "urn:ietf:params:rtp-hdrext:toffset",
        "audio_level": "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "video_orientation": "urn:3gpp:video-orientation",
        "dependency_descriptor": (
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
        ),
        "playout_delay": "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "content_type": "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
        "video_timing": "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
        "color_space": "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
        "abs_capture_time": "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        "layers_allocation": "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
    }
)
"""Every extension the core can read or write, by the name that the core's commands use."""

_NAMES: Final = {uri: name for name, uri in EXTENSION_URIS.items()}


def extension_name(uri: str) -> str | None:
    """The short name of an extension, None for one that we do not know."""
    return _NAMES.get(uri)
