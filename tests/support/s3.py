"""A real S3 server for tests: OpenStack Swift in a process of its own, on loopback."""

import signal
import socket
import subprocess
from pathlib import Path

from store import ArchiveConfig, Secret

SYSTEM_PYTHON = "/usr/bin/python3"
BUCKET, VERSIONED = "parley", "versioned"
ACCESS_KEY, SECRET_KEY = "test:tester", "swift-test-secret"


class S3Server:
    """Starts, stops (its data stays), hangs and goes on; always on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        script = Path(__file__).with_name("swift_server.py")
        arguments = [str(self.folder), str(self.port), SECRET_KEY, BUCKET, VERSIONED]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [SYSTEM_PYTHON, str(script), *arguments], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "ready\n", (self.folder / "log").read_text()[-4000:]

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self, *, is_hanging: bool = True) -> None:
        """Accept connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if is_hanging else signal.SIGCONT)

    def config(self, prefix: str, *, bucket: str = BUCKET, **options: object) -> ArchiveConfig:
        """An archive of its own in the bucket."""
        return ArchiveConfig(
            bucket=bucket,
            prefix=prefix,
            endpoint=self.endpoint,
            access_key_id=ACCESS_KEY,
            secret_access_key=Secret(SECRET_KEY),
            allows_http=True,
            **options,  # type: ignore[arg-type]
        )

    def objects(self) -> list[Path]:
        """Everything that the server holds, as it lies on its disk: old versions too."""
        return sorted((self.folder / "devices").rglob("*.data"))
