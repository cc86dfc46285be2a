"""Something else happens while a call waits: at one of its waits, which a test goes through in turn."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Meanwhile(Generic[Result]):
    """Awaited, it is the call; at wait number `at` (from 0) of the call `other` begins.

    `holds`: the call goes on when `other` has ended, else both go on together.
    """

    def __init__(
        self,
        call: Coroutine[Any, None, Result],
        at: int,
        other: Callable[[], Coroutine[Any, None, object]],
        *,
        holds: bool,
    ) -> None:
        self._call = call
        self._at = at
        self._other = other
        self._holds = holds
        self.task: asyncio.Task[object] | None = None
        """What happens meanwhile; None while the call has not waited so often."""

    def __await__(self) -> Generator[Any, None, Result]:
        step: Callable[[], object] = partial(self._call.send, None)
        waits = 0
        while True:
            try:
                waited = step()
            except StopIteration as end:
                return end.value
            if waits == self._at:
                yield from self._begin().__await__()
            waits += 1
            step = partial(self._call.send, None)
            try:
                yield waited
            except BaseException as error:  # noqa: BLE001 (it is the call's)
                step = partial(self._call.throw, error)

    async def _begin(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._other())
        if self._holds:
            await asyncio.wait({self.task})


async def outcome(race: Awaitable[Result], *refusals: type[Exception]) -> Result | Exception:
    """What a call answers, or how it refuses."""
    try:
        return await race
    except refusals as refusal:
        return refusal
