"""A real SRT receiver: Debian's ffmpeg listening on loopback, keeping the stream that it gets."""

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class SrtListener:
    """Takes one caller after another start; `file` is what the newest one sent."""

    def __init__(self, folder: Path, **parameters: str) -> None:
        if shutil.which("ffmpeg") is None:
            raise RuntimeError("ffmpeg is missing: run tools/system-packages test")
        self.folder = folder
        self.port = free_udp_port()
        self._parameters = {"mode": "listener", **parameters}
        self._process: asyncio.subprocess.Process | None = None
        self._starts = 0

    @property
    def file(self) -> Path:
        return self.folder / f"srt-{self.port}-{self._starts}.ts"

    @property
    def received(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    async def start(self, *, reads_at: float | None = None, **changes: str) -> None:
        """`changes`: of the parameters, from now on. `reads_at`: of the stream's pace; None: as it comes."""
        self._parameters |= changes
        self._starts += 1
        query = "&".join(f"{name}={value}" for name, value in self._parameters.items())
        url = f"srt://127.0.0.1:{self.port}?{query}"
        pace = () if reads_at is None else ("-readrate", str(reads_at))
        command = ("ffmpeg", "-nostdin", "-v", "error", *pace, "-f", "mpegts", "-i", url)
        output = ("-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "mpegts", str(self.file))
        self._process = await asyncio.create_subprocess_exec(*command, *output)
        async with asyncio.timeout(10):
            while not self._is_listening():  # noqa: ASYNC110 (the state of another process)
                await asyncio.sleep(0.02)

    def _is_listening(self) -> bool:
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return any(row[1].endswith(f":{self.port:04X}") for row in rows)

    async def stop(self) -> None:
        """Kills it: a receiver that dies says no goodbye."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._process = None

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)
