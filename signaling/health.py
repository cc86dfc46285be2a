"""Liveness, readiness, metrics."""

import asyncio
import ipaddress

from aiohttp import web
from msgspec import Struct

from policy import Permission
from signaling.context import client_address, context_of, json_response
from signaling.errors import Problem


class Readiness(Struct, frozen=True):
    """Whether joins are taken; `missing` says in words what is not there, also where calls go on without."""

    ready: bool
    missing: list[str]


async def healthz(_request: web.Request) -> web.Response:
    """`GET /healthz`: the process answers."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """`GET /readyz`: joins are taken, and what does not work is told."""
    context = context_of(request)
    missing = list(context.services.missing())
    is_ready = not context.is_draining
    if not is_ready:
        missing.append("the server is shutting down")
    return json_response(Readiness(is_ready, missing), status=200 if is_ready else 503)


async def metrics(request: web.Request) -> web.Response:
    """`GET /metrics`: for this machine, or with an `admin` token."""
    context = context_of(request)
    try:
        is_local = ipaddress.ip_address(client_address(request, context.config)).is_loopback
    except ValueError:
        is_local = False
    if not is_local and not context.claims(request).allows(Permission.ADMIN):
        raise Problem("forbidden", "Metrics are for this machine, or for a token with the admin grant")
    rooms = context.services.rooms.rooms()
    context.metrics.ledger_verified.set(context.services.store.ledger.is_verified)
    context.metrics.tasks.set(len(asyncio.all_tasks()))
    context.metrics.rooms.set(len(rooms))
    context.metrics.participants.set(sum(room.participants for room in rooms))
    if context.services.recorder is not None:
        condition = context.services.recorder.condition
        context.metrics.archive_waiting.set(condition.archive_waiting)
        context.metrics.archive_failed.set(condition.archive_failed)
        context.metrics.disk_free_bytes.set(condition.free_bytes or 0)
    if context.services.cpu_cores is not None:
        context.metrics.cpu_cores.clear()
        for what, cores in context.services.cpu_cores().items():
            context.metrics.cpu_cores.labels(what).set(cores)
    body = context.metrics.text()
    if context.services.media_counters is not None:
        body += media_text(await context.services.media_counters())
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def media_text(groups: "dict[str, dict[str, int]]") -> bytes:
    """Counters of the media plane: one family, labelled by worker and counter."""
    lines = ["# HELP parley_media Counters of the media plane", "# TYPE parley_media untyped"]
    lines += [
        f'parley_media{{part="{part}",counter="{counter}"}} {value}'
        for part, counters in sorted(groups.items())
        for counter, value in sorted(counters.items())
    ]
    return ("\n".join(lines) + "\n").encode()
