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

from tests.support import blocking, figures

_PATIENCE_S = 2.0
"""How long threads and sockets may take to go after the test: closing is asynchronous in places."""


ALONE = (
    "attacks/test_data.py",
    "attacks/test_handshakes.py",
    "attacks/test_insiders.py",
    "attacks/test_sites.py",
    "attacks/test_slow_and_noisy.py",
    "attacks/test_strangers.py",
    "main_job",
)
"""Where `slow` tests look at moments and at every packet: nothing else may run beside them."""

MEASURED = (
    "bench/test_command.py",
    "bench/test_forward.py",
    "bench/test_offsets.py",
    "bench/test_program.py",
    "bench/test_revocation.py",
    "bench/test_served.py",
    "net/test_bandwidth.py",
    "net/test_bottleneck.py",
    "net/test_link.py",
    "net/test_lip_sync.py",
    "net/test_ten_viewers.py",
    "net/test_uplink.py",
    "rebroadcast/test_admission_measured.py",
    "sfu/native/test_voices.py",
)
"""Where `slow` tests measure time, load or loss, alone too: `make test-all` runs them."""


_PLACES = {
    mark: tuple(str(Path(__file__).parent / place) for place in places)
    for mark, places in {"alone": ALONE, "measured": MEASURED}.items()
}


def pytest_configure(config: pytest.Config) -> None:
    blocking.watch()
    config.addinivalue_line("markers", "shares(what): leaves sockets or threads to a fixture of wider scope")
    config.addinivalue_line("markers", "alone: given to the slow tests of ALONE")
    config.addinivalue_line("markers", "measured: given to the slow tests of MEASURED")
    config.addinivalue_line(
        "markers",
        "wide: another codec, browser or size of what a test shows already; `make test-all` runs it",
    )


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
def _nothing_blocks() -> Iterator[None]:
    blocking.taken()
    yield
    found = blocking.taken()
    assert not found, "what blocks the event loop:\n" + "\n".join(sorted(set(found)))


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
    """`-m alone` and `-m measured` read no file that cannot have such a test."""
    places = _PLACES.get(config.option.markexpr)
    if places is None or collection_path.suffix != ".py" or str(collection_path).startswith(places):
        return None
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs alone; give coroutine tests the task check: outermost in the loop, inside the other.

    Of several files at a time the fast come first: what is built beside them is ready when browsers need
    the machine.
    """
    slow: set[Path] = set()
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("browser"):
            slow.add(item.path)
            for mark, places in _PLACES.items():
                if str(item.path).startswith(places):
                    item.add_marker(mark)
        function = getattr(item, "function", None)
        if function is None or not inspect.iscoroutinefunction(inspect.unwrap(function)):
            continue
        names: list[str] = item.fixturenames  # type: ignore[attr-defined]
        names.remove("_nothing_stays")
        names[:0] = ["_nothing_stays", "_no_task_stays"]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path in slow)


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
