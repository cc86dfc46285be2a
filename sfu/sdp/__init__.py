"""Session descriptions: read, negotiated and written, without I/O. PURE.

Every function here takes a peer's text, and answers with values and our text; `SdpError` and
`NegotiationError` are the only exceptions.
"""

from __future__ import annotations

from sfu.sdp.codecs import CodecPolicy
from sfu.sdp.data import DataSection
from sfu.sdp.fragment import Fragment, parse_fragment, write_fragment
from sfu.sdp.model import (
    Codec,
    Direction,
    ExtMap,
    Fingerprint,
    Media,
    SessionDescription,
    Setup,
)
from sfu.sdp.negotiate import Agreed, DtlsRole, ForwardSection, LocalTransport, RemoteTransport
from sfu.sdp.parse import Limits, parse
from sfu.sdp.publish import NegotiatedTrack, PublishNegotiation, answer_publish
from sfu.sdp.subscribe import ServerOffer, SubscribeNegotiation, SubscribeSession
from sfu.sdp.view import ViewNegotiation, ViewTrack, answer_view
from sfu.sdp.write import write

__all__ = [
    "Agreed",
    "Codec",
    "CodecPolicy",
    "DataSection",
    "Direction",
    "DtlsRole",
    "ExtMap",
    "Fingerprint",
    "ForwardSection",
    "Fragment",
    "Limits",
    "LocalTransport",
    "Media",
    "NegotiatedTrack",
    "PublishNegotiation",
    "RemoteTransport",
    "ServerOffer",
    "SessionDescription",
    "Setup",
    "SubscribeNegotiation",
    "SubscribeSession",
    "ViewNegotiation",
    "ViewTrack",
    "answer_publish",
    "answer_view",
    "parse",
    "parse_fragment",
    "write",
    "write_fragment",
]
