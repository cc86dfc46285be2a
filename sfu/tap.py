"""The socket by which a worker process reads taps."""

from sfu.engine.types import SinkId


class Sink:
    """One tap socket: a connected SOCK_SEQPACKET pair, the near end in the engine, the far end for a worker process."""

    id: SinkId
    consumer_fd: int
    """The far end, to hand to the worker (`pass_fds`); call `detach` after the hand-over."""

    def detach(self) -> None:
        """Close this process's copy of the far end, so that the worker's death is noticed. Idempotent."""

    async def close(self) -> None:
        """End the sink and its taps: the worker reads end-of-file. Idempotent."""
