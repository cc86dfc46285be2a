"""What every handler shares: the application's state, and questions about a request."""

import asyncio
import base64
import ipaddress
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from policy import Permission
from signaling.config import Services, SignalingConfig
from signaling.errors import Problem, misfit
from signaling.limits import Limiter, address_key
from signaling.metrics import Metrics
from signaling.notify import Wording
from signaling.tokens import Claims, TokenError

MAX_BODY_BYTES: Final = 64 * 1024
MAX_SDP_BYTES: Final = 65_536

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Context:
    """The application's services, configuration and bounded tables; on the event loop's thread."""

    services: Services
    config: SignalingConfig
    metrics: Metrics = field(default_factory=Metrics)
    wording: Wording = field(default_factory=Wording)
    joins: Limiter = field(init=False)
    requests: Limiter = field(init=False)
    failures: Limiter = field(init=False)
    downloads: Counter[str] = field(default_factory=Counter)
    """Files that are being sent, by the key of the address."""
    is_draining: bool = False

    def __post_init__(self) -> None:
        self.joins = Limiter(self.config.joins)
        self.requests = Limiter(self.config.requests)
        self.failures = Limiter(self.config.failures)

    def claims(self, request: web.Request) -> Claims:
        """The accepted token (or API key) of a request.

        Raises:
            Problem: `unauthorized`, or `rate_limited` after too many refused ones from this address.
        """
        address = address_key(client_address(request, self.config))
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and credentials:
            return self.accept(credentials.strip(), address)
        if scheme.lower() == "basic" and credentials:
            return self._key_holder(credentials.strip(), address)
        raise Problem("unauthorized", "Send a token: Authorization: Bearer <token>")

    def accept(self, token: str, address: str) -> Claims:
        """Verify a token that came from `address` (a limiter's key).

        Raises:
            Problem: `unauthorized` or `rate_limited`.
        """
        try:
            return self.services.keys.verify(token, time.time())
        except TokenError as error:
            self._failed(address)
            raise Problem("unauthorized", error.reason) from error

    def _key_holder(self, credentials: str, address: str) -> Claims:
        try:
            key_id, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except ValueError as error:
            raise Problem("unauthorized", "The Authorization header holds no key id and secret") from error
        if not self.services.keys.is_secret(key_id, secret):
            self._failed(address)
            raise Problem("unauthorized", "The key id or secret is not known here")
        now = int(time.time())
        return Claims(
            key=key_id,
            identity=f"key:{key_id}",
            name=None,
            room=None,
            not_before=now,
            expires_at=now + 60,
            permissions=frozenset({Permission.ADMIN}),
        )

    def _failed(self, address: str) -> None:
        self.metrics.tokens_refused.inc()
        wait = self.failures.take(address, time.monotonic())
        if wait > 0.0:
            raise Problem(
                "rate_limited", "Too many refused tokens from your address", retry_after_s=math.ceil(wait)
            )

    def join_allowed(self, request: web.Request) -> None:
        """Count one join against its address.

        Raises:
            Problem: `rate_limited` or `shutting_down`.
        """
        if self.is_draining:
            raise Problem(
                "shutting_down", "The server is shutting down: try again in a moment", retry_after_s=5
            )
        wait = self.joins.take(address_key(client_address(request, self.config)), time.monotonic())
        if wait > 0.0:
            self.metrics.limited.labels("joins").inc()
            raise Problem("rate_limited", "Too many joins from your address", retry_after_s=math.ceil(wait))


CONTEXT: Final = web.AppKey("context", Context)


def context_of(request: web.Request) -> Context:
    """The application's context."""
    return request.config_dict[CONTEXT]


def _is_trusted(address: str, config: SignalingConfig) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in config.trusted_proxies)


def client_address(request: web.Request, config: SignalingConfig) -> str:
    """The address that a request came from: the socket's, or the one that trusted proxies vouch for."""
    address = request.remote or ""
    if not config.trusted_proxies or not _is_trusted(address, config):
        return address
    hops = [
        hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")
    ]
    for hop in reversed(hops[-16:]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            return address
        address = hop
        if not _is_trusted(hop, config):
            break
    return address


def own_origin(request: web.Request, config: SignalingConfig) -> str:
    """`scheme://host[:port]` under which the client reached this server, in lower case."""
    scheme = request.scheme
    if config.trusted_proxies and _is_trusted(request.remote or "", config):
        forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
    return normal_origin(f"{scheme}://{request.host}")


def normal_origin(origin: str) -> str:
    """An origin in lower case without its scheme's default port."""
    text = origin.lower().rstrip("/")
    for scheme, port in (("http://", ":80"), ("https://", ":443")):
        if text.startswith(scheme):
            return text.removesuffix(port)
    return text


def origin_allowed(request: web.Request, config: SignalingConfig) -> bool:
    """Whether the sending page may: no `Origin` (no browser's cross-site call), our own, or a listed one."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    if len(request.headers.getall("Origin")) != 1:
        return False
    normal = normal_origin(origin)
    return normal == own_origin(request, config) or normal in {normal_origin(item) for item in config.origins}


async def read_body(request: web.Request, limit: int, config: SignalingConfig) -> bytes:
    """The whole body, bounded in size and time.

    Raises:
        Problem: `too_large` or `timeout`.
    """
    if request.content_length is not None and request.content_length > limit:
        raise Problem("too_large", f"The body may have {limit} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(config.body_timeout_s):
            async for chunk in request.content.iter_chunked(16_384):
                body += chunk
                if len(body) > limit:
                    raise Problem("too_large", f"The body may have {limit} bytes")
    except TimeoutError as error:
        raise Problem("timeout", f"The body took longer than {config.body_timeout_s:.0f} s") from error
    return bytes(body)


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The JSON body as a struct.

    Raises:
        Problem: `unsupported_media_type`, `too_large`, `timeout`, `invalid_request`, `unprocessable`.
    """
    if request.content_type != "application/json":
        raise Problem("unsupported_media_type", "Send application/json")
    body = await read_body(request, MAX_BODY_BYTES, context_of(request).config)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem("unprocessable", misfit(str(error))) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem("invalid_request", "The body is not JSON") from error


def json_response(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A struct as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json"
    )


def problem_response(problem: Problem, *, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal as `application/problem+json`."""
    all_headers = dict(headers or {})
    if problem.retry_after_s is not None:
        all_headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after_s)))
    if problem.code == "unauthorized":
        all_headers.setdefault("WWW-Authenticate", 'Bearer realm="parley"')
    return web.Response(
        body=msgspec.json.encode(problem.document()),
        status=problem.status,
        headers=all_headers,
        content_type="application/problem+json",
    )
