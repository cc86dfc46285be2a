"""What every request passes through: log, faults, limits, hosts, CORS, security headers."""

import asyncio
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web
from multidict import CIMultiDict

from signaling import accesslog
from signaling.config import SignalingConfig
from signaling.context import Context, client_address, context_of, normal_origin, own_origin, problem_response
from signaling.errors import CODES, Problem
from signaling.limits import address_key
from signaling.session import internal
from signaling.views import refusal

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS_CODES: Final = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    415: "unsupported_media_type",
}
_EXPOSED: Final = "Location, ETag, Link, Accept-Patch, Retry-After"
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, If-Match"
_ALLOWED_METHODS: Final = "GET, POST, PATCH, DELETE, OPTIONS"
_SHARED: Final = ("/api/", "/whip/", "/whep/")
_UNLIMITED: Final = ("/healthz", "/readyz", "/metrics")
_API_CSP: Final = "default-src 'none'; frame-ancestors 'none'"

_log = structlog.get_logger("signaling.http")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost layer: times, logs and counts; turns every error into problem+json."""
    context = context_of(request)
    started = time.monotonic()
    try:
        response = await _answer(request, handler, context)
    except web.HTTPException as error:
        response = _http_error(error)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - one request's fault is answered, logged and ends nothing else
        response = problem_response(refusal(error) or _fault(context, error))
    # A WebSocket, a chat feed: headers went out long ago.
    if not response.prepared:
        _secure(request, response, context.config)
    route = request.match_info.route.resource
    label = "unmatched" if route is None else route.canonical
    context.metrics.requests.labels(label, str(response.status)).inc()
    if request.path not in _UNLIMITED:
        size = response.body_length if response.prepared else (response.content_length or 0)
        accesslog.write(request, response.status, time.monotonic() - started, size)
    return response


async def _answer(request: web.Request, handler: Handler, context: Context) -> web.StreamResponse:
    config = context.config
    _check_host(request, config)
    if request.path not in _UNLIMITED:
        wait = context.requests.take(address_key(client_address(request, config)), time.monotonic())
        if wait > 0.0:
            context.metrics.limited.labels("requests").inc()
            raise Problem("rate_limited", "Too many requests from your address", retry_after_s=wait)
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return _preflight(request, config)
    return await handler(request)


def _http_error(error: web.HTTPException) -> web.StreamResponse:
    code = _STATUS_CODES.get(error.status)
    if code is None:
        return web.Response(status=error.status, headers=_kept(error.headers))
    return problem_response(Problem(code, CODES[code].title), headers=_kept(error.headers))


def _kept(headers: "CIMultiDict[str]") -> dict[str, str]:
    return {name: headers[name] for name in ("Allow", "Location") if name in headers}


def _fault(context: Context, error: Exception) -> Problem:
    reference = secrets.token_hex(6)
    context.metrics.faults.labels("http").inc()
    _log.error("request_failed", reason="http", reference=reference, exc_info=error)
    return internal(reference)


def _check_host(request: web.Request, config: SignalingConfig) -> None:
    """On a development server, refuse foreign names: a page that rebinds its DNS name to loopback."""
    if not config.is_development:
        return
    host = request.host.lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.strip("[]")
    if name in {"localhost", *(item.lower() for item in config.hosts)} or name.endswith(".localhost"):
        return
    try:
        if ipaddress.ip_address(name).is_loopback:
            return
    except ValueError:
        pass
    raise Problem("forbidden", "A development server answers on localhost only")


def _listed_origin(request: web.Request, config: SignalingConfig) -> str | None:
    """The `Origin` of a cross-origin page that the operator listed, as it was sent."""
    origin = request.headers.get("Origin")
    if origin is None or not request.path.startswith(_SHARED):
        return None
    return origin if normal_origin(origin) in {normal_origin(item) for item in config.origins} else None


def _preflight(request: web.Request, config: SignalingConfig) -> web.Response:
    origin = _listed_origin(request, config)
    own = normal_origin(request.headers.get("Origin", "")) == own_origin(request, config)
    if origin is None and not own:
        raise Problem("forbidden", "Pages of this origin may not call: the operator lists the allowed ones")
    response = web.Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = _ALLOWED_METHODS
    response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
    response.headers["Access-Control-Max-Age"] = "600"
    if request.path.startswith(("/whip/", "/whep/")):
        response.headers["Accept-Post"] = "application/sdp"
    return response


def _secure(request: web.Request, response: web.StreamResponse, config: SignalingConfig) -> None:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("Content-Security-Policy", _API_CSP)
    headers.setdefault("Cache-Control", "no-store")
    headers["Server"] = "Parley"
    if own_origin(request, config).startswith("https://"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    origin = _listed_origin(request, config)
    if request.path.startswith(_SHARED):
        headers.add("Vary", "Origin")
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
