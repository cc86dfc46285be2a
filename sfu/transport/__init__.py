"""Transports without I/O: ICE-lite, a controlling ICE client, DTLS with SRTP keys, candidates.

The facade is lazy: DTLS loads aiortc (and with it PyAV), ICE does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.transport.candidates import (
        RemoteCandidate,
        credentials,
        host_candidates,
        normalise_ip,
        parse_candidate,
    )
    from sfu.transport.client_peer import (
        ClientConnected,
        ClientEffect,
        ClientLost,
        ClientPeer,
        ClientSend,
    )
    from sfu.transport.dtls import (
        Dtls,
        DtlsClosed,
        DtlsConnected,
        DtlsData,
        DtlsEffect,
        DtlsFailed,
        DtlsIdentity,
        DtlsState,
        SendDtls,
    )
    from sfu.transport.ice_client import ClientIceEffect, IceClient, IceClientState, IceFailed
    from sfu.transport.ice_lite import (
        BindPath,
        ConsentLost,
        IceConnected,
        IceDisconnected,
        IceEffect,
        IceLite,
        IceState,
        Path,
        SendStun,
        UfragsChanged,
        UnbindPath,
    )
    from sfu.transport.srtp import SrtpSessions

_MODULES = {
    "candidates": ("RemoteCandidate", "credentials", "host_candidates", "normalise_ip", "parse_candidate"),
    "client_peer": ("ClientConnected", "ClientEffect", "ClientLost", "ClientPeer", "ClientSend"),
    "dtls": (
        "Dtls",
        "DtlsClosed",
        "DtlsConnected",
        "DtlsData",
        "DtlsEffect",
        "DtlsFailed",
        "DtlsIdentity",
        "DtlsState",
        "SendDtls",
    ),
    "ice_client": ("ClientIceEffect", "IceClient", "IceClientState", "IceFailed"),
    "ice_lite": (
        "BindPath",
        "ConsentLost",
        "IceConnected",
        "IceDisconnected",
        "IceEffect",
        "IceLite",
        "IceState",
        "Path",
        "SendStun",
        "UfragsChanged",
        "UnbindPath",
    ),
    "srtp": ("SrtpSessions",),
}
_HOMES = {name: f"sfu.transport.{module}" for module, names in _MODULES.items() for name in names}

__all__ = [
    "BindPath",
    "ClientConnected",
    "ClientEffect",
    "ClientIceEffect",
    "ClientLost",
    "ClientPeer",
    "ClientSend",
    "ConsentLost",
    "Dtls",
    "DtlsClosed",
    "DtlsConnected",
    "DtlsData",
    "DtlsEffect",
    "DtlsFailed",
    "DtlsIdentity",
    "DtlsState",
    "IceClient",
    "IceClientState",
    "IceConnected",
    "IceDisconnected",
    "IceEffect",
    "IceFailed",
    "IceLite",
    "IceState",
    "Path",
    "RemoteCandidate",
    "SendDtls",
    "SendStun",
    "SrtpSessions",
    "UfragsChanged",
    "UnbindPath",
    "credentials",
    "host_candidates",
    "normalise_ip",
    "parse_candidate",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sfu.transport' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
