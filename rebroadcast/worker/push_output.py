"""One destination that is sent to: connects, feeds, watches what is acknowledged, tries again for ever."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import msgspec
import structlog

from rebroadcast.worker.destination import (
    Connect,
    Destination,
    DestinationState,
    Disconnect,
    StateChanged,
)
from rebroadcast.worker.encode import EncodedVideo
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.link import Address, Dial, Link, LinkError
from rebroadcast.worker.messages import OutputConfig, OutputState

BACKLOG_MAX_BYTES: Final = 1 << 20
CUT_DEADLINE_S: Final = 0.08
_CUT_POLL_S: Final = 0.005
_WATCH_S: Final = 0.1
_TELL_S: Final = 1.0
"""How often the bytes that a live site acknowledged are reported."""
log = structlog.get_logger()


class PushOutput:
    """Feeds one destination. When the site is slow, whole groups of pictures are dropped; nothing else waits.

    `run` is its one task; `feed`, `cut` and `close` are called on the same event loop.
    """

    def __init__(
        self,
        config: OutputConfig,
        dial: Dial,
        epoch: Epoch,
        send: Callable[[msgspec.Struct], None],
        *,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self._id = config.id
        self._dial = dial
        self.move(config.addresses)
        self._epoch = epoch
        self._send = send
        self._clock = clock
        self._machine = Destination(rng=rng)
        self._link: Link | None = None
        self._is_waiting_for_key = True
        self._media_from = 0
        self._acknowledged = 0
        self._acknowledged_before = 0
        self._told_at = 0.0
        self._end_reason = ""
        self._is_cut = False
        self.dropped_frames = 0

    async def run(self) -> None:
        """Connects and reconnects until `close`."""
        self._machine.start(self._clock())
        attempt = 0
        # Cancelling alone may be lost: a task group that is ending with an error swallows it.
        while self._machine.state is not DestinationState.STOPPED:
            if self._wants_connection():
                await self._serve(self._addresses[attempt % len(self._addresses)])
                attempt += 1
            deadline = self._machine.deadline()
            await asyncio.sleep(_WATCH_S if deadline is None else max(deadline - self._clock(), 0.0))
            self._machine.tick(self._clock())

    def move(self, addresses: Sequence[tuple[str, int]]) -> None:
        """Takes the addresses that the host's name gives now, for the next attempt."""
        self._addresses = [Address(host, port) for host, port in addresses]

    def feed(self, item: FeedItem) -> None:
        """Sends one frame now, or drops it."""
        link = self._link
        if link is None:
            return
        is_new = item.epoch == self._epoch.now()
        is_key = isinstance(item.frame, EncodedVideo) and item.frame.is_keyframe
        is_slow = link.backlog_bytes() > BACKLOG_MAX_BYTES
        if not is_new and not self._is_waiting_for_key:
            link.forget()
        if not is_new or is_slow:
            self._is_waiting_for_key = True
        if is_slow or (self._is_waiting_for_key and not (is_key and is_new)):
            self.dropped_frames += 1
            return
        self._is_waiting_for_key = False
        try:
            link.send(item.frame)
        except LinkError as error:
            self._end(link, f"reset: {error}")

    def _end(self, link: Link, reason: str) -> None:
        """Resets the connection; `run` sees its end and reports it under `reason`."""
        self._link = None
        self._end_reason = reason
        link.abort()

    async def cut(self, epoch: int) -> None:
        """Waits a moment for the site to acknowledge what was sent, then resets the connection."""
        del epoch  # the page already shows it; frames of an older one are dropped in `feed`
        link = self._link
        if link is None:
            return
        self._is_waiting_for_key = True
        link.forget()
        if not link.survives_cut:
            self._cut_off(link, "reset: what was sent before a revocation could be sent again")
            return
        sent = link.queued_bytes
        deadline = self._clock() + CUT_DEADLINE_S
        while link.acknowledged_bytes() < sent:
            if self._clock() >= deadline:
                self._cut_off(link, "reset: the site had not taken what was sent before a revocation")
                return
            await asyncio.sleep(_CUT_POLL_S)

    def _cut_off(self, link: Link, reason: str) -> None:
        self._is_cut = True
        self._end(link, reason)

    async def close(self, *, is_polite: bool = True) -> None:
        """Ends the publish, or just the connection when it need not be polite."""
        link, self._link = self._link, None
        self._machine.stop()
        self._tell()
        if link is not None and is_polite:
            await link.aclose()
        elif link is not None:
            link.abort()

    def _wants_connection(self) -> bool:
        return any(isinstance(effect, Connect) for effect in self._tell())

    async def _serve(self, address: Address) -> None:
        """Opens one connection and stays until it ends."""
        link: Link | None = None
        self._end_reason, self._is_cut = "", False
        try:
            link = await self._dial(address)
            self._begin(link)
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(link))
                try:
                    await link.run()
                finally:
                    self._link = None  # at once: what is fed from now on has nowhere to go
                    watch.cancel()
        except* LinkError as errors:
            reason = "; ".join(str(error) for error in errors.exceptions)
            ended = self._machine.cut if self._is_cut else self._machine.closed
            ended(self._end_reason or reason, self._clock())
        except* Exception as errors:
            # One destination's fault is not the others': it is tried again like any that was lost.
            log.exception("link_failed", output=self._id)
            reason = "; ".join(type(error).__name__ for error in errors.exceptions)
            self._machine.closed(f"an unexpected error here: {reason}", self._clock())
        finally:
            if link is not None:
                self._count(link)
                self._acknowledged_before = self._acknowledged
                await link.reset()
            self._tell()

    def _begin(self, link: Link) -> None:
        self._is_waiting_for_key = True
        self._media_from = link.queued_bytes
        self._machine.opened(self._clock())
        self._link = link

    async def _watch(self, link: Link) -> None:
        """Judges the destination by what its host acknowledged."""
        while True:
            acknowledged = self._count(link)
            is_waiting = acknowledged < link.queued_bytes
            media = max(acknowledged - self._media_from, 0)
            now = self._clock()
            self._machine.acknowledged(media, is_waiting=is_waiting, now=now, patience_s=link.patience_s)
            self._machine.tick(now)
            effects = self._tell()
            if any(isinstance(effect, Disconnect) for effect in effects):
                link.abort()
            if now >= self._told_at + _TELL_S:
                self._report(self._machine.state, self._machine.reason)
            await asyncio.sleep(_WATCH_S)

    def _count(self, link: Link) -> int:
        """Counts what the site has acknowledged in all; what it has of this connection."""
        acknowledged = link.taken_bytes()
        self._acknowledged = max(self._acknowledged, self._acknowledged_before + acknowledged)
        return acknowledged

    def _tell(self) -> list[Connect | Disconnect | StateChanged]:
        """Reports state changes; returns all effects for the caller to act on."""
        effects = self._machine.poll()
        for effect in effects:
            if isinstance(effect, StateChanged):
                self._report(effect.state, effect.reason)
        return effects

    def _report(self, state: DestinationState, reason: str) -> None:
        self._told_at = self._clock()
        self._send(OutputState(self._id, state.value, reason, self._acknowledged))
