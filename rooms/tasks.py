"""The tasks of the room service: one group, each child guarded, all gone when `close` returns."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

_log = structlog.get_logger("rooms")


class TaskScope:
    """A task group whose life is that of the object that owns it.

    A child's failure is logged and stays its own.
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
        self._host = asyncio.get_running_loop().create_task(self._hold(entered), name=self._name)
        await entered.wait()

    def start(self, child: Coroutine[Any, Any, None], name: str) -> bool:
        """Run a child; after `close` it is dropped unrun, and False is returned."""
        if self._group is None or self._is_closed:
            child.close()
            return False
        task = self._group.create_task(self._guard(child, name), name=f"{self._name} {name}")
        self._children.add(task)
        task.add_done_callback(self._children.discard)
        return True

    async def settle(self, patience_s: float) -> None:
        """Wait for the present children, at most `patience_s`."""
        mine = asyncio.current_task()
        others = {child for child in self._children if child is not mine}
        if others:
            await asyncio.wait(others, timeout=patience_s)

    async def close(self) -> None:
        """Cancel what runs and wait for its end. Idempotent."""
        if self._host is None or self._is_closed:
            return
        self._is_closed = True
        for child in list(self._children):
            child.cancel()
        self._leaving.set()
        await asyncio.wait({self._host})

    async def _hold(self, entered: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            entered.set()
            await self._leaving.wait()

    async def _guard(self, child: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await child
        except Exception:  # noqa: BLE001 - the guard at the child; cancellation passes
            _log.exception("task_failed", owner=self._name, task=name)
