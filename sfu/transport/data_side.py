"""What a peer connection has of data channels: agreed to first, begun when the keys are there, ended once."""

from collections import Counter
from collections.abc import Callable

from sfu.config import MediaConfig
from sfu.sdp import DataSection
from sfu.transport.data_channel import DataChannels, DataLimits, Sent
from sfu.transport.dcep import ChannelKind

__all__ = ["DataSide"]


class DataSide:
    """The data channels of one peer; every method is fine at any time.

    Args:
        send: takes one SCTP packet; must not raise.
        on_message: is told each message; must not raise.
        is_ready: whether messages may come now.
    """

    def __init__(
        self,
        config: MediaConfig,
        counters: Counter[str],
        *,
        send: Callable[[bytes], None],
        on_message: Callable[[ChannelKind, bytes], None],
        is_ready: Callable[[], bool],
    ) -> None:
        self._config = config
        self._counters = counters
        self._send = send
        self._on_message = on_message
        self._is_ready = is_ready
        self._section: DataSection | None = None
        self._channels: DataChannels | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether data channels are agreed to."""
        return self._section is not None

    def agree(self, section: DataSection | None) -> None:
        """Take what was agreed; None ends what there is. A section that goes on changes nothing."""
        if section is None:
            channels, self._channels, self._section = self._channels, None, None
            if channels is not None:
                channels.close()
        elif self._section is None:
            self._section = section

    def begin(self, role: str) -> None:
        """The keys are there, and `role` is our side of DTLS; a second time changes nothing."""
        section = self._section
        if section is None or self._channels is not None:
            return
        config = self._config
        self._channels = DataChannels(
            self._send,
            self._on_message,
            self._is_ready,
            limits=DataLimits(message_bytes=config.data_message_bytes, queue_bytes=config.data_queue_bytes),
            counters=self._counters,
            role=role,
            remote_port=section.port,
            remote_bytes=section.message_bytes,
        )
        self._channels.start()

    def receive(self, data: bytes) -> None:
        """Take what DTLS carried."""
        if self._channels is not None:
            self._channels.receive(data)

    def send(self, kind: ChannelKind, message: bytes) -> Sent:
        """Send a message on a channel that the peer has opened."""
        return Sent.NO_CHANNEL if self._channels is None else self._channels.send(kind, message)
