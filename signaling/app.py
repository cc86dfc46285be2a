"""The application: every route, in one table, over the services that it is given."""

from collections.abc import AsyncIterator, Collection
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from media.tasks import TaskScope
from signaling import embed, health, hls, pages, recording_media, whep, whip, ws
from signaling.config import Services, SignalingConfig
from signaling.context import CONTEXT, Context, json_response
from signaling.lag import watch_lag
from signaling.middleware import guard
from signaling.openapi import document
from signaling.rest import BASE, ENDPOINTS
from signaling.sessions import SESSIONS, HttpSessions

_MAX_HEADER_BYTES = 16_384


def create_app(services: Services, config: SignalingConfig) -> web.Application:
    """The aiohttp application. Run it with `server_options()`; call `drain` before stopping it."""
    context = Context(services=services, config=config)
    # Handlers bound the bodies that they read; this bounds what aiohttp itself would read.
    app = web.Application(middlewares=[guard], client_max_size=65_536)
    app[CONTEXT] = context
    app[ws.CONNECTIONS] = ws.Connections(config.sockets)
    app[pages.ASSETS] = pages.Assets(config.web_root)
    tasks = TaskScope("signaling")
    app[SESSIONS] = HttpSessions(context, tasks)

    async def lifetime(_app: web.Application) -> AsyncIterator[None]:
        await tasks.open()
        tasks.start(watch_lag(context.metrics.lag_seconds.observe), "lag")
        yield
        await tasks.close()

    app.cleanup_ctx.append(lifetime)
    _add_routes(app, document(config.site_name, _version()))
    return app


def server_options() -> dict[str, Any]:
    """Arguments for `web.AppRunner`: bounded headers, and 15 s for a connection to say something whole."""
    return {
        "keepalive_timeout": 15.0,
        "max_line_size": _MAX_HEADER_BYTES,
        "max_field_size": _MAX_HEADER_BYTES,
        "lingering_time": 2.0,
        "access_log": None,
        "handler_cancellation": False,
        "auto_decompress": False,
    }


def drain(app: web.Application, *, reconnect_after_s: float = 2.0) -> None:
    """Refuse new joins and tell every client to go elsewhere; their connections close."""
    app[CONTEXT].is_draining = True
    app[ws.CONNECTIONS].go_away(reconnect_after_s)


async def end_of_keys(app: web.Application, keys: Collection[str]) -> None:
    """End everyone who came in by a token of keys that serve no more."""
    app[ws.CONNECTIONS].end_of_keys(keys)
    await app[SESSIONS].end_of_keys(keys)


def open_connections(app: web.Application) -> int:
    """WebSocket connections that are still open."""
    return len(app[ws.CONNECTIONS])


def _version() -> str:
    try:
        return version("parley")
    except PackageNotFoundError:
        return "0"


def _add_routes(app: web.Application, openapi: dict[str, Any]) -> None:
    async def describe(_request: web.Request) -> web.Response:
        return json_response(openapi)

    router = app.router
    router.add_get("/v1/rtc", ws.serve)
    for kind, module in (("whip", whip), ("whep", whep)):
        endpoint, resource = f"/{kind}/{{room}}", f"/{kind}/{{room}}/sessions/{{session}}"
        router.add_route("PATCH", resource, module.patch_session)
        router.add_route("DELETE", resource, module.delete_session)
        router.add_route("OPTIONS", resource, module.endpoint_options)
        router.add_route("POST", endpoint, module.post)
        router.add_route("OPTIONS", endpoint, module.endpoint_options)
    router.add_get("/whep/{room}/sessions/{session}/chat", whep.chat)
    router.add_route("POST", "/whep/{room}/{identity}", whep.post)
    router.add_route("OPTIONS", "/whep/{room}/{identity}", whep.endpoint_options)
    for item in ENDPOINTS:
        router.add_route(item.method, BASE + item.path, item.handle)
    router.add_get(f"{BASE}/openapi.json", describe)
    router.add_get("/live/{program}/{name}", hls.serve)
    router.add_get("/healthz", health.healthz)
    router.add_get("/readyz", health.readyz)
    router.add_get("/metrics", health.metrics)
    router.add_get("/", pages.home)
    router.add_get("/r/{room}", pages.room)
    router.add_get("/embed/{room}", embed.page)
    router.add_post("/embed/{room}/token", embed.token)
    router.add_get("/oembed", embed.oembed)
    router.add_get("/recordings", pages.recordings)
    router.add_get("/recordings/{recording}", pages.recording)
    router.add_get("/recordings/{recording}/media/{rendition}/{name}", recording_media.serve)
    router.add_get("/terms", pages.terms)
    router.add_get("/terms/{version}", pages.terms)
    router.add_get("/static/{path:.+}", pages.static)
