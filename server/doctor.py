"""What `parley doctor` looks at: whether this machine can run a server, and what to do when not."""

import asyncio
import importlib
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from server.addresses import machine_addresses, media_addresses
from server.config import Config
from server.tls import Certificate, TlsError
from store import Store, StoreConfig, StoreError, StoreInUse

Verdict = Literal["good", "note", "bad"]

_FREE_BYTES: Final = 1 << 30
_FILES: Final = 4_096
_RECEIVE_BUFFER: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    what: str
    found: str
    advice: str = ""

    def plain(self) -> dict[str, str]:
        """As a mapping."""
        return asdict(self)


async def examine(config: Config) -> list[Finding]:
    """Look at everything, one after the other; a check that fails in itself is a finding too."""
    checks: tuple[Callable[[Config], Coroutine[Any, Any, Finding]], ...] = (
        _core,
        _codecs,
        _http_port,
        _media_ports,
        _addresses,
        _certificate,
        _keys,
        _data,
        _ledger,
        _disk,
        _descriptors,
        _receive_buffer,
        _clock,
        _ffmpeg,
    )
    findings = []
    for look in checks:
        try:
            findings.append(await look(config))
        except Exception as error:  # noqa: BLE001 - the next checks are worth having
            name = look.__name__.strip("_").replace("_", " ")
            findings.append(Finding("bad", name, f"{type(error).__name__}: {error}"))
    return findings


async def _core(_config: Config) -> Finding:
    try:
        core = importlib.import_module("sfu.engine._core")
    except ImportError as error:
        return Finding("bad", "native core", str(error), "build it: pip install -e . in the project's folder")
    return Finding("good", "native core", Path(str(core.__file__)).name)


async def _codecs(_config: Config) -> Finding:
    av = await asyncio.to_thread(importlib.import_module, "av")
    wanted = ("libx264", "aac", "libopus", "libvpx")
    missing = [name for name in wanted if name not in av.codecs_available]
    if missing:
        return Finding(
            "bad", "codecs", f"PyAV {av.__version__} lacks {', '.join(missing)}", "install PyAV's wheel"
        )
    return Finding("good", "codecs", f"PyAV {av.__version__} with {', '.join(wanted)}")


async def _http_port(config: Config) -> Finding:
    host, port = config.server.host, config.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                "note", "HTTP port", f"{host}:{port}: {error.strerror}", "a server runs, or choose --port"
            )
    return Finding("good", "HTTP port", f"{host}:{port} is free")


async def _media_ports(config: Config) -> Finding:
    workers = config.media.workers or max(1, (os.cpu_count() or 2) - 1)
    bind = config.media.bind or media_addresses(machine_addresses(), with_loopback=config.is_loopback)
    for address in bind:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for worker in range(workers):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((address, config.media.port + worker if config.media.port else 0))
                except OSError as error:
                    found = f"UDP {address}:{config.media.port + worker}: {error.strerror}"
                    return Finding("note", "media ports", found, "a server runs, or choose --media-port")
    last = config.media.port + workers - 1
    return Finding("good", "media ports", f"UDP {config.media.port} to {last} are free")


async def _addresses(config: Config) -> Finding:
    found = media_addresses(machine_addresses(), with_loopback=config.is_loopback)
    if not [address for address in found if not address.startswith("127.")]:
        return Finding(
            "note", "addresses", ", ".join(found) or "none", "only this machine can connect; Firefox may not"
        )
    return Finding("good", "addresses", ", ".join(found))


async def _certificate(config: Config) -> Finding:
    server = config.server
    if server.tls_cert is not None and server.tls_key is not None:
        try:
            Certificate(server.tls_cert, server.tls_key)
        except TlsError as error:
            return Finding("bad", "TLS", str(error), "give a PEM chain and its key")
        return Finding("good", "TLS", str(server.tls_cert))
    if server.tls == "self-signed":
        return Finding("note", "TLS", "self-signed", "browsers warn once; get a certificate for the public")
    return Finding("good", "TLS", "off: only for loopback, or behind a proxy")


async def _keys(config: Config) -> Finding:
    if config.keys:
        return Finding("good", "API keys", ", ".join(key.id for key in config.keys))
    return Finding("note", "API keys", "none: one is generated", "add [[keys]] before others use the server")


async def _data(config: Config) -> Finding:
    folder = config.server.data_dir
    if not os.access(_existing(folder), os.W_OK):
        return Finding("bad", "data folder", f"{folder} cannot be written", "choose --data-dir")
    return Finding("good", "data folder", str(folder))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


async def _ledger(config: Config) -> Finding:
    folder = config.server.data_dir
    if not folder.exists():
        return Finding("good", "consent ledger", "none yet")
    try:
        store = await Store.open(StoreConfig(data_dir=folder, is_read_only=True))
    except StoreInUse:
        return Finding("good", "consent ledger", "a server uses it")
    except StoreError as error:
        return Finding("note", "consent ledger", str(error), "a server that starts makes or mends it")
    try:
        report = store.ledger.report
    finally:
        await store.close()
    if report.problem is not None:
        return Finding(
            "bad",
            "consent ledger",
            report.problem,
            "nobody's grant holds: restore it from a backup; `parley consent anchor` when it is whole",
        )
    return Finding("good", "consent ledger", f"{report.rows} rows verify")


async def _disk(config: Config) -> Finding:
    free = shutil.disk_usage(_existing(config.server.data_dir)).free
    text = f"{free / (1 << 30):.1f} GiB free"
    if free < _FREE_BYTES:
        return Finding("note", "disk", text, "recordings need room: about 450 MB an hour and participant")
    return Finding("good", "disk", text)


async def _descriptors(_config: Config) -> Finding:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        return Finding("note", "open files", f"limit {soft}", f"raise it: ulimit -n {_FILES}, or LimitNOFILE")
    return Finding("good", "open files", f"limit {soft}")


async def _receive_buffer(_config: Config) -> Finding:
    size = _kernel_limit("/proc/sys/net/core/rmem_max")
    if size == 0:
        return Finding("note", "UDP buffer", "unknown")
    if size < _RECEIVE_BUFFER:
        advice = f"for many publishers: sysctl -w net.core.rmem_max={_RECEIVE_BUFFER}"
        return Finding("note", "UDP buffer", f"at most {size // 1024} KiB", advice)
    return Finding("good", "UDP buffer", f"at most {size // 1024} KiB")


def _kernel_limit(path: str) -> int:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return 0


async def _clock(_config: Config) -> Finding:
    # Tokens are judged by the wall clock; a year that cannot be is the usual sign of a machine without one.
    year = time.gmtime().tm_year
    if not 2025 <= year <= 2100:
        return Finding("bad", "clock", f"the year is {year}", "set the clock: tokens carry times")
    return Finding("good", "clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))


async def _ffmpeg(_config: Config) -> Finding:
    path = shutil.which("ffmpeg")
    if path is None:
        return Finding("note", "ffmpeg", "not installed", "only needed by tests")
    return Finding("good", "ffmpeg", path)
