"""Where a server's CPU goes while it carries a load, by sampling it with Linux's `perf`."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.process import WORKER_THREAD
from bench.target import Target, TargetFailed

_HZ: Final = 1999
_STOPS_WITHIN_S: Final = 20.0
_MISSING: Final = (
    "perf is not installed: `tools/system-packages bench` installs it (Debian's package linux-perf)"
)
_HOTTEST: Final = 12
_CRYPTO: Final = ("_binding", "libsrtp", "libcrypto", "libIPSec_MB")
"""How the files are named that libsrtp, its OpenSSL and the core's own cipher are in."""
# By the system call that a sample lies in, whatever it leads to: loopback delivers within the sender's call.
_SYSTEM_CALLS: Final = {
    "sendmmsg": "send",
    "sendmsg": "send",
    "sendto": "send",
    "recvmmsg": "receive",
    "recvmsg": "receive",
    "recvfrom": "receive",
    "epoll_pwait2": "wait",
    "epoll_pwait": "wait",
    "epoll_wait": "wait",
    "nanosleep": "wait",
    "futex": "wait",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a sample's stack."""

    symbol: str
    module: str

    @property
    def is_kernel(self) -> bool:
        """Whether the kernel, or one of its modules, ran."""
        return self.module.startswith("[") and self.module not in {"[unknown]", "[vdso]"}


@dataclass(frozen=True, slots=True)
class Sample:
    """What a thread did at one moment; the innermost function first."""

    thread: str
    stack: Sequence[Frame]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the server's CPU time."""

    name: str
    share: float
    """Of all samples, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the samples of one run fell."""

    samples: int
    parts: Sequence[Part]
    """The largest first; together 1."""
    hottest: Sequence[Part]
    """The innermost functions with the most samples."""


def breakdown(samples: Iterable[Sample]) -> Profile:
    """Sort samples by the part of the server that they belong to. PURE."""
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for sample in samples:
        parts[_part(sample)] += 1
        if sample.stack:
            functions[f"{sample.stack[0].symbol} ({Path(sample.stack[0].module).name})"] += 1
    total = parts.total()
    return Profile(total, _shares(parts, total), _shares(functions, total)[:_HOTTEST])


def read(text: str) -> Iterator[Sample]:
    """The samples in what `perf script -F comm,ip,sym,dso` prints. PURE."""
    thread, stack = "", list[Frame]()
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            if thread:
                yield Sample(thread, tuple(stack))
            thread, stack = "", []
        elif not line[0].isspace():
            thread = line.strip()
        else:
            _, _, words = line.strip().partition(" ")
            symbol, _, module = words.rpartition(" (")
            stack.append(Frame(symbol, module.rstrip(")")))


class Sampler:
    """Samples one server while something is measured.

    Raises:
        TargetFailed: there is no perf; says what to install.
    """

    def __init__(self) -> None:
        perf = shutil.which("perf")
        if perf is None:
            raise TargetFailed(_MISSING)
        self._perf = perf
        self.profile = Profile(0, (), ())
        """What it found, after `beside`."""

    @contextlib.asynccontextmanager
    async def beside(self, server: Target) -> AsyncIterator[None]:
        """Sample the server's process meanwhile.

        Raises:
            TargetFailed: perf may not look; says why.
        """
        with tempfile.TemporaryDirectory(prefix="parley-perf-") as folder:
            data = Path(folder) / "perf.data"
            recording = await asyncio.create_subprocess_exec(
                *(self._perf, "record", "-q", "-F", str(_HZ), "-g", "-p", str(server.pid), "-o", str(data)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                yield
            finally:
                words = await _stop(recording)
            if not data.exists() or not data.stat().st_size:
                raise TargetFailed(f"perf could not sample the server (root may): {words}")
            self.profile = breakdown(read(await _script(self._perf, data)))


async def _stop(recording: asyncio.subprocess.Process) -> str:
    """End a recording; what it said."""
    with contextlib.suppress(ProcessLookupError):
        recording.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(_STOPS_WITHIN_S):
            _, said = await recording.communicate()
    except TimeoutError:
        recording.kill()
        _, said = await recording.communicate()
    return " ".join(said.decode(errors="replace").split())


async def _script(perf: str, data: Path) -> str:
    printing = await asyncio.create_subprocess_exec(
        *(perf, "script", "-i", str(data), "-F", "comm,ip,sym,dso", "--no-inline"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await printing.communicate()
    return said.decode(errors="replace")


def _part(sample: Sample) -> str:
    is_media = sample.thread.startswith(WORKER_THREAD)
    who = "media" if is_media else "Python"
    if not sample.stack:
        return f"{who}: unknown"
    if sample.stack[0].is_kernel:
        return f"{who}: kernel, {_call(sample.stack)}"
    module = Path(sample.stack[0].module).name
    if is_media:
        return "media: SRTP" if any(part in module for part in _CRYPTO) else "media: core"
    return "Python: code"


def _call(stack: Sequence[Frame]) -> str:
    for frame in stack:
        for call, what in _SYSTEM_CALLS.items():
            if frame.is_kernel and frame.symbol.endswith(call) and "sys_" in frame.symbol:
                return what
    return "other"


def _shares(counts: Counter[str], total: int) -> list[Part]:
    return [Part(name, round(count / max(total, 1), 4)) for name, count in counts.most_common()]
