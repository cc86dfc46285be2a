"""Transports without I/O: ICE-lite, a controlling ICE client, DTLS with SRTP keys, candidates.

The facade is lazy: DTLS loads aiortc (and with it PyAV), ICE does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.facade import lazy

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

__getattr__ = lazy(
    __name__,
    {
        "sfu.transport.candidates": (
            "RemoteCandidate",
            "credentials",
            "host_candidates",
            "normalise_ip",
            "parse_candidate",
        ),
        "sfu.transport.client_peer": (
            "ClientConnected",
            "ClientEffect",
            "ClientLost",
            "ClientPeer",
            "ClientSend",
        ),
        "sfu.transport.dtls": (
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
        "sfu.transport.ice_client": ("ClientIceEffect", "IceClient", "IceClientState", "IceFailed"),
        "sfu.transport.ice_lite": (
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
        "sfu.transport.srtp": ("SrtpSessions",),
    },
)
