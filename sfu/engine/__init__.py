"""The media engine as Python sees it: typed commands and events, the native wrapper, its in-memory model.

The facade is lazy: who needs types alone loads no native module.
"""

from typing import TYPE_CHECKING

from media.facade import lazy

if TYPE_CHECKING:
    from sfu.engine._debug import BareRelay
    from sfu.engine.events import Dtls, Event, Stun
    from sfu.engine.native import NativeEngine
    from sfu.engine.srtp_table import load_srtp, session_address
    from sfu.engine.types import (
        Address,
        EngineCodec,
        EngineEncoding,
        ForwardId,
        TrackId,
        TransportId,
    )


__all__ = [
    "Address",
    "BareRelay",
    "Dtls",
    "EngineCodec",
    "EngineEncoding",
    "Event",
    "ForwardId",
    "NativeEngine",
    "Stun",
    "TrackId",
    "TransportId",
    "load_srtp",
    "session_address",
]

__getattr__ = lazy(
    __name__,
    {
        "sfu.engine._debug": ("BareRelay",),
        "sfu.engine.events": ("Dtls", "Event", "Stun"),
        "sfu.engine.native": ("NativeEngine",),
        "sfu.engine.srtp_table": ("load_srtp", "session_address"),
        "sfu.engine.types": (
            "Address",
            "EngineCodec",
            "EngineEncoding",
            "ForwardId",
            "TrackId",
            "TransportId",
        ),
    },
)
