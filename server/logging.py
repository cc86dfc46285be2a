"""Logs: one event a line, secrets masked, control characters escaped.

Own events come through structlog, those of libraries through the standard `logging`; both leave by the
same chain.
"""

import logging
import math
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final, TextIO

import structlog
from aiohttp.http_exceptions import HttpProcessingError

MASK: Final = "[masked]"
_MAX_TEXT: Final = 4_000

_SECRET_NAMES: Final = re.compile(
    r"(?:^|_)(?:token|secret|secrets|password|passwd|pwd|credential|credentials|authorization|cookie|api_key|"
    r"stream_key|key|resume|sdp|ufrag|sig|signature)(?:$|_)",
    re.IGNORECASE,
)
_SECRET_TEXTS: Final = (
    # A JWT wherever it stands; only its first letters tell that there was one.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,2}"), f"eyJ{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}"), rf"\1 {MASK}"),
    # The last part of an RTMP path is the stream key; user info and queries of any URL may hold secrets.
    (re.compile(r"(?i)\b(rtmps?://[^\s/]+/[^\s/?#]+/)[^\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"']+@"), rf"\1{MASK}@"),
    (
        re.compile(r"(?i)([?&#](?:token|sig|key|secret|password|streamid|passphrase)=)[^&\s\"']+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\ba=(ice-pwd|ice-ufrag|crypto):[^\s\\]+"), rf"a=\1:{MASK}"),
)
# C0 and C1 controls, line separators, and the characters that turn the reading direction.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")

Event = MutableMapping[str, Any]

_log = structlog.stdlib.get_logger("server.http")


def clean(text: str) -> str:
    """A text for one line of log: secrets masked, control characters as escapes, bounded."""
    if len(text) > _MAX_TEXT:
        text = text[:_MAX_TEXT] + "..."
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _clean_value(value: object, depth: int = 0) -> object:
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth >= 4:
        return clean(repr(value)[:200])
    if isinstance(value, MutableMapping):
        return {clean(str(key)): _member(str(key), item, depth) for key, item in list(value.items())[:100]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean_value(item, depth + 1) for item in list(value)[:100]]
    return clean(str(value))


def _member(name: str, value: object, depth: int = -1) -> object:
    if isinstance(value, str) and _SECRET_NAMES.search(name):
        return MASK
    return _clean_value(value, depth + 1)


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Mask secrets by name and by shape, and escape control characters, in every field."""
    return {
        clean(name): _member(name, value) for name, value in event.items() if not name.startswith("_")
    } | {name: value for name, value in event.items() if name.startswith("_")}


class ConsoleRenderer:
    """One readable line an event; tracebacks below, indented so that none of their lines looks like one."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = {
            "debug": "\x1b[2m",
            "warning": "\x1b[33m",
            "error": "\x1b[31m",
            "critical": "\x1b[31m",
        }
        self._has_colours = colours

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        """The line."""
        level, stamp = str(event.pop("level", "info")), str(event.pop("timestamp", ""))
        name, trace = event.pop("event", ""), event.pop("exception", None)
        event.pop("logger", None)
        pairs = " ".join(f"{key}={value}" for key, value in event.items())
        line = f"{stamp[11:19]} {level:<7} {name}" + (f"  {pairs}" if pairs else "")
        colour = self._colours.get(level, "") if self._has_colours else ""
        line = f"{colour}{line}\x1b[0m" if colour else line
        if isinstance(trace, str):
            line += "".join(f"\n    | {part}" for part in trace.split("\\u000a"))
        return line


class MalformedRequests(logging.Filter):
    """Makes of aiohttp's traceback for each unreadable request a counted line, at most one a second.

    What strangers send must not fill the log, nor show their address or their bytes in it.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._count = 0
        self._next = -math.inf

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written as it is; the address of whoever asked is taken out."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            if error is not None:
                record.msg, record.args = "http_request_failed", ()
            return True
        self._count += 1
        if self._now() >= self._next:
            _log.info("http_request_malformed", count=self._count, reason=type(error).__name__)
            self._count, self._next = 0, self._now() + 1.0
        return False


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up logging for the process; `style`: `json`, `console` or `auto` (console on a terminal)."""
    stream = stream or sys.stderr
    is_console = style == "console" or (style == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = ConsoleRenderer(colours=stream.isatty())
    if not is_console:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True, sort_keys=True)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
        processors=[redact, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("asyncio", "aiohttp.access", "aioice", "libav"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    requests = logging.getLogger("aiohttp.server")
    for old_filter in requests.filters[:]:
        requests.removeFilter(old_filter)
    requests.addFilter(MalformedRequests())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
