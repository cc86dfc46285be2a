"""A player of a live stream that hands on what it decodes, as it arrives."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

import av
from av.container import InputContainer

from bench.studio.decoded import Mono, Sound

_LIVE: Final = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "100000"}
"""Options of a player that wants to be close to live."""
_AGAIN_S: Final = 0.1

See = Callable[[float, av.VideoFrame], None]
Hear = Callable[[float, Sound], None]
Opens = Callable[[], AbstractContextManager[InputContainer]]


def rtmp(url: str) -> Opens:
    """Opens the RTMP stream at `url`, for `LivePlayer`."""
    return lambda: av.open(url, "r", timeout=(5.0, 1.0), options=_LIVE)


class LivePlayer:
    """Plays in a thread of its own, and opens the stream again whenever it ends.

    Args:
        opens: opens the stream; called in that thread.
        see, hear: called in that thread with the instant (monotonic seconds) and what was decoded.
        ends: has `opens`, and what it opened, come to an end.
        clock: the instant at which what is decoded now had arrived.
    """

    def __init__(
        self,
        opens: Opens,
        see: See,
        hear: Hear,
        *,
        ends: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connections = 0
        self._opens = opens
        self._see = see
        self._hear = hear
        self._ends = ends
        self._clock = clock
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="live-player", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Play no more. Blocks until the thread is over, some seconds at most."""
        self._is_stopping = True
        self._ends()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                with self._opens() as container:
                    if container.streams.video and container.streams.audio:
                        self.connections += 1
                        self._play(container)
            except av.FFmpegError:
                time.sleep(_AGAIN_S)

    def _play(self, container: InputContainer) -> None:
        mono = Mono()
        for stream in (*container.streams.video, *container.streams.audio):
            stream.codec_context.thread_count = 1
        for packet in container.demux():
            for frame in _decoded(packet):
                at_s = self._clock()
                if isinstance(frame, av.AudioFrame):
                    self._hear(at_s, mono.samples(frame))
                elif isinstance(frame, av.VideoFrame):
                    self._see(at_s, frame)
            if self._is_stopping:
                return


def _decoded(packet: "av.Packet[Any]") -> Sequence[object]:
    """Nothing of a frame whose end a cut took away: players go on with the next."""
    try:
        return packet.decode()
    except av.InvalidDataError:
        return ()
