"""The tasks of one object: started at any time, guarded, and all gone when `close` returns."""

import asyncio
from collections.abc import Coroutine

import structlog

_log = structlog.get_logger("tasks")


class TaskScope:
    """A task group whose life is that of the object that owns it.

    A child's failure ends that child: it is logged once and never reaches its siblings. What a failure means
    for the object (a peer to close, say) the child decides itself, before it raises.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._group: asyncio.TaskGroup | None = None
        self._children: set[asyncio.Task[None]] = set()
        self._host: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._is_closed = False

    async def open(self) -> None:
        """Start the group; before any `start`."""
        entered = asyncio.Event()
        # The group needs a task to live in: this is the one task outside a group, and `close` ends it.
        self._host = asyncio.get_running_loop().create_task(self._hold(entered), name=f"{self._name} tasks")
        await entered.wait()

    def start(self, child: Coroutine[object, object, None], name: str) -> asyncio.Task[None] | None:
        """Run a child; after `close` it is dropped unrun, and there is no task."""
        if self._group is None or self._is_closed:
            child.close()
            return None
        task = self._group.create_task(self._guard(child, name), name=f"{self._name} {name}")
        self._children.add(task)
        task.add_done_callback(self._children.discard)
        return task

    async def settle(self, patience_s: float) -> None:
        """Wait for the present children, at most `patience_s`; a child that calls it is not waited for."""
        others = self._children - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=patience_s)

    async def close(self, *, patience_s: float = 0.0) -> None:
        """Give children `patience_s` to finish, then cancel them and wait for their end. Idempotent."""
        if self._host is None or self._is_closed:
            return
        self._is_closed = True
        if patience_s > 0:
            await self.settle(patience_s)
        for child in list(self._children):
            child.cancel()
        self._leaving.set()
        await asyncio.wait({self._host})

    async def _hold(self, entered: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            entered.set()
            await self._leaving.wait()

    async def _guard(self, child: Coroutine[object, object, None], name: str) -> None:
        try:
            await child
        except Exception:  # noqa: BLE001 - the guard at the child; cancellation passes
            _log.exception("task_failed", owner=self._name, task=name)
