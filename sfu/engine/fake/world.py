"""What the model engine knows: transports with their paths, tracks, forwards and taps.

PURE: no I/O.
"""

from collections import Counter
from dataclasses import dataclass, field

from media.gates import Gate
from sfu.engine.fake.recent import Recent
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import (
    EngineEncoding,
    ForwardId,
    Kind,
    PathKind,
    SinkId,
    TapId,
    TrackId,
    TransportId,
)


@dataclass(slots=True)
class Path:
    """By what a remote is reached."""

    socket: int
    ip: str
    port: int
    kind: PathKind
    is_selected: bool


@dataclass(slots=True)
class Transport:
    """One peer's transport."""

    worker: int
    ufrags: tuple[str, ...]
    lent: tuple[str, str] = ("", "")
    """Credentials for checks; the model answers none."""
    paths: list[Path] = field(default_factory=list)
    rx: int = 0
    tx: int = 0
    receive_extensions: dict[str, int] = field(default_factory=dict)
    wanted_bps: int = 0
    send_extensions: dict[str, int] = field(default_factory=dict)
    is_proven: bool = False
    is_idle: bool = False
    heard_at: float = 0.0
    counters: Counter[str] = field(default_factory=Counter)

    def path(self, socket: int, ip: str, port: int, kind: PathKind) -> Path | None:
        """The path of that name, if the transport has it."""
        wanted = (socket, ip, port, kind)
        return next((p for p in self.paths if (p.socket, p.ip, p.port, p.kind) == wanted), None)

    @property
    def selected(self) -> Path | None:
        """By which it is sent to."""
        return next((p for p in self.paths if p.is_selected), None)


@dataclass(slots=True)
class Track:
    """One source of a publisher."""

    transport: TransportId
    kind: Kind
    mid: str
    codecs: dict[int, str]
    """Names by payload type."""
    encodings: tuple[EngineEncoding, ...]
    is_e2ee: bool
    is_enabled: bool = True
    seen: dict[int, tuple[int, str]] = field(default_factory=dict)
    """(ssrc, codec) of each encoding that has sent, by its index."""
    recent: dict[int, Recent] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Forward:
    """One track to one subscriber."""

    track: TrackId
    transport: TransportId
    ssrc: int
    mid: str
    payload_types: dict[str, tuple[int, int]]
    gate: Gate
    is_paused: bool
    next_seq: int = 1000
    source_ssrc: int = 0
    source_seq: int = 0
    open_since: float | None = None
    """When the gate was seen open; what came earlier belongs to another grant."""
    refused: str = ""
    """The codec that the subscriber was said not to have."""
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tap:
    """One track to one sink."""

    track: TrackId
    sink: SinkId
    gate: Gate
    codec: str = ""
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class World:
    """The tables, and what belongs to what."""

    transports: dict[TransportId, Transport] = field(default_factory=dict)
    tracks: dict[TrackId, Track] = field(default_factory=dict)
    forwards: dict[ForwardId, Forward] = field(default_factory=dict)
    taps: dict[TapId, Tap] = field(default_factory=dict)

    def bound(self, worker: int, socket: int, ip: str, port: int, kind: PathKind) -> TransportId | None:
        """Whose path that is."""
        for transport, state in self.transports.items():
            is_here = state.worker == worker or kind == "tcp"
            if is_here and state.path(socket, ip, port, kind) is not None:
                return transport
        return None

    def named(self, ufrag: str | None, worker: int, kind: PathKind) -> TransportId | None:
        """Whom a check for that ufrag is for.

        A connection is led to the worker that owns the transport; a datagram came to one worker.
        """
        for transport, state in self.transports.items():
            if ufrag in state.ufrags and (state.worker == worker or kind == "tcp"):
                return transport
        return None

    def source(self, transport: TransportId, packet: FakeRtp) -> tuple[TrackId, int] | None:
        """Which track and encoding a packet is of: by ssrc, else by its mid and rid."""
        extensions = self.transports[transport].receive_extensions
        mid = packet.extensions.get(extensions.get("mid", 0), b"").decode("ascii", "replace")
        rid = packet.extensions.get(extensions.get("rid", 0), b"").decode("ascii", "replace")
        for track, state in self.tracks.items():
            if state.transport != transport:
                continue
            for index, encoding in enumerate(state.encodings):
                known = state.seen.get(index, (encoding.ssrc, ""))[0]
                by_name = mid == state.mid and encoding.rid == rid
                if packet.ssrc == known or (not known and mid and by_name):
                    return track, index
        return None

    def rows(self, worker: int) -> tuple[tuple[dict[str, int], ...], ...]:
        """Counters of a worker's transports, tracks, forwards and taps."""
        mine = {number: state for number, state in self.transports.items() if state.worker == worker}
        return (
            tuple({"transport": n, "wanted_bps": s.wanted_bps, **s.counters} for n, s in mine.items()),
            tuple({"track": n, **s.counters} for n, s in self.tracks.items() if s.transport in mine),
            tuple({"forward": n, **s.counters} for n, s in self.forwards.items() if s.transport in mine),
            tuple(
                {"tap": n, **s.counters}
                for n, s in self.taps.items()
                if self.tracks[s.track].transport in mine
            ),
        )

    def remove_transport(self, transport: TransportId) -> None:
        """Forget a transport with its tracks and forwards."""
        del self.transports[transport]
        for track in [t for t, state in self.tracks.items() if state.transport == transport]:
            self.remove_track(track)
        for forward in [f for f, state in self.forwards.items() if state.transport == transport]:
            del self.forwards[forward]

    def remove_track(self, track: TrackId) -> None:
        """Forget a track with its forwards and taps."""
        del self.tracks[track]
        for forward in [f for f, state in self.forwards.items() if state.track == track]:
            del self.forwards[forward]
        for tap in [t for t, state in self.taps.items() if state.track == track]:
            del self.taps[tap]

    def remove_sink(self, sink: SinkId) -> None:
        """Forget the taps that write into a sink."""
        for tap in [t for t, state in self.taps.items() if state.sink == sink]:
            del self.taps[tap]
