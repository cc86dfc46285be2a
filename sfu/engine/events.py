"""What the media engine tells Python: typed twins of the tuples that `_core.Engine.poll` gives.

PURE: no I/O.
"""

from dataclasses import dataclass
from typing import Any

from sfu.engine.types import ForwardId, PathKind, SinkId, TrackId, TransportId


@dataclass(frozen=True, slots=True)
class Acked:
    """The engine's answer to one command; `error` is empty when it worked."""

    ack: int
    error: str


@dataclass(frozen=True, slots=True)
class Stun:
    """A STUN message with a known local ufrag; its integrity is not yet checked."""

    worker: int
    socket: int
    ip: str
    port: int
    transport: TransportId
    data: bytes
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class Dtls:
    """A DTLS datagram from a path that an authenticated check bound to the transport."""

    transport: TransportId
    socket: int
    ip: str
    port: int
    data: bytes
    kind: PathKind = "udp"


@dataclass(frozen=True, slots=True)
class PathClosed:
    """The TCP connection that carried a bound path is gone, and the path with it."""

    transport: TransportId
    socket: int
    ip: str
    port: int
    kind: PathKind


@dataclass(frozen=True, slots=True)
class Proven:
    """The first authentic SRTP or SRTCP: the other side has the keys."""

    transport: TransportId


@dataclass(frozen=True, slots=True)
class Idle:
    """No authentic packet for the configured time."""

    transport: TransportId


@dataclass(frozen=True, slots=True)
class Active:
    """Authentic packets again after `Idle`."""

    transport: TransportId


@dataclass(frozen=True, slots=True)
class EncodingSeen:
    """An encoding's first packet, or its first one in another codec."""

    track: TrackId
    encoding_index: int
    ssrc: int
    rid: str
    codec: str


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A keyframe began on an encoding (at most one event a second each)."""

    track: TrackId
    encoding_index: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Audio levels of one worker's tracks: (track, level in -dBov 0..127 as on the wire, voice flag)."""

    worker: int
    levels: tuple[tuple[TrackId, int, bool], ...]


@dataclass(frozen=True, slots=True)
class CodecUnsupported:
    """A forward's subscriber has no payload type for the codec that the track now sends."""

    forward: ForwardId
    codec: str


@dataclass(frozen=True, slots=True)
class SinkClosed:
    """A tap socket's consumer is gone."""

    sink: SinkId
    reason: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Answer to `query_stats`: counters of one worker, and one mapping for each of its objects."""

    ack: int
    worker: dict[str, int]
    transports: tuple[dict[str, Any], ...]
    tracks: tuple[dict[str, Any], ...]
    forwards: tuple[dict[str, Any], ...]
    taps: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A subscriber's estimated downlink, bits per second."""

    transport: TransportId
    bps: int


@dataclass(frozen=True, slots=True)
class Layers:
    """What the layers of a track take at present, about once a second.

    Rows of (encoding index from low to high, spatial layer inside it, temporal layer, bits per second of
    everything in the encoding up to this layer, height of the encoding's picture in pixels or 0). Of sound
    the copies of RED, if there are any, are the upper temporal layer.
    """

    track: TrackId
    layers: tuple[tuple[int, int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """Transports whose checks the engine answered since the last such event.

    Rows of (transport, age of its last check in milliseconds).
    """

    heard: tuple[tuple[TransportId, int], ...]


TransportEvent = Stun | Dtls | PathClosed | Proven | Idle | Active | Bandwidth
"""What concerns one transport alone."""

Event = (
    TransportEvent
    | Acked
    | EncodingSeen
    | Keyframe
    | Levels
    | CodecUnsupported
    | SinkClosed
    | Stats
    | Layers
    | Heard
)


def _levels(worker: int, levels: Any) -> Levels:
    return Levels(worker, tuple((TrackId(track), level, voice) for track, level, voice in levels))


def _layers(track: int, layers: Any) -> Layers:
    return Layers(TrackId(track), tuple(layers))


def _heard(rows: Any) -> Heard:
    return Heard(tuple(rows))


def _stats(ack: int, worker: Any, transports: Any, tracks: Any, forwards: Any, taps: Any) -> Stats:
    return Stats(ack, worker, tuple(transports), tuple(tracks), tuple(forwards), tuple(taps))


_PARSERS: dict[str, Any] = {
    "ack": Acked,
    "stun": Stun,
    "dtls": Dtls,
    "path_closed": PathClosed,
    "proven": Proven,
    "idle": Idle,
    "active": Active,
    "encoding": EncodingSeen,
    "keyframe": Keyframe,
    "levels": _levels,
    "codec_unsupported": CodecUnsupported,
    "sink_closed": SinkClosed,
    "stats": _stats,
    "bandwidth": Bandwidth,
    "layers": _layers,
    "heard": _heard,
}


def parse(event: tuple[Any, ...]) -> Event | None:
    """Type one tuple of the engine; None for a name that this version does not know.

    Raises:
        TypeError: the tuple has the wrong number of fields (the core and this file disagree).
    """
    parser = _PARSERS.get(event[0])
    if parser is None:
        return None
    typed: Event = parser(*event[1:])
    return typed
