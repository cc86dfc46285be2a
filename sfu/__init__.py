"""The media plane: peers, tracks and taps of a room, on the native core. It knows no permission: it is told.

The facade is lazy: a name's module is loaded at its first use, so that importing `sfu` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from media.gates import Gate
    from sfu.allocate import BEST, SCREEN_PRIORITY
    from sfu.config import MediaConfig
    from sfu.engine.srtp_table import check_srtp
    from sfu.engine.types import ALWAYS_OPEN, Kind, SinkId, TapId, TrackId
    from sfu.errors import (
        EndToEndEncrypted,
        EngineError,
        NegotiationError,
        QueueFull,
        RouterClosed,
        SdpError,
        SfuError,
        TooManyPeers,
        UnknownPeer,
        UnknownTrack,
    )
    from sfu.plane import MediaPlane
    from sfu.probe import (
        PlaneProbe,
        ProbeFailed,
        ProbeReport,
        ProbeTarget,
        probe_call,
        probe_offer,
        probe_targets,
    )
    from sfu.route.answers import PublishAnswer, PublishedTrack, SubscribeOffer, ViewerAnswer
    from sfu.route.data_queue import DataQueue, DataReceived, DataSent
    from sfu.route.events import (
        ActiveSpeaker,
        CodecUnsupported,
        EventQueue,
        EventsLost,
        LayerChosen,
        LayersWanted,
        Levels,
        OfferNeeded,
        PeerActive,
        PeerConnected,
        PeerFailed,
        PeerId,
        PeerIdle,
        PlaneEvent,
        SinkClosed,
        SubscriberId,
        TrackAdded,
        TrackCodec,
        TrackRemoved,
    )
    from sfu.route.router import Router
    from sfu.sdp import CodecPolicy
    from sfu.stats import ForwardStats, PeerStats, PlaneStats, RouterStats, TapStats, TrackStats
    from sfu.tap import Sink
    from sfu.transport.dcep import ChannelKind

_HOMES = {
    "ALWAYS_OPEN": "sfu.engine.types",
    "BEST": "sfu.allocate",
    "SCREEN_PRIORITY": "sfu.allocate",
    "ActiveSpeaker": "sfu.route.events",
    "ChannelKind": "sfu.transport.dcep",
    "CodecPolicy": "sfu.sdp",
    "CodecUnsupported": "sfu.route.events",
    "DataQueue": "sfu.route.data_queue",
    "DataReceived": "sfu.route.data_queue",
    "DataSent": "sfu.route.data_queue",
    "EndToEndEncrypted": "sfu.errors",
    "EngineError": "sfu.errors",
    "EventQueue": "sfu.route.events",
    "EventsLost": "sfu.route.events",
    "ForwardStats": "sfu.stats",
    "Gate": "media.gates",
    "Kind": "sfu.engine.types",
    "LayerChosen": "sfu.route.events",
    "LayersWanted": "sfu.route.events",
    "Levels": "sfu.route.events",
    "MediaConfig": "sfu.config",
    "MediaPlane": "sfu.plane",
    "NegotiationError": "sfu.errors",
    "OfferNeeded": "sfu.route.events",
    "PeerActive": "sfu.route.events",
    "PeerConnected": "sfu.route.events",
    "PeerFailed": "sfu.route.events",
    "PeerId": "sfu.route.events",
    "PeerIdle": "sfu.route.events",
    "PeerStats": "sfu.stats",
    "PlaneEvent": "sfu.route.events",
    "PlaneStats": "sfu.stats",
    "PlaneProbe": "sfu.probe",
    "ProbeFailed": "sfu.probe",
    "ProbeReport": "sfu.probe",
    "ProbeTarget": "sfu.probe",
    "PublishAnswer": "sfu.route.answers",
    "PublishedTrack": "sfu.route.answers",
    "QueueFull": "sfu.errors",
    "Router": "sfu.route.router",
    "RouterClosed": "sfu.errors",
    "RouterStats": "sfu.stats",
    "SdpError": "sfu.errors",
    "SfuError": "sfu.errors",
    "Sink": "sfu.tap",
    "SinkClosed": "sfu.route.events",
    "SinkId": "sfu.engine.types",
    "SubscribeOffer": "sfu.route.answers",
    "SubscriberId": "sfu.route.events",
    "TapId": "sfu.engine.types",
    "TapStats": "sfu.stats",
    "TooManyPeers": "sfu.errors",
    "TrackAdded": "sfu.route.events",
    "TrackCodec": "sfu.route.events",
    "TrackId": "sfu.engine.types",
    "TrackRemoved": "sfu.route.events",
    "TrackStats": "sfu.stats",
    "UnknownPeer": "sfu.errors",
    "UnknownTrack": "sfu.errors",
    "ViewerAnswer": "sfu.route.answers",
    "check_srtp": "sfu.engine.srtp_table",
    "probe_call": "sfu.probe",
    "probe_offer": "sfu.probe",
    "probe_targets": "sfu.probe",
}

__all__ = [
    "ALWAYS_OPEN",
    "BEST",
    "SCREEN_PRIORITY",
    "ActiveSpeaker",
    "ChannelKind",
    "CodecPolicy",
    "CodecUnsupported",
    "DataQueue",
    "DataReceived",
    "DataSent",
    "EndToEndEncrypted",
    "EngineError",
    "EventQueue",
    "EventsLost",
    "ForwardStats",
    "Gate",
    "Kind",
    "LayerChosen",
    "LayersWanted",
    "Levels",
    "MediaConfig",
    "MediaPlane",
    "NegotiationError",
    "OfferNeeded",
    "PeerActive",
    "PeerConnected",
    "PeerFailed",
    "PeerId",
    "PeerIdle",
    "PeerStats",
    "PlaneEvent",
    "PlaneProbe",
    "PlaneStats",
    "ProbeFailed",
    "ProbeReport",
    "ProbeTarget",
    "PublishAnswer",
    "PublishedTrack",
    "QueueFull",
    "Router",
    "RouterClosed",
    "RouterStats",
    "SdpError",
    "SfuError",
    "Sink",
    "SinkClosed",
    "SinkId",
    "SubscribeOffer",
    "SubscriberId",
    "TapId",
    "TapStats",
    "TooManyPeers",
    "TrackAdded",
    "TrackCodec",
    "TrackId",
    "TrackRemoved",
    "TrackStats",
    "UnknownPeer",
    "UnknownTrack",
    "ViewerAnswer",
    "check_srtp",
    "probe_call",
    "probe_offer",
    "probe_targets",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'sfu' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
