"""The section of data channels in a publisher's offer, and its answer. PURE.

One section serves both directions: SCTP has no direction, and a participant's publish connection is there
for as long as the participant wants to send or receive data.

Source: RFC 8841 (SCTP in SDP), RFC 8831 section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfu.sdp.model import Media, SessionDescription

__all__ = ["SCTP_PORT", "DataSection", "accepted_data", "data_answer"]

_PROTOCOLS: Final = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP"})
_FORMAT: Final = "webrtc-datachannel"
SCTP_PORT: Final = 5_000
"""Ours; of no meaning inside DTLS."""


@dataclass(frozen=True, slots=True)
class DataSection:
    """What a peer's description says of its data channels.

    Attributes:
        port: its SCTP port.
        message_bytes: the longest message that it takes; 0 for any.
    """

    mid: str
    port: int
    message_bytes: int


def accepted_data(offer: SessionDescription) -> Media | None:
    """The first section of data channels that can be bundled with the rest, if there is one."""
    for media in offer.media:
        is_data = media.kind == "application" and media.protocol in _PROTOCOLS
        if not is_data or media.formats != (_FORMAT,) or media.is_stopped or not media.sctp_port:
            continue
        if media.mid and (media.mid in offer.bundle if offer.bundle is not None else len(offer.media) == 1):
            return media
    return None


def data_answer(media: Media, message_bytes: int) -> Media:
    """The answer to a section of data channels, without its transport."""
    return Media(
        kind=media.kind,
        port=9,
        protocol=media.protocol,
        formats=media.formats,
        mid=media.mid,
        sctp_port=SCTP_PORT,
        max_message_bytes=message_bytes,
    )
