"""Names of the wire that Python itself needs; the packets are the core's."""

from __future__ import annotations

from sfu.wire.demux import DatagramKind, classify
from sfu.wire.extensions import EXTENSION_URIS, extension_name

__all__ = ["EXTENSION_URIS", "DatagramKind", "classify", "extension_name"]
