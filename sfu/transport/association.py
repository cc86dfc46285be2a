"""aiortc's SCTP, driven without tasks: each call has done all that it does when it returns.

aiortc writes its transport as coroutines that wait for nothing but the datagram's way out, and starts some
of them as tasks of their own. Here a datagram leaves at once, so that every coroutine ends at its first step
and is run to its end where it is called; what stays between calls are the timers of the association, which
end with it. Runs on the event loop's thread.

Only packets that `SctpGuard` passed may be given to `receive`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiortc import RTCDataChannel, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import Chunk

from sfu.transport.sctp_guard import STREAMS, Standing, ahead

__all__ = ["Association"]

_MAX_FLIGHT_BYTES: Final = 65_536
_U32: Final = 1 << 32


class _Carrier:
    """What aiortc asks of a DTLS transport."""

    state = "connected"

    def __init__(self, send: Callable[[bytes], None], role: str) -> None:
        self._send = send
        self._role = role

    def _register_data_receiver(self, _receiver: object) -> None: ...

    def _unregister_data_receiver(self, _receiver: object) -> None: ...

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


class Association(RTCSctpTransport):
    """One association.

    Args:
        send: takes one SCTP packet; must not raise.
        take: is asked for each whole message (stream, protocol, bytes) before anything is done with it;
            False drops it.
        role: of our DTLS.
        window_bytes: what the peer is told it may send ahead.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        take: Callable[[int, int, bytes], bool],
        *,
        role: str,
        port: int,
        window_bytes: int,
    ) -> None:
        super().__init__(_Carrier(send, role), port)  # type: ignore[arg-type]
        self._take = take
        self._window_bytes = window_bytes
        self._advertised_rwnd = window_bytes
        self._inbound_streams_max = STREAMS
        self._outbound_streams_count = STREAMS
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done.set_result(None)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by either side or by time."""
        return self.state == "closed"

    @property
    def standing(self) -> Standing:
        """Where it stands, for its guard."""
        return Standing(
            tag=self._local_verification_tag,
            is_established=self._association_state == self.State.ESTABLISHED,
            received_tsn=self._last_received_tsn,
            reset_sequence=self._reconfig_response_seq,
            held_bytes=max(0, self._window_bytes - self._advertised_rwnd),
            held_chunks=sum(len(stream.reassembly) for stream in self._inbound_streams.values()),
            acked_tsn=self._last_sacked_tsn,
            sent_tsn=(self._local_tsn - 1) % _U32,
        )

    @property
    def channels(self) -> dict[int, RTCDataChannel]:
        """The open channels, by stream."""
        return self._data_channels

    @property
    def waiting(self) -> int:
        """Messages and chunks that wait to be sent, or to be acknowledged."""
        return len(self._data_channel_queue) + len(self._outbound_queue) + len(self._sent_queue)

    def open(self, remote_port: int, message_bytes: int) -> None:
        """Begin; `message_bytes`: what the peer takes at most, 0 for anything."""
        _drive(self.start(RTCSctpCapabilities(maxMessageSize=message_bytes), remote_port))

    def receive(self, data: bytes) -> None:
        """Take one packet that the guard passed."""
        _drive(self._handle_data(data))

    def end(self, *, is_told: bool) -> None:
        """End, with an ABORT to the peer if `is_told`; no timer is left. Idempotent."""
        if not self.is_over:
            if is_told and self._association_state != self.State.CLOSED:
                _drive(self._abort())
            self._set_state(self.State.CLOSED)

    def _mark_received(self, tsn: int) -> bool:
        """Note a TSN, at a cost that does not grow with what is missing; whether it was there already."""
        received = self._last_received_tsn
        if received is None or not ahead(tsn, received) or tsn in self._sack_misordered:
            self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        while (following := (received + 1) % _U32) in self._sack_misordered:
            self._sack_misordered.discard(following)
            received = following
        self._last_received_tsn = received
        return False

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if self._take(stream_id, pp_id, data):
            await super()._receive(stream_id, pp_id, data)

    # What aiortc starts as tasks, or waits for: done when the call returns, so that there is no task.

    def _now_done(self, step: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        _drive(step)
        return self._done

    def _data_channel_flush(self) -> "asyncio.Future[None]":  # type: ignore[override]
        return self._now_done(super()._data_channel_flush())

    def _send_chunk(self, chunk: Chunk) -> "asyncio.Future[None]":  # type: ignore[override]
        return self._now_done(super()._send_chunk(chunk))

    def _send_reconfig_param(self, param: Any) -> "asyncio.Future[None]":  # type: ignore[override]
        return self._now_done(super()._send_reconfig_param(param))

    def _transmit(self) -> "asyncio.Future[None]":  # type: ignore[override]
        # What is in flight is kept for repair: the window of a peer that acknowledges all must end somewhere.
        self._cwnd = min(self._cwnd, _MAX_FLIGHT_BYTES)
        return self._now_done(super()._transmit())

    def _transmit_reconfig(self) -> "asyncio.Future[None]":  # type: ignore[override]
        return self._now_done(super()._transmit_reconfig())


def _drive(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing.

    Raises:
        RuntimeError: it did wait.
    """
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("SCTP waited for something")
