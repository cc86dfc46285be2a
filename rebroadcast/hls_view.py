"""What the players of one destination find: its own renditions and the chat beside them.

Renditions of other destinations are neither named nor given out here, so that one that comes or goes with its
destination is nobody else's concern.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from rebroadcast.hls_chat import CHAT_PLAYLIST, HlsChat
from rebroadcast.hls_rendition import HlsRendition
from rebroadcast.hls_window import Missing

PLAYLIST: Final = "index.m3u8"
"""The multivariant playlist, where players begin."""
_AHEAD_MOST: Final = 2
"""A player may wait for no later segment than this many after the newest."""
_PATIENCE: Final = 3
"""Target durations that a player's request may wait."""


class HlsView:
    """Looks at what is there when it is asked."""

    def __init__(
        self,
        renditions: Sequence[HlsRendition],
        chat: HlsChat,
        changed: Callable[[], Awaitable[object]],
        *,
        is_chat_drawn: bool = True,
    ) -> None:
        """`renditions`: in the order in which players are told of them; `changed`: waits for anything new.

        `is_chat_drawn`: the chat is in the picture already; else players show it without being asked.
        """
        self._renditions = renditions
        self._chat = chat
        self._changed = changed
        self._is_chat_drawn = is_chat_drawn

    @property
    def taken_bytes(self) -> int:
        """Bytes of all parts that could be played."""
        return sum(rendition.taken_bytes for rendition in self._renditions)

    def state(self) -> tuple[str, str | None]:
        """What is true of playing it now, with the reason when it is not `live`."""
        states = [rendition.state() for rendition in self._renditions]
        return next((one for one in states if one[0] != "live"), states[0])

    def get(self, name: str) -> bytes | Missing:
        """The bytes of a playlist, segment or part."""
        if name == PLAYLIST:
            return self._multivariant().encode()
        if name == CHAT_PLAYLIST or name.startswith("chat-"):
            return self._chat.get(name, self._renditions[0].window)
        rendition = self._rendition(name)
        return Missing.UNKNOWN if rendition is None else rendition.get(name)

    async def wait(self, name: str, segment: int | None, part: int | None) -> bool:
        """Waits for what a player asks for in advance; False when it asks for what cannot come soon.

        A cut ends the waiting: what players hold of before has to go at once.

        `segment` and `part`: what a media playlist is to hold before it is answered with. Players read the
        multivariant playlist once: for a while it waits until every rendition's codecs and size are known.
        """
        if name == PLAYLIST:
            return await self._described()
        rendition = self._rendition(name)
        if rendition is None:
            return True  # `get` says that there is none
        cuts = rendition.window.cuts
        try:
            async with asyncio.timeout(_PATIENCE * rendition.window.target_s):
                while not (
                    rendition.is_over or rendition.window.cuts != cuts or rendition.has(name, segment, part)
                ):
                    if segment is not None and segment > rendition.window.edge[0] + _AHEAD_MOST:
                        return False
                    await self._changed()
        except TimeoutError:
            return False
        return True

    async def _described(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE * max(one.window.target_s for one in self._renditions)):
                while any(not (one.is_described or one.is_over) for one in self._renditions):
                    await self._changed()
        except TimeoutError:
            return False
        return True

    def _rendition(self, name: str) -> HlsRendition | None:
        """Whose name that is; of one without a prefix when no other has it."""
        named = (one for one in self._renditions if one.prefix and name.startswith(one.prefix))
        plain = (one for one in self._renditions if not one.prefix)
        return next(named, None) or next(plain, None)

    def _multivariant(self) -> str:
        shown = "NO" if self._is_chat_drawn else "YES"
        chat = f'TYPE=SUBTITLES,GROUP-ID="chat",NAME="Chat",DEFAULT={shown},AUTOSELECT={shown}'
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f'#EXT-X-MEDIA:{chat},URI="{CHAT_PLAYLIST}"',
        ]
        for rendition in self._renditions:
            lines.append(f'#EXT-X-STREAM-INF:{rendition.attributes()},SUBTITLES="chat"')
            lines.append(rendition.playlist)
        return "\n".join(lines) + "\n"
