"""The measured half of a run without signalling, alone in its process and told what to do on stdin.

Lines of JSON: `{"do": "open", ...}`, `{"do": "build", "plan", "ports"}`, `{"do": "measure"}`,
`{"do": "stop"}`; each is answered by one line on stdout.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from bench import plan, process


class Half(Protocol):
    """What forwards."""

    def port(self) -> int:
        """Where the load is to send."""
        ...

    async def build(self, run: plan.Plan, addresses: dict[int, tuple[str, int]]) -> None:
        """Make everything of the plan; `addresses`: where each transport's load listens."""
        ...

    async def counters(self) -> dict[str, int]:
        """What it counted so far."""
        ...

    async def close(self) -> None:
        """Stop."""
        ...


async def serve(make: Callable[[dict[str, Any]], Half]) -> None:
    """Carry out what stdin says until it ends; `make` takes the fields of `open`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    half: Half | None = None
    while line := await reader.readline():
        request = json.loads(line)
        answer: dict[str, Any] = {}
        match request["do"]:
            case "open":
                half = make(request)
                answer = {"port": half.port(), "rss_bytes": process.rss_bytes(os.getpid())}
            case "build" if half is not None:
                addresses = {int(transport): (ip, port) for transport, (ip, port) in request["ports"].items()}
                await half.build(plan.Plan.from_json(request["plan"]), addresses)
            case "measure" if half is not None:
                answer = {
                    "cpu_ns": time.process_time_ns(),
                    "rss_bytes": process.rss_bytes(os.getpid()),
                    "counters": await half.counters(),
                }
            case "stop" if half is not None:
                await half.close()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
