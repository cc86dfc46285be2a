"""The machine itself: native parts, disk, limits, clock."""

import asyncio
import ctypes
import importlib
import os
import platform
import resource
import shutil
import time
from pathlib import Path
from typing import Final

from server.doctor.finding import Finding, Patient
from sfu import EngineError, check_srtp, gcm_implementation

_FREE_BYTES: Final = 1 << 30
_FILES: Final = 4_096
_SOCKET_BUFFER: Final = 4 << 20
_TIME_ERROR: Final = 5
_SLOWER: Final = "libsrtp"


async def core(_patient: Patient) -> Finding:
    """Whether the native core loads."""
    try:
        core = importlib.import_module("sfu.engine._core")
    except ImportError as error:
        return Finding("bad", "native core", str(error), "build it: pip install -e . in the project's folder")
    return Finding("good", "native core", Path(str(core.__file__)).name)


async def srtp(_patient: Patient) -> Finding:
    """Whether libsrtp encrypts as the standards' known answers say."""
    try:
        await asyncio.to_thread(check_srtp)
    except EngineError as error:
        return Finding("bad", "SRTP", str(error), "install the pylibsrtp of pyproject.toml's range")
    cipher = await asyncio.to_thread(gcm_implementation)
    text = f"known answers of both profiles; AES-GCM by {cipher}"
    if cipher == _SLOWER and platform.machine() == "x86_64":
        return Finding(
            "note", "SRTP", text, "packets cost up to a third less CPU with libipsec-mb-dev and a new build"
        )
    return Finding("good", "SRTP", text)


async def codecs(_patient: Patient) -> Finding:
    """Whether PyAV has what recordings and broadcasts need."""
    av = await asyncio.to_thread(importlib.import_module, "av")
    wanted = ("libx264", "aac", "libopus", "libvpx")
    missing = [name for name in wanted if name not in av.codecs_available]
    if missing:
        return Finding(
            "bad", "codecs", f"PyAV {av.__version__} lacks {', '.join(missing)}", "install PyAV's wheel"
        )
    return Finding("good", "codecs", f"PyAV {av.__version__} with {', '.join(wanted)}")


async def data(patient: Patient) -> Finding:
    """Whether the data folder can be written."""
    folder = patient.config.server.data_dir
    place = _existing(folder)
    if not place.is_dir() or not os.access(place, os.W_OK):
        return Finding("bad", "data folder", f"{folder} cannot be written", "choose --data-dir")
    return Finding("good", "data folder", str(folder))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


async def disk(patient: Patient) -> Finding:
    """Whether there is room for recordings."""
    free = shutil.disk_usage(_existing(patient.config.server.data_dir)).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < _FREE_BYTES:
        return Finding("note", "disk", text, "recordings need room: about 450 MB an hour and participant")
    return Finding("good", "disk", text)


async def descriptors(_patient: Patient) -> Finding:
    """Whether the process may hold a socket for everybody."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        return Finding("note", "open files", f"limit {soft}", f"raise it: ulimit -n {_FILES}, or LimitNOFILE")
    return Finding("good", "open files", f"limit {soft}")


async def receive_buffer(_patient: Patient) -> Finding:
    """How much a socket may hold until a worker reads it."""
    return _buffer("UDP receive buffer", "net.core.rmem_max", "many publishers")


async def send_buffer(_patient: Patient) -> Finding:
    """How much a socket may hold until the network takes it."""
    return _buffer("UDP send buffer", "net.core.wmem_max", "many viewers")


def _buffer(what: str, name: str, who: str) -> Finding:
    size = _kernel_limit(f"/proc/sys/{name.replace('.', '/')}")
    if size == 0:
        return Finding("note", what, "unknown")
    if size < _SOCKET_BUFFER:
        advice = f"for {who}: sysctl -w {name}={_SOCKET_BUFFER}, and a file in /etc/sysctl.d"
        return Finding("note", what, f"at most {size // 1024} KiB", advice)
    return Finding("good", what, f"at most {size // 1024} KiB")


def _kernel_limit(path: str) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return 0


async def clock(_patient: Patient) -> Finding:
    """Whether tokens, which carry times, can be judged."""
    year = time.gmtime().tm_year
    if not 2025 <= year <= 2100:
        return Finding("bad", "clock", f"the year is {year}", "set the clock: tokens carry times")
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if not _is_synchronised():
        advice = "let chrony or systemd-timesyncd keep it (in a container the host does)"
        return Finding("note", "clock", f"{now}, not synchronised", advice)
    return Finding("good", "clock", f"{now}, synchronised")


def _is_synchronised() -> bool:
    """Whether the kernel knows that something keeps its clock. Source: adjtimex(2), ntp_gettime(3)."""
    return int(ctypes.CDLL(None).ntp_gettime(ctypes.create_string_buffer(256))) != _TIME_ERROR


async def ffmpeg(_patient: Patient) -> Finding:
    """Whether the ffmpeg command is there."""
    path = shutil.which("ffmpeg")
    if path is None:
        return Finding("note", "ffmpeg", "not installed", "only needed by tests")
    return Finding("good", "ffmpeg", path)
