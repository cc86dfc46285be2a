"""The `parley` command as people run it: to its end, or serving."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY")}


@dataclass
class Served:
    """A `parley serve` process that is up."""

    process: asyncio.subprocess.Process
    link: str
    lines: list[str]
    errors: IO[bytes]

    def complaints(self) -> str:
        """What it has written to its standard error."""
        self.errors.seek(0)
        return self.errors.read().decode()

    @property
    def url(self) -> str:
        return self.link.partition("/r/")[0]


async def parley(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command to its end: code and output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from server.cli import main; main()",
        *arguments,
        env=ENVIRONMENT | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@asynccontextmanager
async def serving(data: Path, *arguments: str) -> AsyncIterator[Served]:
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from server.cli import main; main()",
        "serve",
        "--port",
        "0",
        "--media-port",
        "0",
        "--data-dir",
        str(data),
        *arguments,
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(60):
            while not lines or not lines[-1].startswith("Join: "):
                line = (await process.stdout.readline()).decode()
                assert line, lines
                lines.append(line.strip())
        yield Served(process, lines[-1].removeprefix("Join: "), lines, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        errors.close()
