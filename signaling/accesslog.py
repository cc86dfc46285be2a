"""The access log: what the privacy policy lists, and nothing else.

Fields: time (by the logger), truncated address, browser, referring site, part of the platform visited (the
route with
its room), method, status, duration, size. Never a token, an identity, a name, a query, a resource id or a
body.
"""

import re
from typing import Final

import structlog
from aiohttp import web
from yarl import URL

from policy import NameRefused, normalize_room
from signaling.context import client_address, context_of
from signaling.limits import truncated

_BROWSERS: Final = (
    ("Firefox", re.compile(r"Firefox/(\d{1,4})")),
    ("Edge", re.compile(r"Edg/(\d{1,4})")),
    ("Chromium", re.compile(r"Chrome/(\d{1,4})")),
    ("Safari", re.compile(r"Version/(\d{1,4})\S* .*Safari/")),
    ("OBS", re.compile(r"OBS[- /]Studio/(\d{1,4})")),
    ("FFmpeg", re.compile(r"Lavf/(\d{1,4})")),
    ("curl", re.compile(r"curl/(\d{1,4})")),
    ("Python", re.compile(r"Python/(\d{1,4})")),
)
_log = structlog.get_logger("access")


def browser(user_agent: str) -> str:
    """The kind of program and its main version."""
    for name, pattern in _BROWSERS:
        found = pattern.search(user_agent[:512])
        if found:
            return f"{name} {found.group(1)}"
    return "other" if user_agent else "-"


def referrer(value: str) -> str:
    """The referring site, without path and query."""
    try:
        url = URL(value[:2_000])
        return str(url.origin()) if url.is_absolute() else "-"
    except ValueError:
        return "-"


def part_visited(request: web.Request) -> str:
    """The route with its room; other parts of the path stay placeholders."""
    resource = request.match_info.route.resource
    if resource is None:
        return "unmatched"
    route = resource.canonical
    room = request.match_info.get("room")
    if room is None:
        return route
    try:
        return route.replace("{room}", normalize_room(room))
    except NameRefused:
        return route


def write(request: web.Request, status: int, duration_s: float, size: int) -> None:
    """Log one request."""
    _log.info(
        "http_request_served",
        address=truncated(client_address(request, context_of(request).config)),
        browser=browser(request.headers.get("User-Agent", "")),
        referrer=referrer(request.headers.get("Referer", "")),
        part=part_visited(request),
        method=request.method if request.method.isascii() and len(request.method) <= 16 else "-",
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        size_bytes=size,
    )
