"""The contract between the media plane and a media engine: commands in, events out.

`native.py` is the product, `fake.py` the model; both pass `tests/sfu/engine/test_contract.py`.
All methods run on the event loop's thread. A command returns an `Ack` at once; awaiting it is how one knows:
it comes when every worker concerned has done its part.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from media.gates import Gate
from sfu.engine.events import Event, Stats
from sfu.engine.types import (
    NO_MASTERS,
    NO_STAGE,
    Ack,
    Address,
    EngineCodec,
    EngineEncoding,
    ForwardId,
    Kind,
    Masters,
    PathKind,
    SinkId,
    StageId,
    TapId,
    TrackId,
    TransportId,
)

Listener = Callable[[Event], None]


class Engine(Protocol):
    """Sockets, packets and gates of one server process.

    Raises (every command):
        QueueFull: the worker's bounded queue is full; nothing was done.
    """

    @property
    def workers(self) -> int:
        """How many workers there are; a worker is named by its index."""
        ...

    def addresses(self, worker: int) -> list[Address]:
        """The bound UDP addresses of a worker; the index is the `socket` of paths and events."""
        ...

    def tcp_addresses(self) -> list[Address]:
        """Where ICE-TCP is accepted, for all workers; the index is the `socket` of paths of that kind."""
        ...

    def listen(self, listener: Listener) -> None:
        """Set who gets every event but `Acked` and `Stats`; called on the loop, must not block or raise."""
        ...

    async def close(self) -> None:
        """Stop threads and close sockets; commands that still wait fail. Idempotent."""
        ...

    # transports
    def add_transport(self, transport: TransportId, worker: int, ufrags: Sequence[str]) -> Ack:
        """Make a transport; STUN whose USERNAME starts with "<ufrag>:" is delivered for it."""
        ...

    def add_injected_transport(self, transport: TransportId, worker: int, sink: SinkId) -> Ack:
        """Make a transport whose packets a local process writes, as tap records, to its end of a sink.

        Its tracks are added as any other's. Wishes for keyframes come back as records of kind 4.
        """
        ...

    def set_ufrags(self, transport: TransportId, ufrags: Sequence[str]) -> Ack:
        """Replace the ufrags of a transport (ICE restart: both live for a while)."""
        ...

    def lend_credentials(self, transport: TransportId, ufrag: str, pwd: str) -> Ack:
        """Let the engine answer plain checks with these on the selected path; empty ones: no more.

        Who was heard is told by `Heard` events. An engine may leave all checks to Python.
        """
        ...

    def bind_path(
        self,
        transport: TransportId,
        socket: int,
        ip: str,
        port: int,
        *,
        selected: bool,
        kind: PathKind = "udp",
    ) -> Ack:
        """Bind a remote address after an authenticated check; 4 at most, the oldest unselected is evicted.

        A TCP path is a connection that the remote made; one that stays unbound is closed within seconds.
        """
        ...

    def unbind_path(
        self, transport: TransportId, socket: int, ip: str, port: int, *, kind: PathKind = "udp"
    ) -> Ack:
        """Forget a remote address."""
        ...

    def send(
        self, worker: int, socket: int, ip: str, port: int, data: bytes, *, kind: PathKind = "udp"
    ) -> None:
        """Send one datagram as it is: a STUN answer, a DTLS record."""
        ...

    def set_srtp(
        self, transport: TransportId, rx: int, tx: int, profile: str, masters: Masters = NO_MASTERS
    ) -> Ack:
        """Give `srtp_t` pointers; they must live until `remove_transport` is acknowledged.

        With the masters (16 bytes of key, 12 of salt) that sessions of AES-128-GCM were made with, RTP
        packets may go past libsrtp, by a faster cipher.
        """
        ...

    def set_receive_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """Name the header extensions that the peer sends."""
        ...

    def set_send_extensions(self, transport: TransportId, ids: Mapping[str, int]) -> Ack:
        """Name the header extensions that the peer accepts."""
        ...

    def set_wanted(self, transport: TransportId, bps: int) -> Ack:
        """Say what all that a subscriber is to get would take: how far probing its path is worth while."""
        ...

    def remove_transport(self, transport: TransportId) -> Ack:
        """Remove a transport with its tracks, forwards and taps."""
        ...

    # publisher side
    def add_track(
        self,
        track: TrackId,
        transport: TransportId,
        kind: Kind,
        mid: str,
        codecs: Sequence[EngineCodec],
        encodings: Sequence[EngineEncoding],
        *,
        nack: bool,
        twcc: bool,
        e2ee: bool = False,
        fir: bool = False,
        stage: StageId = NO_STAGE,
    ) -> Ack:
        """Take one source of a publisher.

        `e2ee`: encrypted end to end. Layers come from header extensions alone; taps, and forwards behind a
        gate, are refused with "e2ee". `fir`: it understands keyframe requests as FIR only. `stage`: where an
        audio track competes for being heard.
        """
        ...

    def set_stage(self, worker: int, stage: StageId, places: int) -> Ack:
        """Forward only so many audio tracks of a stage, the loudest; 0: all of them, and 64 at most.

        Taps, and forwards behind a gate, get every track all the same. A stage without tracks and without
        places is forgotten.
        """
        ...

    def remove_track(self, track: TrackId) -> Ack:
        """Remove a track with its forwards and taps."""
        ...

    def set_track_enabled(self, track: TrackId, *, enabled: bool) -> Ack:
        """Let a track through, or drop it after decryption (server-enforced mute)."""
        ...

    def request_keyframe(self, track: TrackId) -> Ack:
        """Ask the publisher for a keyframe; throttled for each encoding."""
        ...

    # subscriber side
    def add_forward(
        self,
        forward: ForwardId,
        track: TrackId,
        transport: TransportId,
        ssrc: int,
        rtx_ssrc: int,
        mid: str,
        payload_types: Mapping[str, tuple[int, int]],
        gate: Gate,
        *,
        paused: bool,
    ) -> Ack:
        """Forward a track to a transport, on whichever workers they live.

        `payload_types` maps codec name to (pt, rtx_pt or -1).

        As soon as the transport has a path and keys and the forward is not paused, it begins with what is
        there since the track's last keyframe, if that is whole and at most 0.3 s old, or with the newest
        sound; nothing from before a gate was seen open or a mute ended. Else a keyframe is asked for.
        """
        ...

    def set_forward(
        self,
        forward: ForwardId,
        *,
        paused: bool,
        spatial: int = -1,
        temporal: int = -1,
        at_once: bool = False,
    ) -> Ack:
        """Choose layers (-1: the best), or pause.

        `spatial` is a simulcast encoding's index, or a layer inside the one encoding. While that encoding is
        silent, the next smaller picture is sent, else the smallest.
        Another encoding begins at its next keyframe. Until then the present one goes on; `at_once` ends it
        with the picture under way, for a path that does not carry it.
        """
        ...

    def set_forward_source(self, forward: ForwardId, track: TrackId, gate: Gate) -> Ack:
        """Feed a forward from another track of the same kind, on the same ssrc, from its next keyframe."""
        ...

    def set_forward_gate(self, forward: ForwardId, gate: Gate) -> Ack:
        """Put a forward behind another gate position."""
        ...

    def remove_forward(self, forward: ForwardId) -> Ack:
        """End a forward."""
        ...

    # taps
    def add_sink(self, sink: SinkId, fd: int) -> Ack:
        """Give a connected SOCK_SEQPACKET for taps of any worker; duplicated before this returns."""
        ...

    def remove_sink(self, sink: SinkId) -> Ack:
        """Close a sink with its taps."""
        ...

    def add_tap(self, tap: TapId, track: TrackId, sink: SinkId, gate: Gate) -> Ack:
        """Copy a track's packets to a sink while the gate holds."""
        ...

    def set_tap_gate(self, tap: TapId, gate: Gate) -> Ack:
        """Put a tap behind another gate position."""
        ...

    def remove_tap(self, tap: TapId) -> Ack:
        """End a tap."""
        ...

    # gates
    def open_gate(self, slot: int, version: int) -> None:
        """Store `version << 1 | 1` in the shared page, at once."""
        ...

    def close_gate(self, slot: int, version: int) -> None:
        """Store `version << 1` in the shared page, at once."""
        ...

    def fence(self, worker: int) -> Ack:
        """Acknowledged when no packet admitted before the call is left in any buffer of the worker."""
        ...

    async def query_stats(self, worker: int) -> Stats:
        """Counters of a worker and its objects."""
        ...


class ClientEngine(Engine, Protocol):
    """An engine that can also be the offering side, for load and tests."""

    def add_client_transport(
        self,
        transport: TransportId,
        worker: int,
        socket: int,
        ip: str,
        port: int,
        *,
        loss: float = 0.0,
        rtx_pt: int = -1,
    ) -> Ack:
        """Make a transport with one fixed path; its STUN and DTLS are delivered as they are.

        `loss`: share of the RTP that comes which is thrown away, as a bad network would. `rtx_pt`: ask for
        what is missing, and take repairs of this payload type; -1: never.
        """
        ...

    def add_generator(
        self,
        track: TrackId,
        transport: TransportId,
        ssrc: int,
        pt: int,
        clock_hz: int,
        packets_per_s: float,
        burst: int,
        size: int,
        mid: str,
        codec: str,
        *,
        rid: str = "",
        height: int = 0,
    ) -> Ack:
        """Send full-rate RTP whose payload carries the send time.

        `rid`: of a simulcast encoding, in every packet. `height`: what VP8 keyframes tell; 0: nothing.
        """
        ...

    def remove_generator(self, track: TrackId) -> Ack:
        """Stop a generator."""
        ...
