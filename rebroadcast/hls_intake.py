"""What players of one program's HLS read: its renditions and its chat, taken from what the process sends."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final

from rebroadcast.encodings import default_encoding
from rebroadcast.hls_chat import ChatCue, HlsChat
from rebroadcast.hls_rendition import HlsRendition
from rebroadcast.hls_view import HlsView
from rebroadcast.hls_window import Place
from rebroadcast.types import RebroadcastConfig
from rebroadcast.worker.messages import Encoding, HlsPiece, HlsStart

OUTPUT: Final = "hls"
"""Id of the output of a program's picture as it is configured, or passed through; of others the beginning."""
CHAT_SHOWN_S: Final = 15.0


class HlsIntake:
    """Takes parts of one program; whatever is older than the activity's cut epoch is dropped.

    The keyframes of all renditions are the same pictures and their segments have the same numbers, so that
    players change between them. Renditions come and go and the others go on; what a rendition is called
    follows from its encoding alone, and no name comes again with other bytes.
    """

    def __init__(
        self,
        config: RebroadcastConfig,
        *,
        epoch: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._config = config
        self._epoch = epoch
        self._monotonic = monotonic
        self._renditions: dict[str, HlsRendition] = {}
        self._place = Place()
        """No segment of renditions that are over stands there or later."""
        self._next_init = 0
        self._chat = HlsChat(shown_s=CHAT_SHOWN_S)
        self._changed = asyncio.Event()

    def output_of(self, encoding: Encoding | None) -> str:
        """Id of the program's output that makes a rendition; the same for the same encoding."""
        is_plain = encoding is None or encoding == default_encoding(self._config)
        return OUTPUT if is_plain or encoding is None else f"{OUTPUT}-{encoding.name}"

    def serve(self, encodings: Iterable[Encoding | None]) -> dict[str, Encoding | None]:
        """Has renditions of these encodings, and of no others; returns the outputs that make them, by id.

        One that is there already goes on. What a new one is of begins where the others are.
        """
        wanted = {self.output_of(encoding): encoding for encoding in encodings}
        for output in self._renditions.keys() - wanted:
            self._end(self._renditions.pop(output))
        for output, encoding in wanted.items():
            if output not in self._renditions:
                self._renditions[output] = self._begin(output, encoding)
        for rendition in self._renditions.values():
            rendition.window.limit(self._config.dvr_bytes // len(wanted))
        if not wanted:
            self._chat.clear()
        self._wake()
        return wanted

    def view(self, encodings: Collection[Encoding | None], *, is_chat_drawn: bool = True) -> HlsView:
        """What players of a destination find that wants these encodings, which are served.

        `is_chat_drawn`: see HlsView.
        """
        renditions = [self._renditions[self.output_of(encoding)] for encoding in encodings]
        return HlsView(renditions, self._chat, self._wait, is_chat_drawn=is_chat_drawn)

    def start(self, part: HlsStart) -> None:
        """Takes the initialisation segment of a new format."""
        rendition = self._renditions.get(part.id)
        if rendition is not None and rendition.start(part):
            self._wake()

    def take(self, piece: HlsPiece) -> None:
        """Takes a piece; the last one makes a part of what has come."""
        rendition = self._renditions.get(piece.id)
        if rendition is not None and rendition.take(piece, self._place_at):
            self._wake()

    def say(self, cue: ChatCue) -> None:
        """Takes a chat line of somebody whose chat may go out."""
        self._chat.add(cue)

    def unsay(self, line_id: str) -> None:
        """Takes one chat line back."""
        self._chat.delete(line_id)

    def cut(self, person: str) -> None:
        """Takes back every segment up to the last one with that person, and all that they wrote."""
        self.interrupt()
        windows = [rendition.window for rendition in self._renditions.values()]
        last = max((window.last_with(person) for window in windows), default=-1)
        for window in windows:
            window.cut(last)
        self._chat.cut(person)
        self._wake()

    def clear(self) -> None:
        """Takes everything back."""
        self.interrupt()
        for rendition in self._renditions.values():
            rendition.window.clear()
        self._chat.clear()
        self._wake()

    def interrupt(self) -> None:
        """The program process is gone: what it had begun to send will not be finished."""
        for rendition in self._renditions.values():
            rendition.interrupt()

    def _begin(self, output: str, encoding: Encoding | None) -> HlsRendition:
        name = output.removeprefix(OUTPUT).removeprefix("-")
        return HlsRendition(
            self._config,
            encoding,
            prefix=f"{name}-" if name else "",
            next_init=self._next_init,
            first=self._place.number,
            epoch=self._epoch,
            monotonic=self._monotonic,
        )

    def _end(self, rendition: HlsRendition) -> None:
        rendition.is_over = True
        self._place = max(self._place, rendition.window.next_place)
        self._next_init = max(self._next_init, rendition.window.next_init)
        rendition.window.clear()

    def _place_at(self, at_ms: float) -> Place:
        """Where the segment stands that shows that moment, in the rendition that is furthest."""
        windows = [rendition.window for rendition in self._renditions.values()]
        running = [window.place_at(at_ms) for window in windows if not window.is_bare]
        return max(running or [self._place, *(window.next_place for window in windows)])

    async def _wait(self) -> None:
        await self._changed.wait()

    def _wake(self) -> None:
        """Wakes everyone who waits for something new."""
        self._changed.set()
        self._changed = asyncio.Event()
