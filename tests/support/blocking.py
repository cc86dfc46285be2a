"""Finds what blocks the event loop: files, sockets, databases and sleeps that the house waits for there.

A test may do so itself, and call blocking functions of the house from a coroutine of its own: what counts is
what a coroutine or a callback of the house runs.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
from blockbuster import BlockBuster

_ROOT = f"{Path(__file__).parents[2]}/"
_PACKAGES = (
    "media",
    "members",
    "policy",
    "rebroadcast",
    "recorder",
    "rooms",
    "server",
    "sfu",
    "signaling",
    "store",
)
_HOUSE = tuple(f"{_ROOT}{package}/" for package in _PACKAGES)
_TESTS = f"{_ROOT}tests/"

_PASSED_OVER: Final = ("<frozen importlib", str(Path(structlog.__file__).parent), f"{_ROOT}server/doctor/")
"""Imports, the log, whose tracebacks quote the source, and the doctor, who serves nobody."""

_MAY: Final = {
    "store/store.py open": "the house opens its store before it serves anybody",
    "sfu/plane.py start": "and starts its media plane",
    "server/supervise.py spawn": "until a child runs its program, as asyncio waits for its own",
    "rebroadcast/worker/srt/library.py library": "the system's library is loaded once",
    "signaling/pages.py get": "a small file of the package, read when it is new",
}
"""Who may, and why."""

_found: list[str] = []


def watch() -> None:
    """Record, from now on and in this process, what blocks a running event loop."""
    buster = BlockBuster()
    for name, function in list(buster.functions.items()):
        if name.startswith(("threading.", "builtins.")):
            del buster.functions[name]
            continue
        function.can_block_predicate = _recorder(name, function.can_block_predicate)
    buster.activate()


def taken() -> list[str]:
    """Return what was found since the last call, each with its stack, and forget it."""
    found = _found[:]
    _found.clear()
    return found


def _recorder(name: str, may_block: Callable[..., bool]) -> Callable[..., bool]:
    def record(*args: object, **kwargs: object) -> bool:
        if not may_block(*args, **kwargs):
            stack = _house_stack(sys._getframe(2))
            if stack:
                _found.append(f"{name} in {' < '.join(stack)}")
        return True

    return record


def _house_stack(frame: FrameType | None) -> list[str]:
    """Return the house's frames, the innermost first; none if it may, or if a test called it."""
    stack: list[str] = []
    is_awaited = False
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_TESTS):
            return stack if is_awaited else []
        if code.co_filename.startswith(_PASSED_OVER):
            return []
        if code.co_filename.startswith(_HOUSE):
            path = code.co_filename.removeprefix(_ROOT)
            if f"{path} {code.co_name}" in _MAY:
                return []
            is_awaited = is_awaited or bool(code.co_flags & inspect.CO_COROUTINE)
            stack.append(f"{path}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return stack
