"""Which SCTP packets an association may see: well formed, plausible, within budgets. PURE.

The association behind it is aiortc's, which expands what it is told (SACK gaps), keeps what it is sent
(fragments), and takes a new INIT at its word at any time. So nothing reaches it that is not plausible for
where it stands (`Standing`), and nothing of a peer can make it grow beyond `SctpLimits`. What is dropped is
not acknowledged: an honest peer sends it again.

Source: RFC 9260 sections 5 and 6, RFC 3758 section 3.6, RFC 6525 section 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from sfu.transport.budget import Budget
from sfu.transport.sctp_packet import (
    Chunk,
    Control,
    Data,
    End,
    ForwardTsn,
    Handshake,
    Init,
    Reset,
    ResetAnswer,
    Sack,
    SctpError,
    SctpPacket,
    parse_sctp,
)

__all__ = ["STREAMS", "SctpGuard", "SctpLimits", "Standing", "Verdict", "ahead"]

STREAMS: Final = 64
"""Streams each way; a room's data needs two."""

_U32: Final = 1 << 32
_MAX_INITS: Final = 16
_FORWARD_WINDOW: Final = 65_535
_GAPS_FOR_A_CHUNK: Final = 64
"""TSNs that the gaps of a SACK may name at the cost of one chunk."""
_DEAREST_SACK: Final = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpLimits:
    """What one peer may make its association do and hold."""

    packets_per_s: float = 500.0
    packets_burst: int = 1_000
    chunks_per_s: float = 300.0
    """Chunks of data; a SACK counts by what its gaps cover."""
    chunks_burst: int = 3_000
    controls_per_s: float = 10.0
    """Handshakes, resets, heartbeats and errors."""
    controls_burst: int = 60
    window: int = 256
    """How far beyond what is complete a TSN may lie."""
    held_bytes: int = 131_072
    """Bytes that wait for what is missing; also the window that the peer is told."""
    held_chunks: int = 320
    message_bytes: int = 16_384
    """The longest message: it may be held on top of `held_bytes` while it comes in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an association stands, as its guard must know it.

    Attributes:
        tag: what the peer's packets carry.
        received_tsn: up to here everything has come; None before the peer's INIT.
        reset_sequence: of the peer's last reset.
        held_bytes, held_chunks: what waits for something that is missing.
        acked_tsn, sent_tsn: what the peer has acknowledged, and the last that it can.
    """

    tag: int
    is_established: bool
    received_tsn: int | None
    reset_sequence: int
    held_bytes: int
    held_chunks: int
    acked_tsn: int
    sent_tsn: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a packet: pass it on when `drop` is "".

    `drop` and `end` are stable reasons: of a packet that is dropped, and of an association that must end.
    """

    drop: str = ""
    end: str = ""


PASS: Final = Verdict()


class SctpGuard:
    """Judges the packets of one association; keeps two counts and three budgets, whatever comes."""

    def __init__(self, limits: SctpLimits, *, port: int, remote_port: int, now: float) -> None:
        self._limits = limits
        self._port = port
        self._remote_port = remote_port
        self._packets = Budget(per_s=limits.packets_per_s, burst=limits.packets_burst, now=now)
        self._chunks = Budget(per_s=limits.chunks_per_s, burst=limits.chunks_burst, now=now)
        self._controls = Budget(per_s=limits.controls_per_s, burst=limits.controls_burst, now=now)
        self._init: Init | None = None
        self._inits = 0

    def receive(self, data: bytes, standing: Standing, now: float) -> Verdict:
        """Judge one packet. Never raises."""
        if not self._packets.allow(now):
            return Verdict(drop="over_packet_rate")
        try:
            packet = parse_sctp(data)
            self._check_address(packet, standing)
            if not self._chunks.allow(now, sum(_cost(chunk) for chunk in packet.chunks)):
                return Verdict(drop="over_chunk_rate")
            return self._judge(packet, standing, now)
        except SctpError as error:
            return Verdict(drop=error.reason)

    def _check_address(self, packet: SctpPacket, standing: Standing) -> None:
        if (packet.source, packet.destination) != (self._remote_port, self._port):
            raise SctpError("port")
        is_init = isinstance(packet.chunks[0], Init) and not packet.chunks[0].is_ack
        # RFC 9260 section 8.5.1: an INIT cannot know the tag yet.
        if packet.tag != (0 if is_init else standing.tag):
            raise SctpError("tag")

    def _judge(self, packet: SctpPacket, standing: Standing, now: float) -> Verdict:
        is_open = standing.is_established
        for chunk in packet.chunks:
            match chunk:
                case End():
                    return Verdict(end="closed_by_peer")
                case Init():
                    self._spend_control(now)
                    self._check_init(chunk, standing)
                case Handshake():
                    self._spend_control(now)
                    is_open = True
                case Control():
                    self._spend_control(now)
                case Data() | ForwardTsn() | Sack() | Reset() | ResetAnswer() if not is_open:
                    raise SctpError("not_established")
                case Data():
                    pass
                case ForwardTsn():
                    _check_forward(chunk, standing)
                case Sack():
                    _check_sack(chunk, standing)
                case Reset():
                    self._spend_control(now)
                    self._check_reset(chunk, standing)
                case ResetAnswer():
                    self._spend_control(now)
                case _ as never:
                    assert_never(never)
        return self._check_data([chunk for chunk in packet.chunks if isinstance(chunk, Data)], standing)

    def _spend_control(self, now: float) -> None:
        if not self._controls.allow(now):
            raise SctpError("over_control_rate")

    def _check_init(self, chunk: Init, standing: Standing) -> None:
        if standing.is_established:
            raise SctpError("init_restart")
        self._inits += 1
        if self._inits > _MAX_INITS:
            raise SctpError("init_flood")
        if chunk.is_ack:
            return
        # A repeated INIT is the same INIT; another one would be another association (RFC 9260 section 5.2.2).
        if self._init is not None and self._init != chunk:
            raise SctpError("init_changed")
        self._init = chunk

    def _check_reset(self, chunk: Reset, standing: Standing) -> None:
        if any(stream >= STREAMS for stream in chunk.streams):
            raise SctpError("stream")
        if (chunk.sequence - standing.reset_sequence) % _U32 > 1:
            raise SctpError("reset_sequence")
        received = standing.received_tsn
        if received is None or ahead(chunk.last_tsn, received) > self._limits.window:
            raise SctpError("reset_tsn")

    def _check_data(self, chunks: list[Data], standing: Standing) -> Verdict:
        if not chunks:
            return PASS
        received = standing.received_tsn
        if received is None:
            raise SctpError("not_established")
        limits, fresh = self._limits, 0
        for chunk in chunks:
            if chunk.stream >= STREAMS:
                raise SctpError("stream")
            distance = ahead(chunk.tsn, received)
            if distance > limits.window:
                raise SctpError("tsn_window")
            fresh += distance > 0
        if not fresh:
            return PASS
        held_bytes = standing.held_bytes + sum(chunk.size for chunk in chunks)
        held_chunks = standing.held_chunks + len(chunks)
        if held_bytes <= limits.held_bytes and held_chunks <= limits.held_chunks:
            return PASS
        if ahead(chunks[0].tsn, received) != 1:
            raise SctpError("held_full")
        # What comes in order frees what waits for it, unless it is one message without an end.
        if (
            held_bytes > limits.held_bytes + limits.message_bytes
            or held_chunks > limits.held_chunks + limits.window
        ):
            return Verdict(end="endless_message")
        return PASS


def _check_sack(chunk: Sack, standing: Standing) -> None:
    flight = ahead(standing.sent_tsn, standing.acked_tsn)
    if ahead(chunk.cumulative, standing.acked_tsn) > flight:
        raise SctpError("sack_tsn")
    left, last = ahead(standing.sent_tsn, chunk.cumulative), 0
    for first, end in chunk.gaps:
        if not last < first <= end <= left:
            raise SctpError("sack_gaps")
        last = end


def _check_forward(chunk: ForwardTsn, standing: Standing) -> None:
    if any(stream >= STREAMS for stream in chunk.streams):
        raise SctpError("stream")
    if standing.received_tsn is None or ahead(chunk.cumulative, standing.received_tsn) > _FORWARD_WINDOW:
        raise SctpError("forward_window")


def _cost(chunk: Chunk) -> float:
    if isinstance(chunk, Sack):
        covered = sum(max(0, end - first) for first, end in chunk.gaps)
        return min(covered / _GAPS_FOR_A_CHUNK, _DEAREST_SACK)
    return 1.0 if isinstance(chunk, Data) else 0.0


def ahead(tsn: int, base: int) -> int:
    """How far a TSN lies after another; 0 when it does not (RFC 1982)."""
    distance = (tsn - base) % _U32
    return distance if distance < _U32 // 2 else 0
