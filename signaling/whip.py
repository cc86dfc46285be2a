"""WHIP: publishing by HTTP. Source: RFC 9725."""

from aiohttp import web

from policy import Acceptance, NameRefused, Permission, Use, normalize_room
from rooms import JoinRequest, Transport
from signaling.context import Context, client_address, context_of
from signaling.errors import Problem
from signaling.sessions import SESSIONS, created, delete, needs_room, options, patch, read_offer
from signaling.tokens import Claims


def room_of(request: web.Request) -> str:
    """The room that the URL names.

    Raises:
        Problem: `forbidden`: a name that no room can have is told like a room that the token does not open.
    """
    try:
        return normalize_room(request.match_info["room"])
    except NameRefused as error:
        raise Problem("forbidden", "The token does not open this room") from error


def join_request(
    context: Context, request: web.Request, claims: Claims, room: str, *, transport: Transport, identity: str
) -> JoinRequest:
    """How somebody without signalling comes in: the token vouches for terms and uses, or nothing does."""
    accept = None
    choices: dict[Use, bool] = {}
    if claims.terms is not None:
        accept = Acceptance(terms_version=claims.terms.version, age_18=True, vouched=True)
        choices = dict.fromkeys(claims.terms.uses, True)
    return JoinRequest(
        room=room,
        identity=identity,
        permissions=claims.permissions | {Permission.JOIN},
        name=claims.name or "",
        address_hash=context.services.address_hash(client_address(request, context.config)),
        accept=accept,
        choices=choices,
        expires_at_ms=claims.expires_at * 1000,
        transport=transport,
        is_external=claims.is_external,
    )


async def post(request: web.Request) -> web.Response:
    """`POST /whip/{room}`: come in and publish."""
    context = context_of(request)
    context.join_allowed(request)
    revision = context.services.keys.revision
    claims = context.claims(request)
    room = room_of(request)
    needs_room(claims, room, Permission.PUBLISH)
    if claims.is_external:
        raise Problem("forbidden", "A token for viewers outside the room cannot publish")
    sessions = request.config_dict[SESSIONS]
    sessions.require_space()
    offer = await read_offer(request)
    joining = join_request(context, request, claims, room, transport="whip", identity=claims.identity)
    participant = await context.services.rooms.join(joining)
    try:
        if claims.terms is not None and participant.has_accepted_terms:
            # The token vouches for somebody who has no channel for a notice: it acknowledges what runs now.
            for notice in participant.pending_notices():
                await participant.acknowledge(notice.notice_id)
        published = await participant.publish(offer, {})
    except BaseException:
        await participant.leave("left")
        raise
    session = sessions.add("whip", participant, claims, offer)
    if context.services.keys.revision != revision:
        await sessions.confirm(session, request)
    context.metrics.joins.labels("ok").inc()
    return created(context, session, published.sdp)


async def patch_session(request: web.Request) -> web.Response:
    """`PATCH` a publisher's resource."""
    return await patch(request, "whip")


async def delete_session(request: web.Request) -> web.Response:
    """`DELETE` a publisher's resource."""
    return await delete(request, "whip")


async def endpoint_options(_request: web.Request) -> web.Response:
    """`OPTIONS /whip/{room}`."""
    return options(methods="OPTIONS, POST")
