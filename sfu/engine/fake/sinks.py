"""The model engine's ends of tap sockets: taps write into them, and local processes inject by them."""

import asyncio
import errno
import os
import socket as sockets
from collections.abc import Callable
from contextlib import suppress

from media.tap_record import (
    DATAGRAM_MAX_BYTES,
    RtpRecord,
    SrRecord,
    TapRecordError,
    encode_record,
    read_records,
)
from sfu.engine import events
from sfu.engine.fake.world import Tap
from sfu.engine.types import SinkId, TransportId


class Sinks:
    """The open sinks, and which transports they feed."""

    def __init__(
        self, emit: Callable[[events.Event], None], inject: Callable[[TransportId, bytes], None]
    ) -> None:
        self._emit = emit
        self._inject = inject
        self._ends: dict[SinkId, sockets.socket] = {}
        self._hung_up: set[SinkId] = set()
        self._feeds: dict[SinkId, TransportId] = {}

    def __contains__(self, sink: SinkId) -> bool:
        return sink in self._ends

    def open(self, sink: SinkId, fd: int) -> str:
        """Take a copy of a descriptor; why it cannot be, or nothing."""
        try:
            end = sockets.socket(fileno=os.dup(fd))
        except OSError as error:
            return error.strerror or "bad descriptor"
        end.setblocking(False)
        self._ends[sink] = end
        return ""

    def close(self, sink: SinkId) -> None:
        """End a sink."""
        self._stop_feeding(sink)
        self._ends.pop(sink).close()
        self._hung_up.discard(sink)

    def close_all(self) -> None:
        """End every sink."""
        for sink in list(self._ends):
            self.close(sink)

    def is_feeding(self, sink: SinkId) -> bool:
        """Whether what comes by a sink goes to a transport."""
        return sink in self._feeds

    def feed(self, sink: SinkId, transport: TransportId) -> None:
        """Take what comes by a sink as a transport's packets."""
        self._feeds[sink] = transport
        asyncio.get_running_loop().add_reader(self._ends[sink], self._read, sink)

    def starve(self, transport: TransportId) -> None:
        """Feed a transport no more."""
        for sink in [s for s, fed in self._feeds.items() if fed == transport]:
            self._stop_feeding(sink)

    def write(self, tap: Tap, record: RtpRecord | SrRecord) -> None:
        """Write one record of a tap; a consumer that hung up is told of once."""
        end = self._ends.get(tap.sink)
        if end is None or tap.sink in self._hung_up:
            return
        try:
            end.send(encode_record(record))
            tap.counters["records"] += 1
        except TapRecordError:
            tap.counters["too_large"] += 1
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS}:
                tap.counters["lost"] += 1
                return
            self._hung_up.add(tap.sink)
            self._emit(events.SinkClosed(tap.sink, error.strerror or "closed"))

    def _read(self, sink: SinkId) -> None:
        with suppress(BlockingIOError, TapRecordError):
            for record in read_records(self._ends[sink].recv(DATAGRAM_MAX_BYTES)):
                if isinstance(record, RtpRecord):
                    self._inject(self._feeds[sink], record.packet)

    def _stop_feeding(self, sink: SinkId) -> None:
        if self._feeds.pop(sink, None) is not None:
            asyncio.get_running_loop().remove_reader(self._ends[sink])
