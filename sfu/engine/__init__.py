"""The media engine as Python sees it: typed commands and events, the native wrapper, its in-memory model.

The facade is lazy: who needs types alone loads no native module.
"""

import importlib
from typing import TYPE_CHECKING

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

_MODULES = {
    "_debug": ("BareRelay",),
    "events": ("Dtls", "Event", "Stun"),
    "native": ("NativeEngine",),
    "srtp_table": ("load_srtp", "session_address"),
    "types": ("Address", "EngineCodec", "EngineEncoding", "ForwardId", "TrackId", "TransportId"),
}
_HOMES = {name: f"sfu.engine.{module}" for module, names in _MODULES.items() for name in names}

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


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sfu.engine' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
