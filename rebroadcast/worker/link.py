"""One connection to a destination, whatever its protocol: what `PushOutput` needs of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from rebroadcast.worker.encode import EncodedAudio, EncodedVideo


class LinkError(Exception):
    """A connection that could not be made, was refused, or broke; the reason holds no secret."""

    code = "link_failed"


@dataclass(frozen=True, slots=True)
class Address:
    """One resolved and approved address of the destination: the only place that is connected to."""

    host: str
    port: int


ACKNOWLEDGED_WITHIN_S: Final = 1.5
"""What transports that acknowledge every round trip promise."""


class Link(Protocol):
    """A live connection. Writing never waits: whoever writes asks `backlog_bytes` and drops."""

    @property
    def patience_s(self) -> float:
        """How long nothing need be acknowledged while all is well."""
        ...

    @property
    def survives_cut(self) -> bool:
        """Whether what was acknowledged is never sent again, so that it can go on after a cut."""
        ...

    @property
    def queued_bytes(self) -> int:
        """All bytes handed to this connection since it opened."""
        ...

    def backlog_bytes(self) -> int:
        """Bytes that wait here because the other side takes them too slowly."""
        ...

    def acknowledged_bytes(self) -> int:
        """Bytes that the other side's host acknowledged: they are not sent again."""
        ...

    def taken_bytes(self) -> int:
        """Bytes that are known to have come through to the site; the truth about success."""
        ...

    def send(self, frame: EncodedVideo | EncodedAudio) -> None:
        """Queues one frame; the first is a keyframe.

        Raises:
            LinkError: it cannot be carried.
        """
        ...

    def forget(self) -> None:
        """What was not handed on yet is not to leave: a cut. The next frame is a keyframe."""
        ...

    async def run(self) -> None:
        """Serves the connection until it ends.

        Raises:
            LinkError: always, with the reason of the end.
        """
        ...

    def abort(self) -> None:
        """Resets the connection: nothing that waits is sent any more."""
        ...

    async def reset(self) -> None:
        """Aborts and waits until the socket is gone."""
        ...

    async def aclose(self) -> None:
        """Ends politely, within a second."""
        ...


Dial = Callable[[Address], Awaitable[Link]]
"""Opens a connection; raises LinkError."""
