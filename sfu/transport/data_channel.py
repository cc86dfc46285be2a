"""One peer's data channels: aiortc's SCTP behind its guard, with a bounded queue on the way out.

Runs on the event loop's thread. Packets come in by `receive`, leave through the `send` given; messages come
out of `on_message`. Whatever breaks in here ends this association only. Nothing is left after `close`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import structlog
from aiortc import RTCDataChannel

from sfu.sdp.data import SCTP_PORT
from sfu.transport.association import Association
from sfu.transport.dcep import ChannelKind, MessageRefused, check_message
from sfu.transport.sctp_guard import SctpGuard, SctpLimits

__all__ = ["DataChannels", "DataLimits", "Sent"]

_log = structlog.get_logger("sfu.data")

_MAX_WAITING: Final = 1_024
"""Messages and chunks that wait for a peer, however short they are."""
_LOSSY_SHARE: Final = 8
"""What waits on the lossy channel is at most this part of the queue: late is as good as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLimits:
    """What one peer's channels take.

    Attributes:
        message_bytes: longest message from the peer.
        queue_bytes: messages that wait for a slow peer.
    """

    message_bytes: int = 16_384
    queue_bytes: int = 262_144


class Sent(Enum):
    """What became of a message."""

    QUEUED = auto()
    """It goes out, as its channel promises."""
    NO_CHANNEL = auto()
    """The peer has not opened such a channel."""
    FULL = auto()
    """The peer does not keep up: dropped."""
    TOO_LARGE = auto()
    """Longer than the peer takes: dropped."""


class DataChannels:
    """The association of one peer, from the moment its keys are there.

    Args:
        send: takes one SCTP packet; must not raise.
        on_message: is told each message of the peer; must not raise.
        is_ready: whether messages may come now; while not, packets are dropped and come again.
        counters: what was dropped, by `data_<reason>`.
        role: of our DTLS.
        remote_port, remote_bytes: what the peer's description says; 0 bytes for messages of any length.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        on_message: Callable[[ChannelKind, bytes], None],
        is_ready: Callable[[], bool] = lambda: True,
        *,
        limits: DataLimits,
        counters: Counter[str],
        role: str,
        remote_port: int,
        remote_bytes: int,
    ) -> None:
        self._on_message = on_message
        self._is_ready = is_ready
        self._limits = limits
        self._counters = counters
        self._remote_port = remote_port
        self._remote_bytes = remote_bytes
        self._open: dict[ChannelKind, RTCDataChannel] = {}
        sctp = SctpLimits(message_bytes=limits.message_bytes)
        now = asyncio.get_running_loop().time()
        self._guard = SctpGuard(sctp, port=SCTP_PORT, remote_port=remote_port, now=now)
        self._association = Association(
            send, self._takes, role=role, port=SCTP_PORT, window_bytes=sctp.held_bytes
        )
        self._association.on("datachannel", self._opened)

    @property
    def is_over(self) -> bool:
        """Whether no message can come or go any more."""
        return self._association.is_over

    @property
    def open_kinds(self) -> frozenset[ChannelKind]:
        """The channels that the peer has opened."""
        return frozenset(self._open)

    def start(self) -> None:
        """Begin the association; the peer may begin, too."""
        self._association.open(self._remote_port, self._remote_bytes)

    def receive(self, data: bytes) -> None:
        """Take one SCTP packet, as DTLS gave it. Never raises."""
        association = self._association
        if association.is_over:
            self._count("after_end")
            return
        if not self._is_ready():
            self._count("room_busy")
            return
        try:
            verdict = self._guard.receive(data, association.standing, asyncio.get_running_loop().time())
            if verdict.end:
                self._count(verdict.end)
                association.end(is_told=verdict.end != "closed_by_peer")
            elif verdict.drop:
                self._count(verdict.drop)
            else:
                association.receive(data)
        except Exception:  # noqa: BLE001 - whatever a packet broke, it breaks this association only
            _log.exception("data_association_broke")
            self._count("broke")
            association.end(is_told=True)

    def send(self, kind: ChannelKind, message: bytes) -> Sent:
        """Send a message, or drop it where the peer does not keep up. Never raises."""
        channel = self._open.get(kind)
        if channel is None or channel.readyState != "open":
            return Sent.NO_CHANNEL
        if self._remote_bytes and len(message) > self._remote_bytes:
            self._count("too_large_for_peer")
            return Sent.TOO_LARGE
        room = self._limits.queue_bytes // (_LOSSY_SHARE if kind is ChannelKind.LOSSY else 1)
        if (
            channel.bufferedAmount + len(message) > max(room, len(message))
            or self._association.waiting >= _MAX_WAITING
        ):
            self._count(f"{kind}_queue_full")
            return Sent.FULL
        channel.send(message)
        return Sent.QUEUED

    def close(self) -> None:
        """End, and tell the peer. Idempotent."""
        self._association.end(is_told=True)

    def _takes(self, stream: int, protocol: int, message: bytes) -> bool:
        channels = self._association.channels
        try:
            check_message(
                stream,
                protocol,
                message,
                channels=channels,
                kinds=[channel.label for channel in channels.values()],
                limit=self._limits.message_bytes,
            )
        except MessageRefused as error:
            self._count(error.reason)
            return False
        return True

    def _opened(self, channel: RTCDataChannel) -> None:
        kind = ChannelKind(channel.label)
        self._open[kind] = channel

        def message(data: bytes) -> None:
            self._on_message(kind, data)

        def closed() -> None:
            if self._open.get(kind) is channel:
                del self._open[kind]

        channel.on("message", message)
        channel.on("close", closed)

    def _count(self, reason: str) -> None:
        self._counters[f"data_{reason}"] += 1
