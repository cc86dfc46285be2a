"""The recordings that can be shown again, as a replay reads them; `recorder.RecorderService.reels` fits."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from media.reel import OpenedPart, Reel, ReelLine, ReelPart


class Library(Protocol):
    """Every method may raise ReelRefused (the recording cannot be played, or not any more) and StoreError."""

    async def reel(self, recording: str) -> Reel:
        """What is in a recording."""
        ...

    async def names(self, recording: str, people: Collection[str]) -> Mapping[str, str]:
        """Screen names of these people, and of nobody else."""
        ...

    async def lines(self, recording: str, people: Collection[str]) -> Sequence[ReelLine]:
        """What these people wrote, and nobody else."""
        ...

    def fetched(
        self, recording: str, parts: Collection[str], told: Callable[[int, int], None]
    ) -> AbstractAsyncContextManager[None]:
        """The parts of these names are at hand inside; `told`: hears of how many bytes how many have come."""
        ...

    async def open(self, recording: str, part: ReelPart) -> OpenedPart:
        """One file."""
        ...

    def on_removal(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have something called, and waited for, before a recording is deleted."""
        ...

    def on_hold(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have something called, and waited for, when a legal hold begins to bind a recording."""
        ...
