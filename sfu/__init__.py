"""The media plane: peers, tracks and taps of a room, on the native core. It knows no permission: it is told.

The facade is lazy: a name's module is loaded at its first use, so that importing `sfu` costs nothing.
"""

from typing import TYPE_CHECKING

from media.facade import lazy

if TYPE_CHECKING:
    from media.gates import Gate
    from sfu.allocate import BEST, SCREEN_PRIORITY
    from sfu.config import MediaConfig
    from sfu.engine.srtp_table import check_srtp, gcm_implementation
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
    "gcm_implementation",
    "probe_call",
    "probe_offer",
    "probe_targets",
]

__getattr__ = lazy(
    __name__,
    {
        "media.gates": ("Gate",),
        "sfu.allocate": ("BEST", "SCREEN_PRIORITY"),
        "sfu.config": ("MediaConfig",),
        "sfu.engine.srtp_table": ("check_srtp", "gcm_implementation"),
        "sfu.engine.types": ("ALWAYS_OPEN", "Kind", "SinkId", "TapId", "TrackId"),
        "sfu.errors": (
            "EndToEndEncrypted",
            "EngineError",
            "NegotiationError",
            "QueueFull",
            "RouterClosed",
            "SdpError",
            "SfuError",
            "TooManyPeers",
            "UnknownPeer",
            "UnknownTrack",
        ),
        "sfu.plane": ("MediaPlane",),
        "sfu.probe": (
            "PlaneProbe",
            "ProbeFailed",
            "ProbeReport",
            "ProbeTarget",
            "probe_call",
            "probe_offer",
            "probe_targets",
        ),
        "sfu.route.answers": ("PublishAnswer", "PublishedTrack", "SubscribeOffer", "ViewerAnswer"),
        "sfu.route.data_queue": ("DataQueue", "DataReceived", "DataSent"),
        "sfu.route.events": (
            "ActiveSpeaker",
            "CodecUnsupported",
            "EventQueue",
            "EventsLost",
            "LayerChosen",
            "LayersWanted",
            "Levels",
            "OfferNeeded",
            "PeerActive",
            "PeerConnected",
            "PeerFailed",
            "PeerId",
            "PeerIdle",
            "PlaneEvent",
            "SinkClosed",
            "SubscriberId",
            "TrackAdded",
            "TrackCodec",
            "TrackRemoved",
        ),
        "sfu.route.router": ("Router",),
        "sfu.sdp": ("CodecPolicy",),
        "sfu.stats": ("ForwardStats", "PeerStats", "PlaneStats", "RouterStats", "TapStats", "TrackStats"),
        "sfu.tap": ("Sink",),
        "sfu.transport.dcep": ("ChannelKind",),
    },
)
