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

from tests.support.forks import Forked

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
        # The process writes at the offset that this descriptor shares with it.
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode()

    @property
    def url(self) -> str:
        return self.link.partition("/r/")[0]


async def parley(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command to its end: code and output."""
    with tempfile.TemporaryFile() as output:
        process = Forked(arguments, ENVIRONMENT | environment, output)
        try:
            async with asyncio.timeout(60):
                code = await process.wait()
        finally:
            process.kill()
            await process.wait()
        output.seek(0)
        return code, output.read().decode()


async def to_the_link(process: asyncio.subprocess.Process) -> list[str]:
    """What it prints, up to the link to join."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(60):
        while not lines or not lines[-1].startswith("Join: "):
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended after {lines}"
            lines.append(line.strip())
    return lines


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
    try:
        lines = await to_the_link(process)
        yield Served(process, lines[-1].removeprefix("Join: "), lines, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        errors.close()
