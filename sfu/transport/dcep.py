"""What travels on an association: messages of data channels, and the ones that open them. PURE.

Source: RFC 8831 section 6 and 8 (payload protocols), RFC 8832 (DCEP).
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sfu.errors import SfuError

__all__ = ["ChannelKind", "ChannelOpen", "MessageRefused", "check_message", "parse_open"]

DCEP: Final = 50
BINARY: Final = 53
BINARY_EMPTY: Final = 57
_TEXT: Final = frozenset({51, 54, 56})
_OPEN: Final = 3
_HEADER: Final = struct.Struct("!BBHLHH")
_MAX_LABEL_BYTES: Final = 64


class ChannelKind(StrEnum):
    """The two channels that a peer may open; the value is the label."""

    RELIABLE = "reliable"
    """Every message, in order."""
    LOSSY = "lossy"
    """Unordered, sent once."""


_TYPES: Final = {ChannelKind.RELIABLE: (0x00, 0), ChannelKind.LOSSY: (0x81, 0)}
"""Channel type and reliability parameter (RFC 8832 section 5.1)."""


class MessageRefused(SfuError):
    """A message that no channel takes; `reason` is a stable word, and the name of its counter."""

    code = "invalid_message"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ChannelOpen:
    """A DATA_CHANNEL_OPEN for one of our kinds."""

    kind: ChannelKind


def parse_open(data: bytes) -> ChannelOpen:
    """Read a DATA_CHANNEL_OPEN.

    Raises:
        MessageRefused: it is none, or opens a channel of another kind.
    """
    if len(data) < _HEADER.size or data[0] != _OPEN:
        raise MessageRefused("dcep")
    _, kind, _, reliability, label_size, protocol_size = _HEADER.unpack_from(data)
    if _HEADER.size + label_size + protocol_size != len(data):
        raise MessageRefused("dcep_length")
    if label_size > _MAX_LABEL_BYTES or protocol_size:
        raise MessageRefused("channel_label")
    try:
        channel = ChannelKind(data[_HEADER.size :].decode())
    except ValueError:
        raise MessageRefused("channel_label") from None
    if (kind, reliability) != _TYPES[channel]:
        raise MessageRefused("channel_type")
    return ChannelOpen(channel)


def check_message(
    stream: int, protocol: int, data: bytes, *, channels: Collection[int], kinds: Collection[str], limit: int
) -> None:
    """Check one whole message.

    `channels`: streams that carry an open channel; `kinds`: labels of those channels; `limit`: bytes of the
    longest message.

    Raises:
        MessageRefused: no channel takes it.
    """
    if protocol == DCEP:
        opened = parse_open(data)
        if stream in channels or opened.kind in kinds:
            raise MessageRefused("channel_open")
    elif protocol in _TEXT:
        raise MessageRefused("text")
    elif protocol not in {BINARY, BINARY_EMPTY}:
        raise MessageRefused("protocol")
    elif stream not in channels:
        raise MessageRefused("no_channel")
    elif len(data) > limit:
        raise MessageRefused("too_large")
