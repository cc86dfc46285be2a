"""What every test obeys: no task, socket or thread outlives it.

A test that needs something shared for longer (a browser, a server of its module) says so with
`@pytest.mark.shares("what")`; everything of that test that stays open is then its fixture's affair.
"""

import asyncio
import gc
import inspect
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

_PATIENCE_S = 2.0
"""How long threads and sockets may take to go after the test: closing is asynchronous in places."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shares(what): leaves sockets or threads to a fixture of wider scope")


def _open_channels() -> dict[int, str]:
    """File descriptors that are sockets, pipes, event or memory files, by what they point to."""
    channels = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:", "/memfd:")):
            channels[int(entry.name)] = target
    return channels


def _new_channels(before: dict[int, str]) -> dict[int, str]:
    return {fd: target for fd, target in _open_channels().items() if before.get(fd) != target}


def _new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]


@pytest.fixture
async def _no_task_stays() -> AsyncIterator[None]:
    yield
    mine = asyncio.current_task()
    for _ in range(20):
        left = [task for task in asyncio.all_tasks() if task is not mine and not task.done()]
        if not left:
            return
        await asyncio.sleep(0.01)
    for task in left:
        task.cancel()
    pytest.fail(f"tasks outlive the test: {left}")


@pytest.fixture(autouse=True)
def _nothing_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("shares") is not None:
        yield
        return
    threads = set(threading.enumerate())
    channels = _open_channels()
    yield
    deadline = time.monotonic() + _PATIENCE_S
    gc_done = False
    while (new := _new_channels(channels)) or _new_threads(threads):
        if not gc_done:
            gc.collect()
            gc_done = True
            continue
        if time.monotonic() > deadline:
            pytest.fail(f"open after the test: {new}, threads {_new_threads(threads)}")
        time.sleep(0.01)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every coroutine test the task check: outermost in its loop, which the other check encloses."""
    for item in items:
        function = getattr(item, "function", None)
        if function is None or not inspect.iscoroutinefunction(inspect.unwrap(function)):
            continue
        names: list[str] = item.fixturenames  # type: ignore[attr-defined]
        names.remove("_nothing_stays")
        names[:0] = ["_nothing_stays", "_no_task_stays"]
