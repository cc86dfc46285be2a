"""What every test obeys: no task, socket, thread or priority outlives it. What tests measured is shown last.

A test that needs something shared for longer (a browser, a server of its module) says so with
`@pytest.mark.shares("what")`; everything of that test that stays open is then its fixture's affair.
"""

import asyncio
import gc
import inspect
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.support import figures

_PATIENCE_S = 2.0
"""How long threads and sockets may take to go after the test: closing is asynchronous in places."""


ALONE = (
    "attacks/test_data.py",
    "attacks/test_handshakes.py",
    "attacks/test_insiders.py",
    "attacks/test_sites.py",
    "attacks/test_slow_and_noisy.py",
    "attacks/test_strangers.py",
    "bench/test_command.py",
    "bench/test_forward.py",
    "bench/test_offsets.py",
    "bench/test_program.py",
    "bench/test_revocation.py",
    "bench/test_served.py",
    "main_job",
    "net/test_bandwidth.py",
    "net/test_bottleneck.py",
    "net/test_link.py",
    "net/test_lip_sync.py",
    "net/test_ten_viewers.py",
    "rebroadcast/test_admission_measured.py",
    "sfu/native/test_voices.py",
)
"""Where `slow` tests measure time, load or loss: nothing else may run beside them."""


_PLACES = tuple(str(Path(__file__).parent / place) for place in ALONE)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shares(what): leaves sockets or threads to a fixture of wider scope")
    config.addinivalue_line("markers", "alone: given to the slow tests of ALONE")


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
    assert os.sched_getscheduler(0) == os.SCHED_OTHER, "real-time priority stays, and children inherit it"
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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m alone` reads no file that cannot have such a test."""
    is_elsewhere = collection_path.suffix == ".py" and not str(collection_path).startswith(_PLACES)
    return True if config.option.markexpr == "alone" and is_elsewhere else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs alone; give coroutine tests the task check: outermost in the loop, inside the other.

    Of several files at a time, slow ones begin: what is short fills the end.
    """
    slow: set[Path] = set()
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("browser"):
            slow.add(item.path)
            if str(item.path).startswith(_PLACES):
                item.add_marker("alone")
        function = getattr(item, "function", None)
        if function is None or not inspect.iscoroutinefunction(inspect.unwrap(function)):
            continue
        names: list[str] = item.fixturenames  # type: ignore[attr-defined]
        names.remove("_nothing_stays")
        names[:0] = ["_nothing_stays", "_no_task_stays"]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hang what was told on the report: reports are what xdist's workers send."""
    report = yield
    report.user_properties = [*report.user_properties, *((figures.PROPERTY, one) for one in figures.taken())]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show each test's figures."""
    reports = itertools.chain.from_iterable(terminalreporter.stats.values())
    told = sorted(
        (
            (report.nodeid, [text for name, text in report.user_properties if name == figures.PROPERTY])
            for report in reports
            if isinstance(report, pytest.TestReport)
        ),
        key=lambda one: one[0],
    )
    told = [one for one in told if one[1]]
    if told:
        terminalreporter.section("figures")
    for test, texts in told:
        terminalreporter.line(test)
        for text in texts:
            terminalreporter.line(f"    {text}")
