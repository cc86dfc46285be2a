"""Tokens, and what pages need before they have one."""

import secrets
import time
from typing import Final
from urllib.parse import quote

from policy import Permission, Use, normalize_room, parse_permissions
from signaling.context import Context, origin_allowed, own_origin
from signaling.errors import Problem
from signaling.rest.bodies import (
    DevTokenBody,
    DevTokenView,
    GuestView,
    InvitationBody,
    SiteInfo,
    TokenBody,
    TokenView,
)
from signaling.rest.endpoint import Call, Operations, forbidden
from signaling.tokens import ApiKey, TokenError, VouchedTerms, mint

_DEV_TTL_S: Final = 12 * 3600
_GUEST: Final = (Permission.JOIN, Permission.PUBLISH, Permission.SUBSCRIBE, Permission.CHAT)
_GUEST_IDENTITY: Final = "guest"
_HOST: Final = (Permission.MODERATE, Permission.RECORD, Permission.BROADCAST)

api = Operations(problems=("unavailable",))


def _signer(context: Context) -> ApiKey:
    key = context.services.keys.signer()
    if key is None:
        raise Problem("unavailable", "This server has no key that can make tokens")
    return key


def join_url(origin: str, room: str, token: str) -> str:
    """The link of a room's page; the token is in the fragment, which browsers do not send."""
    return f"{origin}/r/{quote(room, safe='')}#token={token}"


@api("POST", "/tokens", "createToken", "Make a join token", body=TokenBody, status=201)
async def _mint(call: Call) -> TokenView:
    body: TokenBody = call.body
    context = call.context
    room = None if body.room is None else normalize_room(body.room)
    terms = None
    if body.uses is not None or body.terms_version is not None:
        current = context.services.rooms.consent.policy.terms.current(time.time_ns() // 1_000_000)
        version = body.terms_version or (current.version if current is not None else None)
        if version is None:
            raise Problem("unavailable", "No terms are in force: the operator must publish some")
        terms = VouchedTerms(version, frozenset(Use(use) for use in body.uses or ()))
    now = time.time()
    try:
        token = mint(
            _signer(context),
            identity=body.identity,
            room=room,
            permissions=parse_permissions(body.grants),
            now=now,
            ttl_s=body.ttl_s,
            name=body.name,
            terms=terms,
            is_external=body.external,
            is_invitation=body.guests,
        )
    except TokenError as error:
        raise Problem("unprocessable", error.reason) from error
    call.headers["Cache-Control"] = "no-store"
    link = None
    if room is not None:
        link = join_url(own_origin(call.request, context.config), room, token)
        link = link.replace("/r/", "/embed/", 1) if body.external else link
    return TokenView(token, int(now) + body.ttl_s, link)


@api(
    "POST",
    "/rooms/{room}/invitations",
    "createInvitation",
    "Make an invitation: a link that gives each who opens it an identity of their own",
    permissions=(Permission.MODERATE,),
    body=InvitationBody,
    status=201,
)
async def _invite(call: Call) -> TokenView:
    room = call.room_part()
    claims = call.require(Permission.MODERATE, room)
    body: InvitationBody = call.body
    now = time.time()
    expires_at = min(int(now) + body.ttl_s, claims.expires_at) if claims.room else int(now) + body.ttl_s
    token = mint(
        _signer(call.context),
        identity=_GUEST_IDENTITY,
        room=room,
        permissions=_GUEST,
        now=now,
        ttl_s=max(1, expires_at - int(now)),
        is_invitation=True,
    )
    call.headers["Cache-Control"] = "no-store"
    return TokenView(token, expires_at, join_url(own_origin(call.request, call.context.config), room, token))


@api(
    "POST",
    "/rooms/{room}/guests",
    "createGuest",
    "Turn an invitation, sent as the bearer token, into a guest's own token",
    status=201,
    is_public=True,
    problems=("unauthorized", "forbidden", "unavailable"),
)
async def _guest(call: Call) -> GuestView:
    room = call.room_part()
    invitation = call.context.claims(call.request)
    if invitation.guest_permissions is None or invitation.room != room:
        raise forbidden()
    now = int(time.time())
    identity = f"{invitation.identity}-{secrets.token_hex(4)}"
    # Within the leeway of clocks an invitation that has just ended still opens the room.
    ttl_s = max(1, invitation.expires_at - now)
    try:
        token = mint(
            _signer(call.context),
            identity=identity,
            room=room,
            permissions=invitation.guest_permissions,
            now=now,
            ttl_s=ttl_s,
            name=invitation.name,
        )
    except TokenError as error:
        raise Problem("unprocessable", error.reason) from error
    call.headers["Cache-Control"] = "no-store"
    return GuestView(token, identity, now + ttl_s)


@api(
    "POST",
    "/dev/tokens",
    "createDevelopmentToken",
    "Make a token for this server's own page, in development only",
    body=DevTokenBody,
    status=201,
    is_public=True,
    problems=("not_found",),
)
async def _dev_token(call: Call) -> DevTokenView:
    context, body = call.context, call.body
    if not isinstance(body, DevTokenBody):
        raise TypeError(body)
    # Only this server's own pages: a browser always sends Origin with a POST.
    if (
        not context.config.is_development
        or "Origin" not in call.request.headers
        or not origin_allowed(call.request, context.config)
    ):
        raise Problem("not_found", "There is nothing here")
    identity = body.identity or f"{_GUEST_IDENTITY}-{secrets.token_hex(4)}"
    permissions = _GUEST + (_HOST if body.moderator else ())
    try:
        token = mint(
            _signer(context),
            identity=identity,
            room=normalize_room(body.room),
            permissions=permissions,
            now=time.time(),
            ttl_s=_DEV_TTL_S,
            name=body.name,
        )
    except TokenError as error:
        raise Problem("unprocessable", error.reason) from error
    call.headers["Cache-Control"] = "no-store"
    return DevTokenView(token, identity)


@api("GET", "/site", "getSite", "Who runs this server", is_public=True, problems=())
async def _site(call: Call) -> SiteInfo:
    config = call.context.config
    return SiteInfo(config.site_name, config.is_development, config.support, config.privacy)
