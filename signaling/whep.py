"""WHEP: viewing by HTTP. Source: draft-ietf-wish-whep."""

import asyncio
import secrets
from dataclasses import replace
from typing import Final

import msgspec
from aiohttp import web

from policy import NameRefused, Permission, Site, normalize_identity
from rooms import Chat, ChatDeleted
from signaling.context import Context, context_of
from signaling.embed import partner_of
from signaling.errors import Problem
from signaling.sessions import (
    SESSIONS,
    HttpSession,
    HttpSessions,
    created,
    delete,
    needs_room,
    options,
    patch,
    read_offer,
)
from signaling.whip import join_request, room_of

_KEEPALIVE_S: Final = 15.0


class FeedLine(msgspec.Struct, frozen=True):
    """One chat line as outsiders see it: the screen name is the only identifier."""

    id: str
    name: str
    text: str
    at_ms: int


class FeedDeletion(msgspec.Struct, frozen=True):
    """A line of before that is no more."""

    deleted: str


async def post(request: web.Request) -> web.Response:
    """`POST /whep/{room}` (the active speaker) and `POST /whep/{room}/{identity}`."""
    context = context_of(request)
    context.join_allowed(request)
    revision = context.services.keys.revision
    claims = context.claims(request)
    room = room_of(request)
    needs_room(claims, room, Permission.SUBSCRIBE)
    wanted = _identity(request.match_info.get("identity"))
    sessions = request.config_dict[SESSIONS]
    sessions.require_space()
    offer = await read_offer(request)
    # One token may serve many viewers of an embed; none of them is listed, none replaces another.
    identity = f"{claims.identity[:100]} {secrets.token_hex(6)}"
    joining = join_request(context, request, claims, room, transport="whep", identity=identity)
    if claims.partner is not None:
        found = await partner_of(context, claims.partner)
        site = Site(id=found.id, name=found.name, partner=found.id, url=f"https://{found.site}")
        joining = replace(joining, site=site)
    participant = await context.services.rooms.join(joining)
    try:
        viewed = await participant.view(offer, wanted)
    except BaseException:
        await participant.leave("left")
        raise
    session = sessions.add("whep", participant, claims, offer)
    if context.services.keys.revision != revision:
        await sessions.confirm(session, request)
    if claims.partner is not None:
        # It may have been blocked before the session was there to be ended.
        await _still_may(context, sessions, session, claims.partner)
    context.metrics.joins.labels("ok").inc()
    return created(context, session, viewed.sdp)


async def _still_may(context: Context, sessions: HttpSessions, session: HttpSession, partner: str) -> None:
    try:
        await partner_of(context, partner)
    except BaseException:
        await sessions.end(session, "removed")
        raise


def _identity(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return normalize_identity(text)
    except NameRefused as error:
        raise Problem("not_found", "Nobody of that identity is here") from error


async def patch_session(request: web.Request) -> web.Response:
    """`PATCH` a viewer's resource."""
    return await patch(request, "whep")


async def delete_session(request: web.Request) -> web.Response:
    """`DELETE` a viewer's resource."""
    return await delete(request, "whep")


async def endpoint_options(_request: web.Request) -> web.Response:
    """`OPTIONS /whep/{room}`."""
    return options(methods="OPTIONS, POST")


async def chat(request: web.Request) -> web.StreamResponse:
    """`GET` a viewer's chat feed: server-sent events until the session is over."""
    claims = context_of(request).claims(request)
    room = request.match_info["room"]
    if not claims.opens(room):
        raise Problem("forbidden", "The token does not open this session")
    try:
        session = request.config_dict[SESSIONS].get("whep", room, request.match_info["session"])
    except Problem as problem:
        raise Problem("gone", "The session is over") from problem
    if claims.identity != session.identity:
        raise Problem("forbidden", "The token does not open this session")
    if session.has_feed:
        raise Problem("conflict", "This session has a chat feed already")
    session.has_feed = True
    response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    try:
        await response.prepare(request)
        await _feed(session, response)
    except ConnectionError:
        pass  # the viewer went away
    finally:
        session.has_feed = False
    return response


async def _feed(session: HttpSession, response: web.StreamResponse) -> None:
    while True:
        try:
            async with asyncio.timeout(_KEEPALIVE_S):
                line = await session.chat.get()
        except TimeoutError:
            await response.write(b": still here\n\n")
            continue
        if line is None:
            return
        await response.write(b"data: " + msgspec.json.encode(_told(line)) + b"\n\n")


def _told(line: Chat | ChatDeleted) -> FeedLine | FeedDeletion:
    if isinstance(line, ChatDeleted):
        return FeedDeletion(line.id)
    return FeedLine(line.message.id, line.message.name, line.message.text, line.message.at_ms)
