"""A partner's SRT receiver: Debian's ffmpeg listening on loopback, and the stream that it gets."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import IO, Final

import av
from av.container import InputContainer

from bench.target import free_port

_LATENCY_MS: Final = 20
"""What SRT holds back for retransmissions."""
_LIVE: Final = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "100000"}


class SrtSite:
    """Takes one caller after another: `open` waits for the next.

    Attributes:
        last_s: when bytes last arrived (monotonic seconds); 0 before the first.

    Raises:
        RuntimeError: ffmpeg is missing.
    """

    def __init__(self) -> None:
        if shutil.which("ffmpeg") is None:
            raise RuntimeError("ffmpeg is missing: run tools/system-packages bench")
        self._address = f"srt://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        self.url = f"{self._address}?latency={_LATENCY_MS}"
        self.last_s = 0.0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    @contextlib.contextmanager
    def open(self) -> Iterator[InputContainer]:
        """What the next caller sends. Blocks until one does.

        Raises:
            av.FFmpegError: it sends nothing that plays, or the site is closed.
        """
        source = ("-f", "data", "-i", f"{self._address}?mode=listener&latency={_LATENCY_MS * 1000}")
        sink = ("-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "data", "pipe:1")
        with self._lock:
            if self._is_closed:
                raise av.EOFError(0, "closed")
            self._process = process = subprocess.Popen(
                ("ffmpeg", "-nostdin", "-v", "quiet", *source, *sink), stdout=subprocess.PIPE
            )
            assert process.stdout is not None
        try:
            with av.open(_Arriving(self, process.stdout), "r", format="mpegts", options=_LIVE) as container:
                yield container
        finally:
            with self._lock:
                self._process = None
                process.kill()
            process.wait()
            process.stdout.close()

    def close(self) -> None:
        """Take nobody any more. Idempotent; may be called from another thread than `open`."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()


class _Arriving:
    """The stream, whose site knows when something of it came."""

    def __init__(self, site: SrtSite, stream: IO[bytes]) -> None:
        self._site = site
        self._fd = stream.fileno()

    def read(self, size: int) -> bytes:
        """What is there, at least one byte; nothing at the end."""
        data = os.read(self._fd, size)
        if data:
            self._site.last_s = time.monotonic()
        return data
