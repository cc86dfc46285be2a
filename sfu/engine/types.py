"""Ids and small records that cross between Python and the media engine.

PURE: no I/O. Ids are u32, chosen by Python, growing, never reused while alive.
"""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Literal, NewType

from media.gates import Gate
from sfu.errors import EngineError

TransportId = NewType("TransportId", int)
TrackId = NewType("TrackId", int)
ForwardId = NewType("ForwardId", int)
SinkId = NewType("SinkId", int)
TapId = NewType("TapId", int)
StageId = NewType("StageId", int)
"""Where the audio tracks of one room compete for being heard."""

Kind = Literal["audio", "video"]
PathKind = Literal["udp", "tcp"]
"""What carries a path: datagrams, or a stream with a length before each (RFC 4571)."""

Address = tuple[str, int]
"""IP address as text, and port."""

EXTENSION_NAMES: frozenset[str] = frozenset({
    "mid", "rid", "rrid", "twcc", "abs_send_time", "toffset", "audio_level", "video_orientation",
    "dependency_descriptor", "playout_delay", "content_type", "video_timing", "color_space",
    "abs_capture_time", "layers_allocation",
})  # fmt: skip
"""The names by which header extensions are told to the engine."""


Masters = tuple[bytes, bytes]
"""SRTP master key and salt of what a peer sends to us, and of what we send; empty ones are not told."""

NO_MASTERS: Final = (b"", b"")

NO_STAGE: Final = StageId(0)
"""The stage of a track that is always heard."""

ALWAYS_OPEN = Gate(0, 0)
"""The gate of a forward that permission alone governs: participants of the room, never outsiders."""


@dataclass(frozen=True, slots=True)
class EngineCodec:
    """One payload type of a publisher's m-section, with its retransmission twin (`rtx_pt` -1: none)."""

    pt: int
    name: str
    clock_hz: int
    rtx_pt: int = -1


@dataclass(frozen=True, slots=True)
class EngineEncoding:
    """One simulcast encoding of a track: by `rid`, by `ssrc`, or by MID alone (both empty)."""

    rid: str = ""
    ssrc: int = 0
    rtx_ssrc: int = 0


class Ack:
    """A command on its way: `await` it to know that the engine did it.

    Lives on the event loop's thread. An error that nobody awaits is logged by the engine's wrapper.

    Raises (on await):
        EngineError: the engine refused the command, or closed first.
    """

    __slots__ = ("_done", "_error", "_waiter", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self._done = False
        self._error = ""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether the engine has answered."""
        return self._done

    @property
    def is_awaited(self) -> bool:
        """Whether someone waits for the answer (an error then needs no log line)."""
        return self._waiter is not None

    def settle(self, error: str = "") -> None:
        """Take the engine's answer; an empty `error` means that the command worked."""
        if self._done:
            return
        self._done = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __await__(self) -> Generator[object, None, None]:
        if not self._done:
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            yield from asyncio.shield(self._waiter).__await__()
        if self._error:
            raise EngineError(self._error)
