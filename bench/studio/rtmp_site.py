"""A real partner site: nginx with its RTMP module on loopback, recording what it is sent."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from bench.target import free_port

NGINX: Final = "/usr/sbin/nginx"
MODULE: Final = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

_CONFIG: Final = """
load_module {module};
user root;
worker_processes 1;
daemon off;
error_log {folder}/error.log info;
pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
rtmp {{
    server {{
        listen 127.0.0.1:{port};
        chunk_size 4096;
        application live {{
            live on;
            {rule} publish all;
            record all;
            record_path {folder}/recordings;
            record_unique on;
            record_suffix -{start}.flv;
        }}
        application closed {{
            live on;
            deny publish all;
        }}
    }}
}}
"""


class RtmpSite:
    """Starts, stops, and starts again on the same port; `recordings` lists the FLV files it wrote."""

    def __init__(self, folder: Path) -> None:
        if not Path(NGINX).exists() or not Path(MODULE).exists():
            raise RuntimeError("nginx with libnginx-mod-rtmp is missing: run tools/system-packages bench")
        self.folder = folder
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._starts = 0
        (folder / "recordings").mkdir(parents=True, exist_ok=True)

    @property
    def recordings(self) -> list[Path]:
        """What it was sent, the oldest first."""
        return sorted((self.folder / "recordings").glob("*.flv"), key=lambda path: path.stat().st_mtime)

    @property
    def connections(self) -> int:
        """How many connections it holds open now."""
        local, established = f":{self.port:04X}", "01"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(local) and row[3] == established for row in rows)

    def url(self, key: str, application: str = "live") -> str:
        """Where a stream of that key is published and played."""
        return f"rtmp://127.0.0.1:{self.port}/{application}/{key}"

    async def start(self, *, publishes: bool = True) -> None:
        """Start, and wait until it takes connections; whether it then lets anybody publish.

        Raises:
            RuntimeError: with its log, when it does not.
        """
        self._starts += 1  # two recordings of one key within a second would have one name
        rule = "allow" if publishes else "deny"
        config = _CONFIG.format(
            module=MODULE, folder=self.folder, port=self.port, start=self._starts, rule=rule
        )
        (self.folder / "nginx.conf").write_text(config)
        self._process = await asyncio.create_subprocess_exec(
            NGINX,
            "-c",
            str(self.folder / "nginx.conf"),
            "-p",
            str(self.folder),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                if self._process.returncode is not None:
                    raise RuntimeError((self.folder / "error.log").read_text()[-2000:])
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it; `start` starts it again."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop reading without closing anything."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Read again."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [int(pid) for pid in children] or [self._process.pid]
