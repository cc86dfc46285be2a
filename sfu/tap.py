"""The socket by which a worker process reads taps."""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Self

from sfu.engine.types import SinkId

SEND_BUFFER_BYTES: Final = 1 << 20
"""A worker that is being restarted loses nothing for about two seconds of a room's media."""

_SO_SNDBUFFORCE: Final = 32


class Sink:
    """One tap socket: a SOCK_SEQPACKET pair, one end in the engine, the other for a worker process."""

    def __init__(self, sink: SinkId, far: socket.socket, end: Callable[["Sink"], Awaitable[None]]) -> None:
        self.id = sink
        self._far = far
        self._end = end

    @classmethod
    def pair(cls, sink: SinkId, end: Callable[["Sink"], Awaitable[None]]) -> tuple[Self, socket.socket]:
        """Make a sink and the near end for the engine, which duplicates it; the caller closes it then."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        near.setblocking(False)
        try:
            near.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
        except PermissionError:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        return cls(sink, far, end), near

    @property
    def consumer_fd(self) -> int:
        """The far end, to hand to the worker (`pass_fds`); call `detach` after the hand-over.

        Raises:
            ValueError: it was detached.
        """
        fd = self._far.fileno()
        if fd < 0:
            raise ValueError(f"sink {self.id} is detached")
        return fd

    def duplicate(self) -> int:
        """A copy of the far end that the caller owns and closes."""
        return os.dup(self.consumer_fd)

    def detach(self) -> None:
        """Close this process's copy of the far end, so that the worker's death is noticed. Idempotent."""
        self._far.close()

    async def close(self) -> None:
        """End the sink and its taps: the worker reads end-of-file. Idempotent."""
        self.detach()
        await self._end(self)
